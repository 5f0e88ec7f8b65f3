"""A keyed permutation of the codes of one length: numbers in order become codes in no order.

A Feistel network over a × b = 62^length, the two halves alternately changed by a keyed function of
the other (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", the generalized
Feistel). Each round can be undone whatever the function is, so the whole is a bijection: distinct
numbers give distinct codes, without asking anybody. Who lacks the key cannot tell from codes how
many there are, nor which of two is the older.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

__all__ = ["ALPHABET", "KEY_BYTES", "code_of_number", "digits", "number_of_code", "space"]

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY_BYTES = 32
_BASE = len(ALPHABET)
_DIGIT = {letter: number for number, letter in enumerate(ALPHABET)}
# Black and Rogaway prove three rounds for large domains; small ones, such as these of 24 to 36
# bits, want more (NIST SP 800-38G takes 10 for its Feistel modes).
_ROUNDS = 10


def space(length: int) -> int:
    """How many codes of that length there are."""
    return int(_BASE**length)


@cache
def _halves(length: int) -> tuple[int, int]:
    return _BASE ** ((length + 1) // 2), _BASE ** (length // 2)


def _shift(key: bytes, length: int, turn: int, half: int) -> int:
    data = b"%d %d %d" % (length, turn, half)
    return int.from_bytes(blake2b(data, digest_size=16, key=key).digest())


def code_of_number(key: bytes, number: int, length: int) -> str:
    """The code of a number in 0 … 62^length - 1; equal only for equal numbers."""
    a, b = _halves(length)
    left, right = divmod(number, b)
    for turn in range(_ROUNDS):
        if turn % 2:
            left = (left + _shift(key, length, turn, right)) % a
        else:
            right = (right + _shift(key, length, turn, left)) % b
    return digits(left * b + right, length)


def number_of_code(key: bytes, code: str) -> int:
    """The number that has this code: the inverse of `code_of_number`."""
    length = len(code)
    a, b = _halves(length)
    number = 0
    for letter in code:
        number = number * _BASE + _DIGIT[letter]
    left, right = divmod(number, b)
    for turn in reversed(range(_ROUNDS)):
        if turn % 2:
            left = (left - _shift(key, length, turn, right)) % a
        else:
            right = (right - _shift(key, length, turn, left)) % b
    return left * b + right


def digits(number: int, length: int) -> str:
    """A number below 62^length in base 62, with leading zeros."""
    found = []
    for _ in range(length):
        number, digit = divmod(number, _BASE)
        found.append(ALPHABET[digit])
    return "".join(reversed(found))

"""Where new codes come from (CODES): chance, a permuted sequence, or the address itself.

None of them decides whether a code is free: that is the unique index of `link`, in the statement
that takes the code. A source only proposes, and proposes again when the code was taken.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from hashlib import blake2b
from typing import Any, Literal, Protocol

from systems_common.database import Database

from shortener.codes import CODE_LENGTH_MAX, random_code
from shortener.permutation import code_of_number, digits, space

__all__ = [
    "CodeKind",
    "CodeSource",
    "HashCodes",
    "PermutedCodes",
    "RandomCodes",
    "hash_code",
    "open_codes",
]

CodeKind = Literal["random", "permuted", "hash"]

_NUMBERS_AT_A_TIME = 64


class CodeSource(Protocol):
    """Proposes codes."""

    async def propose(self, connection: Any, long_url: str, length: int, attempt: int) -> str:
        """A code of at least `length`; `attempt` counts from 0 for one link.

        What has to be asked of the database goes over `connection`, the one on which the link
        will be made: to wait for a second one while holding the first could wait for ever.
        """
        ...


class RandomCodes:
    """CODES=random: digits by chance."""

    async def propose(self, connection: Any, long_url: str, length: int, attempt: int) -> str:
        """A random code."""
        return random_code(length)


class PermutedCodes:
    """CODES=permuted: the numbers of a database sequence, permuted with a key.

    No two links get the same number, so a proposal is taken only where somebody chose that very
    slug. Numbers are fetched some at a time; those left when a process ends are never used.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._numbers: deque[int] = deque()
        self._fetching = asyncio.Lock()

    async def propose(self, connection: Any, long_url: str, length: int, attempt: int) -> str:
        """The code of the next number, longer when all codes of this length are given away."""
        number = await self._next(connection)
        while number >= space(length) and length < CODE_LENGTH_MAX:
            length += 1
        return code_of_number(self._key, number, length)

    async def _next(self, connection: Any) -> int:
        while not self._numbers:
            async with self._fetching:
                if not self._numbers:
                    rows = await connection.fetch(
                        "SELECT nextval('code_number') AS number FROM generate_series(1, $1)",
                        _NUMBERS_AT_A_TIME,
                    )
                    self._numbers.extend(row["number"] for row in rows)
        return self._numbers.popleft()


class HashCodes:
    """CODES=hash: the digest of the address; where that is taken, of the address and a salt.

    The salt is random: numbered ones would make the hundredth link to one address try a hundred
    codes. The digest is keyed, so that nobody can tell from outside whether an address was
    shortened.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    async def propose(self, connection: Any, long_url: str, length: int, attempt: int) -> str:
        """The code of the address, salted when this is not the first attempt."""
        return hash_code(self._key, long_url, length, os.urandom(8) if attempt else b"")


def hash_code(key: bytes, long_url: str, length: int, salt: bytes = b"") -> str:
    """A code of that length that depends on the key, the address and the salt only."""
    data = salt + long_url.encode("utf-8", "surrogatepass")
    # 64 bytes make even a code of 32 digits (191 bits) uniform to within 2^-300.
    digest = blake2b(data, digest_size=64, key=key, person=b"shortener hash").digest()
    return digits(int.from_bytes(digest) % space(length), length)


async def open_codes(kind: CodeKind, database: Database) -> CodeSource:
    """The source that CODES names, with the key that all processes share.

    Raises `DatabaseUnavailableError`.
    """
    if kind == "random":
        return RandomCodes()
    key: bytes = await database.fetchval("SELECT key FROM code_key")
    return HashCodes(key) if kind == "hash" else PermutedCodes(key)

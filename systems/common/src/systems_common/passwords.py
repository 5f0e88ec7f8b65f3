"""Passwords: kept as scrypt, hashed and compared in a thread, two at a time."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os

__all__ = ["PASSWORD_LENGTH_MAX", "Passwords", "hashed", "matches"]

PASSWORD_LENGTH_MAX = 256
# 16 MiB and about 50 ms each: what guessing costs whoever gets hold of the table.
_N, _R, _P = 2**14, 8, 1
_SALT_BYTES, _KEY_BYTES = 16, 32
_AT_ONCE = 2


def _key(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    text = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        text, salt=salt, n=n, r=r, p=p, dklen=_KEY_BYTES, maxmem=256 * n * r + 2**20
    )


def hashed(password: str) -> str:
    """What is kept of a password: `scrypt$n$r$p$salt$key`."""
    salt = os.urandom(_SALT_BYTES)
    key = _key(password, salt, _N, _R, _P)
    encoded = (base64.b64encode(part).decode() for part in (salt, key))
    return "$".join(["scrypt", str(_N), str(_R), str(_P), *encoded])


def matches(password: str, kept: str) -> bool:
    """Whether this is the password that `hashed` made `kept` of. Raises `ValueError`."""
    kind, n, r, p, salt, key = kept.split("$")
    if kind != "scrypt":
        raise ValueError(f"expected a scrypt digest, got {kind}")
    made = _key(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(made, base64.b64decode(key))


class Passwords:
    """Hashes and compares without holding up the event loop, or all of its threads."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def key(self, password: str, salt: bytes) -> bytes:
        """The key that scrypt derives from a password with a salt of the caller's."""
        async with self._turns:
            return await asyncio.to_thread(_key, password, salt, _N, _R, _P)

    async def hash(self, password: str) -> str:
        """See `hashed`."""
        async with self._turns:
            return await asyncio.to_thread(hashed, password)

    async def match(self, password: str, kept: str) -> bool:
        """See `matches`."""
        async with self._turns:
            return await asyncio.to_thread(matches, password, kept)

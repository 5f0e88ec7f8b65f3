"""Passwords of links: what is kept of one, also to know it again under its Idempotency-Key."""

from __future__ import annotations

import hashlib

import msgspec
from systems_common import passwords

__all__ = ["KeptPassword", "Passwords"]


class KeptPassword(msgspec.Struct, frozen=True):
    """What is kept of a password: its digest, and what tells it from the password of another
    request with the same Idempotency-Key. Both are scrypt's, so neither is the cheaper to guess by.
    """

    digest: str
    fingerprint: str | None = None


class Passwords(passwords.Passwords):
    """Those of links."""

    async def keep(self, password: str, idempotency: str | None) -> KeptPassword:
        """What is kept of the password of a new link, made under this Idempotency-Key if any."""
        digest = await self.hash(password)
        if idempotency is None:
            return KeptPassword(digest)
        salt = hashlib.sha256(idempotency.encode("utf-8", "surrogatepass")).digest()
        return KeptPassword(digest, (await self.key(password, salt)).hex())

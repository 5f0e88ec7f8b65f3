"""API keys: made once, kept as a digest, remembered for a few seconds."""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import datetime
from typing import Any

from systems_common.database import Database

__all__ = ["REMEMBERED_S", "KeyRing", "add_key", "new_key"]

REMEMBERED_S = 5.0
"""A key that was disabled or has expired may be taken this much longer."""
_REMEMBERED_MAX = 10_000

_SELECT = """
SELECT id FROM api_key
WHERE digest = $1 AND NOT disabled AND (expires_at IS NULL OR expires_at > now())"""

_INSERT = """
INSERT INTO api_key (digest, name, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (digest) DO NOTHING"""


def new_key() -> str:
    """A key of 192 random bits."""
    return secrets.token_urlsafe(24)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


async def add_key(connection: Any, key: str, name: str, expires_at: datetime | None = None) -> None:
    """Add a key over an asyncpg connection; one that is there already stays as it is."""
    await connection.execute(_INSERT, _digest(key), name, expires_at)


class KeyRing:
    """Tells whose key it is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[int, float]] = {}

    async def owner(self, key: str) -> int | None:
        """The id of a valid key, or None. Raises `DatabaseUnavailableError`."""
        digest = _digest(key)
        now_s = time.monotonic()
        known = self._known.get(digest)
        if known is not None and now_s < known[1]:
            return known[0]
        # Unknown keys are not remembered: they are for whoever guesses to pay, not for our memory.
        identifier: int | None = await self._database.fetchval(_SELECT, digest)
        if identifier is None:
            self._known.pop(digest, None)
        else:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            self._known[digest] = (identifier, now_s + REMEMBERED_S)
        return identifier

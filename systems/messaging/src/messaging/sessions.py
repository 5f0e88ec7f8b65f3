"""Who a request comes from: access tokens, remembered in each process."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict

import msgspec
from systems_common.database import Database

from messaging.errors import MatrixError

__all__ = ["Session", "Sessions", "Tokens", "digest_of", "new_token"]

_ENTRIES_MAX = 50_000
_UNTOLD_S = 2.0
"""How long a token is remembered while nobody tells this process about tokens that end."""

_FIND = """
SELECT a.no AS user_no, a.user_id, d.no AS device_no, d.device_id, t.replaces,
       extract(epoch FROM t.expires_at)::float8 AS expires_s
FROM access_token AS t JOIN device AS d ON d.no = t.device_no JOIN account AS a ON a.no = d.user_no
WHERE t.digest = $1"""
_SETTLE = """
WITH used AS (UPDATE access_token SET replaces = NULL WHERE digest = $1)
DELETE FROM access_token WHERE digest = $2"""


class Session(msgspec.Struct, frozen=True):
    """A device that is signed in."""

    user_no: int
    user_id: str
    device_no: int
    device_id: str
    digest: bytes
    expires_s: float | None = None


class Tokens(msgspec.Struct, frozen=True):
    """What a client is given: the texts; only digests are kept."""

    access: str
    refresh: str | None = None


def digest_of(token: str) -> bytes:
    """What is kept of a token. It is random and long, so a plain digest will do."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_token(prefix: str) -> str:
    """A random token."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


class Sessions:
    """Finds the session of a token; `forget` is called for every token that ends."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[bytes, tuple[Session, float]] = OrderedDict()
        self._is_told = False
        self._forgotten = 0

    def changes_are_told(self, told: bool) -> None:
        """Whether this process hears of tokens that end. What was missed in between is unknown."""
        self._is_told = told
        self._known.clear()
        self._forgotten += 1

    def forget(self, digest: bytes) -> None:
        """A token ended."""
        self._forgotten += 1
        self._known.pop(digest, None)

    async def find(self, token: str) -> Session:
        """The session. Raises M_UNKNOWN_TOKEN; `soft_logout` when it may be refreshed."""
        digest = digest_of(token)
        found = self._known.get(digest)
        now_s = time.time()
        if found is not None:
            session, known_s = found
            if (session.expires_s is None or now_s < session.expires_s) and (
                self._is_told or now_s - known_s < _UNTOLD_S
            ):
                return session
            del self._known[digest]
        return await self._load(digest, now_s)

    async def _load(self, digest: bytes, now_s: float) -> Session:
        before = self._forgotten
        row = await self._database.fetchrow(_FIND, digest)
        if row is None:
            raise MatrixError(
                401, "M_UNKNOWN_TOKEN", "Unrecognized access token", soft_logout=False
            )
        if row["expires_s"] is not None and now_s >= row["expires_s"]:
            raise MatrixError(
                401, "M_UNKNOWN_TOKEN", "The access token has expired", soft_logout=True
            )
        if row["replaces"] is not None:
            # The client has its new token, so the old one has had its day.
            await self._database.fetch(_SETTLE, digest, row["replaces"])
        session = Session(
            row["user_no"],
            row["user_id"],
            row["device_no"],
            row["device_id"],
            digest,
            row["expires_s"],
        )
        if self._forgotten == before:
            self._known[digest] = (session, now_s)
            while len(self._known) > _ENTRIES_MAX:
                self._known.popitem(last=False)
        return session

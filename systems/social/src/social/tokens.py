"""Access tokens: what one may do, kept as digests, remembered by each process."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict

import msgspec
from systems_common.database import Database

__all__ = ["SCOPES", "Token", "Tokens", "allows", "digest_of", "new_secret", "scopes_of"]

_READ = ("accounts", "blocks", "bookmarks", "favourites", "filters", "follows", "lists", "mutes")
_BOTH = (*_READ, "notifications", "statuses")
SCOPES = frozenset(
    [
        *("read", "write", "follow", "push", "profile"),
        *(f"read:{part}" for part in (*_BOTH, "search", "me")),
        *(f"write:{part}" for part in (*_BOTH, "conversations", "media", "reports")),
    ]
)
_FOLLOW = frozenset(
    f"{verb}:{part}" for verb in ("read", "write") for part in ("blocks", "follows", "mutes")
)


class Token(msgspec.Struct, frozen=True):
    """A token as it is known; `account_id` None: the app's own."""

    id: int
    app_id: int
    account_id: int | None
    scopes: frozenset[str]
    app_name: str
    app_website: str | None
    created_s: int
    digest: bytes


def allows(granted: frozenset[str], needed: str) -> bool:
    """Whether the scopes granted include the one needed: `write` includes `write:statuses`."""
    if needed in granted or needed.partition(":")[0] in granted:
        return True
    if "follow" in granted and needed in _FOLLOW:
        return True
    return needed == "read:me" and "profile" in granted


def scopes_of(text: str) -> frozenset[str] | None:
    """The scopes of a text, separated by blanks; None when one of them is not known."""
    found = frozenset(text.replace("+", " ").split())
    return found if found <= SCOPES else None


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


_FIND = """
SELECT t.id, t.app_id, t.account_id, t.scopes, a.name, a.website,
       extract(epoch FROM t.created_at)::bigint AS created_s
FROM token t JOIN app a ON a.id = t.app_id WHERE t.digest = $1"""


class Tokens:
    """Tokens by their text. Remembered for `_TTL_S` at most, and until a revocation is heard of."""

    _TTL_S = 60.0
    # Without the connection that revocations are heard over.
    _UNTOLD_TTL_S = 1.0
    _ENTRIES_MAX = 50_000

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[bytes, tuple[float, Token]] = OrderedDict()
        self._told = False
        self._generation = 0

    async def find(self, text: str) -> Token | None:
        """The token of that text; None when there is none."""
        digest = digest_of(text)
        now_s = time.monotonic()
        known = self._known.get(digest)
        if known is not None and known[0] > now_s:
            return known[1]
        generation = self._generation
        row = await self._database.fetchrow(_FIND, digest)
        if row is None:
            return None
        token = Token(
            row["id"],
            row["app_id"],
            row["account_id"],
            frozenset(row["scopes"].split()),
            row["name"],
            row["website"],
            row["created_s"],
            digest,
        )
        # A revocation that was heard of meanwhile may be of this one.
        if generation == self._generation:
            ttl_s = self._TTL_S if self._told else self._UNTOLD_TTL_S
            self._known[digest] = (now_s + ttl_s, token)
            if len(self._known) > self._ENTRIES_MAX:
                self._known.popitem(last=False)
        return token

    def forget(self, digest_hex: str) -> None:
        """A token was revoked."""
        self._generation += 1
        self._known.pop(bytes.fromhex(digest_hex), None)

    def revocations_are_told(self, told: bool) -> None:
        """Whether they are heard of from now on; what was missed before cannot be known."""
        self._told = told
        self._generation += 1
        self._known.clear()

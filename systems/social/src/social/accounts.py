"""Accounts as the API shows them; each process remembers them as encoded JSON.

A remembered account is used while its version is the one that the read at hand brought along, so a
changed profile is seen at once. Its counts are at most `COUNTS_TTL_S` old where it stands beside
something else; asked for by itself an account is always read anew.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from systems_common.database import Database

from social.entities import Account, CredentialAccount, Field, Source, encode, time_of
from social.planning import any_of
from social.text import rendered
from social.visibility import NAMES

__all__ = ["COUNTS_TTL_S", "Accounts"]

COUNTS_TTL_S = 60.0
_ENTRIES_MAX = 20_000

_COUNTS = {
    "stored": """LEFT JOIN LATERAL (
        SELECT sum(statuses) AS statuses, sum(followers) AS followers, sum(following) AS following
        FROM account_counter WHERE account_id = a.id) AS c ON true""",
    "counted": """LEFT JOIN LATERAL (
        SELECT (SELECT count(*) FROM status WHERE account_id = a.id AND visibility < 3) AS statuses,
               (SELECT count(*) FROM follow WHERE target_id = a.id) AS followers,
               (SELECT count(*) FROM follow WHERE account_id = a.id) AS following) AS c ON true""",
}
_READ = f"""
SELECT a.id, a.username, a.display_name, a.note, a.locked, a.bot, a.discoverable, a.fields,
       a.version, a.default_visibility, a.default_sensitive, a.default_language, a.avatar, a.header,
       c.statuses, c.followers, c.following,
       (SELECT id FROM status WHERE account_id = a.id ORDER BY id DESC LIMIT 1) AS last_status
FROM account AS a {{counts}} WHERE a.id = {any_of("$1")}"""

_decode_fields = msgspec.json.Decoder(list[tuple[str, str]]).decode


class _Entry(msgspec.Struct, frozen=True):
    version: int
    expires_s: float
    body: bytes


class Accounts:
    """Reads, renders and remembers accounts."""

    def __init__(
        self, database: Database, *, base_url: str, media_url: str, host: str, counters: str
    ) -> None:
        self._database = database
        self._base_url = base_url
        self._media_url = media_url
        self._host = host
        self._read_sql = _READ.format(counts=_COUNTS[counters])
        self._known: OrderedDict[int, _Entry] = OrderedDict()

    async def entities(self, versions: Mapping[int, int]) -> dict[int, bytes]:
        """Encoded accounts by id; `versions` are those that the caller has just read."""
        now_s = time.monotonic()
        found: dict[int, bytes] = {}
        missing: list[int] = []
        for identifier, version in versions.items():
            entry = self._known.get(identifier)
            if entry is not None and entry.version >= version and entry.expires_s > now_s:
                found[identifier] = entry.body
            else:
                missing.append(identifier)
        if missing:
            found.update(await self.fresh(missing))
        return found

    async def fresh(self, identifiers: Iterable[int]) -> dict[int, bytes]:
        """Encoded accounts by id, read now."""
        expires_s = time.monotonic() + COUNTS_TTL_S
        found: dict[int, bytes] = {}
        for row in await self._database.fetch(self._read_sql, list(identifiers)):
            body = encode(Account(**self._shown(row)))
            found[row["id"]] = body
            self._known[row["id"]] = _Entry(row["version"], expires_s, body)
            self._known.move_to_end(row["id"])
        while len(self._known) > _ENTRIES_MAX:
            self._known.popitem(last=False)
        return found

    async def own(self, identifier: int) -> CredentialAccount:
        """An account as its owner sees it, read now."""
        row = await self._database.fetchrow(self._read_sql, [identifier])
        waiting = await self._database.fetchval(
            "SELECT count(*) FROM follow_request WHERE target_id = $1", identifier
        )
        source = Source(
            privacy=NAMES[row["default_visibility"]],
            sensitive=row["default_sensitive"],
            language=row["default_language"],
            note=row["note"],
            fields=[Field(name, value) for name, value in _decode_fields(row["fields"])],
            follow_requests_count=waiting,
            discoverable=row["discoverable"],
        )
        return CredentialAccount(**self._shown(row), source=source)

    def _shown(self, row: Any) -> dict[str, Any]:
        url = f"{self._base_url}/@{row['username']}"
        picture, header = (
            f"{self._media_url}/{row[name]}" if row[name] else f"{self._base_url}/assets/{name}.svg"
            for name in ("avatar", "header")
        )
        last = row["last_status"]
        return {
            "id": str(row["id"]),
            "username": row["username"],
            "acct": row["username"],
            "display_name": row["display_name"],
            "locked": row["locked"],
            "bot": row["bot"],
            "discoverable": row["discoverable"],
            "created_at": time_of(row["id"]),
            "note": self._html(row["note"]),
            "url": url,
            "uri": f"{self._base_url}/users/{row['username']}",
            "avatar": picture,
            "avatar_static": picture,
            "header": header,
            "header_static": header,
            # Sums over no rows are NULL; those over several may pass below 0 while they are read.
            "followers_count": max(row["followers"] or 0, 0),
            "following_count": max(row["following"] or 0, 0),
            "statuses_count": max(row["statuses"] or 0, 0),
            "last_status_at": time_of(last)[:10] if last is not None else None,
            "fields": [
                Field(name, self._html(value)) for name, value in _decode_fields(row["fields"])
            ],
        }

    def _html(self, text: str) -> str:
        return rendered(text, {}, base_url=self._base_url, host=self._host)

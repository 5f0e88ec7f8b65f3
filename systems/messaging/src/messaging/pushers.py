"""Pushers: where a user wants to be told of what their push rules notify of."""

from __future__ import annotations

from typing import Any

import msgspec
from systems_common.contention import tried_again
from systems_common.database import Database, transaction

from messaging.errors import forbidden
from messaging.sessions import Session

__all__ = ["Pusher", "Pushers"]

_PUSHERS_MAX = 100

_LIST = "SELECT content FROM pusher WHERE user_no = $1 ORDER BY no"
# With no pusher nothing was judged, and what was said then is nothing to be pushed.
_BEGIN = """
UPDATE push_position SET seen = pg_current_snapshot()::text, target = NULL, xid = '0', room_no = 0,
                         seq = 0
WHERE NOT EXISTS (SELECT FROM pusher)"""
_ALONE = "DELETE FROM pusher WHERE app_id = $1 AND pushkey = $2 AND user_no <> $3"
_SET = """
INSERT INTO pusher (user_no, user_id, device_no, app_id, pushkey, url, content)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (app_id, pushkey, user_no) DO UPDATE
SET device_no = excluded.device_no, url = excluded.url, content = excluded.content,
    due_at = CASE WHEN pusher.due_at IS NOT NULL THEN now() END, tries = 0"""
_COUNT = "SELECT count(*) FROM pusher WHERE user_no = $1"
_REMOVE = "DELETE FROM pusher WHERE app_id = $1 AND pushkey = $2 AND user_no = $3"


class Pusher(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pusher as clients see it; one that is taken away has no `data`."""

    app_id: str
    pushkey: str
    kind: str
    app_display_name: str
    device_display_name: str
    lang: str
    data: dict[str, Any]
    profile_tag: str | None = None


class Pushers:
    """Keeps the pushers of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user_no: int) -> list[msgspec.Raw]:
        """The user's pushers."""
        rows = await self._database.fetch(_LIST, user_no)
        return [msgspec.Raw(row["content"]) for row in rows]

    @tried_again
    async def put(self, session: Session, pusher: Pusher, *, append: bool) -> None:
        """Make it, or change it. Unless `append`, the phone leaves whoever had it before.

        It ends with the session's device. Raises M_FORBIDDEN when there are too many.
        """
        named = (pusher.app_id, pusher.pushkey)
        async with transaction(self._database) as connection:
            await connection.execute(_BEGIN)
            if not append:
                await connection.execute(_ALONE, *named, session.user_no)
            content = msgspec.json.encode(pusher)
            values = (*named, pusher.data["url"], content)
            who = (session.user_no, session.user_id, session.device_no)
            await connection.execute(_SET, *who, *values)
            if await connection.fetchval(_COUNT, session.user_no) > _PUSHERS_MAX:
                raise forbidden(f"A user has at most {_PUSHERS_MAX} pushers.")

    async def remove(self, session: Session, app_id: str, pushkey: str) -> None:
        """Take it away, if it is there."""
        await self._database.fetch(_REMOVE, app_id, pushkey, session.user_no)

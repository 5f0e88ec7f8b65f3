"""Reads of a room: its events, and its state now or at an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from systems_common.database import Database

from messaging.events import EVENT_COLUMNS, Event
from messaging.visibility import Stretch

__all__ = ["Reading", "rows_to_events"]

_E = ", ".join(f"e.{part.strip()}" for part in EVENT_COLUMNS.split(","))

# Planned without the number of the room. With that of a large one PostgreSQL takes many of its rows
# for topics (the share of topics in all rooms), and would rather read the whole table than look one
# up in the index, as it did with 450,000 rows.
_CURRENT = f"""
SELECT e.room_no, {_E} FROM room_state AS s JOIN event AS e USING (room_no, seq)
WHERE s.room_no = (SELECT $1::bigint) AND ($2::text IS NULL OR s.type = $2)
  AND ($3::text IS NULL OR s.state_key = $3)
ORDER BY e.seq"""
_AT = f"""
SELECT * FROM (
    SELECT DISTINCT ON (e.type, e.state_key) e.room_no, {_E} FROM event AS e
    WHERE e.room_no = $1 AND e.state_key IS NOT NULL AND e.seq <= $4
      AND ($2::text IS NULL OR e.type = $2) AND ($3::text IS NULL OR e.state_key = $3)
    ORDER BY e.type, e.state_key, e.seq DESC
) AS found ORDER BY seq"""
_ONE = f"SELECT e.room_no, {_E} FROM event AS e WHERE e.room_no = $1 AND e.seq = $2"
_BACK = f"""
SELECT e.room_no, {_E} FROM event AS e
WHERE e.room_no = $1 AND e.seq BETWEEN $2 AND $3 ORDER BY e.seq DESC LIMIT $4"""
_ON = f"""
SELECT e.room_no, {_E} FROM event AS e
WHERE e.room_no = $1 AND e.seq BETWEEN $2 AND $3 ORDER BY e.seq LIMIT $4"""
_MEMBERS_OF = f"""
SELECT e.room_no, {_E} FROM room_state AS s JOIN event AS e USING (room_no, seq)
WHERE s.room_no = $1 AND s.type = 'm.room.member' AND s.state_key = ANY($2::text[])
ORDER BY e.seq"""


def rows_to_events(rows: Sequence[Any]) -> list[Event]:
    """Rows that begin with the columns of an event."""
    return [Event(*tuple(row)[:16]) for row in rows]


class Reading:
    """Reads; what may be seen is the caller's to say."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(
        self,
        room_no: int,
        *,
        kind: str | None = None,
        state_key: str | None = None,
        at: int | None = None,
    ) -> list[Event]:
        """The state, or of a type and key, now or behind the event of number `at`."""
        if at is None:
            return rows_to_events(await self._database.fetch(_CURRENT, room_no, kind, state_key))
        return rows_to_events(await self._database.fetch(_AT, room_no, kind, state_key, at))

    async def members(self, room_no: int, user_ids: Sequence[str]) -> list[Event]:
        """The memberships of these users, as they are now."""
        return rows_to_events(await self._database.fetch(_MEMBERS_OF, room_no, list(user_ids)))

    async def event(self, room_no: int, seq: int) -> Event | None:
        """One event."""
        found = rows_to_events(await self._database.fetch(_ONE, room_no, seq))
        return found[0] if found else None

    async def page(
        self,
        room_no: int,
        allowed: Sequence[Stretch],
        *,
        after: int,
        upto: int,
        limit: int,
        backwards: bool,
    ) -> list[Event]:
        """At most `limit` events with after < number <= upto that may be seen, in that order."""
        found: list[Event] = []
        for first, last in reversed(allowed) if backwards else allowed:
            low, high = max(first, after + 1), min(last, upto)
            if low > high or len(found) >= limit:
                continue
            sql = _BACK if backwards else _ON
            rows = await self._database.fetch(sql, room_no, low, high, limit - len(found))
            found += rows_to_events(rows)
        return found

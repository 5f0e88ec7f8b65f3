"""Events that relate to others: replacements, annotations, references and threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from systems_common.database import Database

from messaging.events import EVENT_COLUMNS, Event, event_json
from messaging.reading import rows_to_events
from messaging.sessions import Session

__all__ = ["Relations"]

_E = ", ".join(f"e.{part.strip()}" for part in EVENT_COLUMNS.split(","))

_PAGE = f"""
SELECT e.room_no, {_E} FROM event AS e
WHERE e.room_no = $1 AND e.relates_to = $2 AND e.seq > $3 AND e.seq <= $4
  AND ($5::text IS NULL OR e.rel_type = $5) AND ($6::text IS NULL OR e.type = $6)
ORDER BY e.seq DESC LIMIT $7"""
# Of each thread the newest reply, how many there are, and whether the user took part.
_SUMMARIES = f"""
SELECT root.seq AS root, e.room_no, {_E}, replies.n AS n, replies.own AS own
FROM unnest($2::bigint[]) AS root(seq)
CROSS JOIN LATERAL (
    SELECT count(*) AS n, max(t.seq) AS last, bool_or(t.sender = $3) AS own FROM event AS t
    WHERE t.room_no = $1 AND t.relates_to = root.seq AND t.rel_type = 'm.thread'
) AS replies
JOIN event AS e ON e.room_no = $1 AND e.seq = replies.last"""
_EDITS = f"""
SELECT DISTINCT ON (e.relates_to) e.relates_to AS root, e.room_no, {_E}
FROM event AS e JOIN event AS o ON o.room_no = e.room_no AND o.seq = e.relates_to
WHERE e.room_no = $1 AND e.relates_to = ANY($2::bigint[]) AND e.rel_type = 'm.replace'
  AND e.sender = o.sender AND e.type = o.type
ORDER BY e.relates_to, e.seq DESC"""
_THREADS = f"""
SELECT e.room_no, {_E}, t.last FROM (
    SELECT relates_to AS root, max(seq) AS last FROM event
    WHERE room_no = $1 AND relates_to IS NOT NULL AND rel_type = 'm.thread'
    GROUP BY relates_to HAVING $2::text IS NULL OR bool_or(sender = $2)
) AS t JOIN event AS e ON e.room_no = $1 AND e.seq = t.root
WHERE t.last <= $3 ORDER BY t.last DESC LIMIT $4"""


class Relations:
    """Reads relations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        room_no: int,
        parent: int,
        rel_type: str | None,
        kind: str | None,
        *,
        after: int,
        upto: int,
        limit: int,
        backwards: bool,
    ) -> list[Event]:
        """The events that relate to `parent`, with after < number <= upto."""
        sql = _PAGE if backwards else _PAGE.replace("e.seq DESC", "e.seq")
        rows = await self._database.fetch(sql, room_no, parent, after, upto, rel_type, kind, limit)
        return rows_to_events(rows)

    async def threads(
        self, room_no: int, participant: str | None, before: int, limit: int
    ) -> tuple[list[Event], int | None]:
        """Roots of threads, newest reply first, and where the next page begins."""
        rows = await self._database.fetch(_THREADS, room_no, participant, before, limit)
        more = rows[-1]["last"] - 1 if len(rows) == limit else None
        return rows_to_events(rows), more

    async def bundled(self, event: Event, room_id: str, session: Session) -> dict[str, Any]:
        """What `unsigned` says of an event's relations."""
        found = await self.bundled_all([event], room_id, session)
        return found.get(event.seq, {})

    async def bundled_all(
        self, events: Sequence[Event], room_id: str, session: Session
    ) -> dict[int, dict[str, Any]]:
        """For each event of one room that has a thread or an edit: what `unsigned` says of it."""
        # Neither a state event nor one that itself relates to another has any.
        roots = [e.seq for e in events if e.state_key is None and e.relates_to is None]
        if not roots:
            return {}
        room_no = events[0].room_no
        found: dict[int, dict[str, Any]] = {}
        for row in await self._database.fetch(_SUMMARIES, room_no, roots, session.user_id):
            latest = Event(*tuple(row)[1:17])
            found.setdefault(row["root"], {})["m.thread"] = {
                "latest_event": msgspec.Raw(event_json(latest, room_id, with_room=True)),
                "count": row["n"],
                "current_user_participated": bool(row["own"]),
            }
        for row in await self._database.fetch(_EDITS, room_no, roots):
            latest = Event(*tuple(row)[1:17])
            shown = msgspec.Raw(event_json(latest, room_id, with_room=True))
            found.setdefault(row["root"], {})["m.replace"] = shown
        return {seq: {"m.relations": related} for seq, related in found.items()}

"""What a user was notified of, judged when they ask: the newest events of the rooms that moved
last, by the push rules as they are now (DECISIONS 23)."""

from __future__ import annotations

from typing import Any

import msgspec
from systems_common.database import Database

from messaging.errors import invalid_param
from messaging.events import EVENT_COLUMNS, Event, event_json
from messaging.push_evaluation import enabled_rules, matching_rule, notifies
from messaging.rooms import Rooms, decoded
from messaging.sessions import Session
from messaging.unread import surroundings
from messaging.visibility import sees

__all__ = ["Notifications"]

_ROOMS_MAX = 50
_EVENTS_MAX = 100

_NEWEST = f"""
SELECT w.no, {", ".join(f"e.{part.strip()}" for part in EVENT_COLUMNS.split(","))},
       w.room_id, coalesce(k.seq, 0) AS read_upto
FROM (SELECT r.no, r.room_id FROM member AS m JOIN room AS r ON r.no = m.room_no
      WHERE m.user_id = $1 AND m.membership = 'join' ORDER BY r.xid DESC LIMIT {_ROOMS_MAX}) AS w
LEFT JOIN read_mark AS k ON (k.room_no, k.user_id) = (w.no, $1)
CROSS JOIN LATERAL (
    SELECT * FROM event WHERE room_no = w.no ORDER BY seq DESC LIMIT {_EVENTS_MAX}) AS e
WHERE e.sender <> $1
ORDER BY e.ts DESC, w.no DESC, e.seq DESC"""
_RULES = """
SELECT content FROM account_data WHERE (user_no, room_no, type) = ($1, 0, 'm.push_rules')"""

Place = tuple[int, int, int]


class Notifications:
    """Finds what a user's rules notify of."""

    def __init__(self, database: Database, rooms: Rooms) -> None:
        self._database = database
        self._rooms = rooms

    async def page(
        self, session: Session, *, behind: str | None, limit: int, highlights: bool
    ) -> dict[str, Any]:
        """The newest, or those behind a token. Raises M_INVALID_PARAM for what is no token."""
        after = None if behind is None else _place(behind)
        user_id = session.user_id
        rows = await self._database.fetch(_NEWEST, user_id)
        rules = enabled_rules(user_id, await self._database.fetchval(_RULES, session.user_no))
        around = await surroundings(self._database, sorted({row["no"] for row in rows}), user_id)
        found: list[dict[str, Any]] = []
        last: Place | None = None
        for row in rows:
            event = Event(*tuple(row)[:16])
            place = (event.ts, event.room_no, event.seq)
            if after is not None and place >= after:
                continue
            judged = {
                "type": event.type,
                "sender": event.sender,
                "room_id": row["room_id"],
                "content": decoded(event.content),
            }
            if event.state_key is not None:
                judged["state_key"] = event.state_key
            rule = matching_rule(rules, judged, around[event.room_no])
            if rule is None or not notifies(rule, highlights=highlights):
                continue
            rights = await self._rooms.rights(event.room_no, user_id)
            if not sees(await self._rooms.allowed(event.room_no, user_id, rights), event.seq):
                continue
            if len(found) == limit:
                return {"notifications": found, "next_token": "n" + ".".join(map(str, last or ()))}
            last = place
            found.append(
                {
                    "actions": rule.actions,
                    "event": msgspec.Raw(event_json(event, row["room_id"])),
                    "read": event.seq <= row["read_upto"],
                    "room_id": row["room_id"],
                    "ts": event.ts,
                }
            )
        return {"notifications": found}


def _place(token: str) -> Place:
    parts = token[1:].split(".")
    if not token.startswith("n") or len(parts) != 3 or not token.isascii():
        raise invalid_param("from: expected a token of this endpoint")
    if not all(part.isdigit() and len(part) < 19 for part in parts):
        raise invalid_param("from: expected a token of this endpoint")
    ts, room_no, seq = map(int, parts)
    return ts, room_no, seq

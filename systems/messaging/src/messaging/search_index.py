"""Writes the words of events where they can be searched, behind the events and beside the requests.

A send does not wait for it (DECISIONS 13).
"""

from __future__ import annotations

from typing import Any

from systems_common.database import Database

from messaging.following import BETWEEN, Follower, Place

__all__ = ["SearchIndex"]

_GATHER_S = 0.5
_CHUNK = 2_000

# The text of an event that was redacted is gone already; its words go when the redaction comes by,
# which is always behind the event. JSON cannot hold a NUL for PostgreSQL: such texts are left out.
_TAKE = f"""
WITH chunk AS MATERIALIZED (
    SELECT xid, room_no, seq, ts, type, redacts, redacted_by, content FROM event
    WHERE {BETWEEN} LIMIT {_CHUNK}
), read AS (
    SELECT c.room_no, c.seq, c.ts, convert_from(c.content, 'UTF8')::json -> k.key AS text
    FROM chunk AS c JOIN (VALUES ('m.room.message', 'body'), ('m.room.name', 'name'),
                                 ('m.room.topic', 'topic')) AS k(type, key) USING (type)
    WHERE c.redacted_by IS NULL AND position('\\x5c7530303030'::bytea IN c.content) = 0
), written AS (
    INSERT INTO event_text (room_no, seq, ts, words)
    SELECT room_no, seq, ts,
           to_tsvector('simple', text #>> '{{}}') || array_to_tsvector(ARRAY['#' || room_no])
    FROM read WHERE json_typeof(text) = 'string'
    ON CONFLICT DO NOTHING
), taken_away AS (
    DELETE FROM event_text AS t USING chunk AS c
    WHERE c.redacts IS NOT NULL AND (t.room_no, t.seq) = (c.room_no, c.redacts)
)
SELECT count(*) OVER () AS n, xid::text AS xid, room_no, seq FROM chunk
ORDER BY chunk.xid DESC, room_no DESC, seq DESC LIMIT 1"""


class SearchIndex(Follower):
    """Keeps the index up while anything is written here; `wake` says that something was."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            database, table="event_text_position", task="the search", gather_s=_GATHER_S
        )

    async def _take(self, connection: Any, seen: str, target: str, place: Place) -> Place | None:
        last = await connection.fetchrow(_TAKE, seen, target, *place)
        if last is None or last["n"] < _CHUNK:
            return None
        return last["xid"], last["room_no"], last["seq"]

"""Writes the words of events where they can be searched, behind the events and beside the requests.

A send does not wait for it. Each round goes from one snapshot of the database to another, as a sync
does, so an event that commits late is not left out; the position is kept with what was written, so
whatever process goes on, each event is taken once (DECISIONS 13).
"""

from __future__ import annotations

import asyncio
import logging

import asyncpg
from systems_common.database import Database, DatabaseUnavailableError, transaction

__all__ = ["SearchIndex"]

log = logging.getLogger(__name__)

_GATHER_S = 0.5
_RETRY_S = 1.0
_CHUNK = 2_000

_POSITION = """
SELECT seen, coalesce(target, pg_current_snapshot()::text) AS target, xid::text AS xid, room_no, seq
FROM event_text_position FOR UPDATE SKIP LOCKED"""
# The text of an event that was redacted is gone already; its words go when the redaction comes by,
# which is always behind the event. JSON cannot hold a NUL for PostgreSQL: such texts are left out.
_TAKE = f"""
WITH chunk AS MATERIALIZED (
    SELECT xid, room_no, seq, ts, type, redacts, redacted_by, content FROM event
    WHERE xid >= pg_snapshot_xmin($1::text::pg_snapshot)
      AND NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
      AND pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
      AND (xid, room_no, seq) > ($3::text::xid8, $4::bigint, $5::bigint)
    ORDER BY xid, room_no, seq LIMIT {_CHUNK}
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
_MOVE = """
UPDATE event_text_position
SET seen = $1, target = $2, xid = $3::text::xid8, room_no = $4, seq = $5"""


class SearchIndex:
    """Keeps the index up while anything is written here; `wake` says that something was."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_due = asyncio.Event()
        # Whoever wrote before may have ended before it was taken.
        self._is_due.set()

    def wake(self) -> None:
        """Something was committed."""
        self._is_due.set()

    async def run(self) -> None:
        """Take what is new, twice a second at most; until cancelled."""
        while True:
            await self._is_due.wait()
            await asyncio.sleep(_GATHER_S)
            self._is_due.clear()
            try:
                while await self._advance():
                    pass
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.warning("what can be searched falls behind", extra={"error": repr(error)})
                await asyncio.sleep(_RETRY_S)
                self._is_due.set()

    async def _advance(self) -> bool:
        """Take some events; whether there are more."""
        async with transaction(self._database) as connection:
            at = await connection.fetchrow(_POSITION)
            if at is None:
                # Another process is at it, perhaps not as far as what was written here.
                self._is_due.set()
                return False
            seen, target = at["seen"], at["target"]
            last = await connection.fetchrow(
                _TAKE, seen, target, at["xid"], at["room_no"], at["seq"]
            )
            if last is not None and last["n"] == _CHUNK:
                place = (last["xid"], last["room_no"], last["seq"])
                await connection.execute(_MOVE, seen, target, *place)
                return True
            await connection.execute(_MOVE, target, None, "0", 0, 0)
            return False

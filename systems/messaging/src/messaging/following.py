"""Follows the events that were committed, behind the requests: what a send does not wait for.

Each round goes from one snapshot of the database to another, as a sync does, so an event that
commits late is not left out. The position is kept with what was written, so whatever process goes
on and whichever dies, each event is taken once (DECISIONS 13).
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import asyncpg
from systems_common.database import Database, DatabaseUnavailableError, transaction

__all__ = ["BETWEEN", "Follower", "Place"]

log = logging.getLogger(__name__)

_IDLE_S = 10.0
_RETRY_S = 1.0

BETWEEN = """
    xid >= pg_snapshot_xmin($1::text::pg_snapshot)
    AND NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
    AND pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
    AND (xid, room_no, seq) > ($3::text::xid8, $4::bigint, $5::bigint)
ORDER BY event.xid, room_no, seq"""
"""The events from one snapshot to another behind a place, for `FROM event WHERE`. Ordered by the
column: a text of that name among what is selected would put transaction 1000 before 999."""

Place: TypeAlias = tuple[str, int, int]
"""An event, in the order they are taken in: transaction, room, number."""

_BEGINNING: Place = ("0", 0, 0)


class Follower(ABC):
    """Takes what is new once in `gather_s` at most. `table` has the position, in one row; `task` is
    what falls behind when the database is away."""

    def __init__(self, database: Database, *, table: str, task: str, gather_s: float) -> None:
        self._database = database
        self._task = task
        self._gather_s = gather_s
        self._position = f"""
            SELECT seen, coalesce(target, pg_current_snapshot()::text) AS target,
                   xid::text AS xid, room_no, seq
            FROM {table} FOR UPDATE SKIP LOCKED"""
        self._move = f"""
            UPDATE {table}
            SET seen = $1, target = $2, xid = $3::text::xid8, room_no = $4, seq = $5"""
        self._is_due = asyncio.Event()
        # Whoever wrote before may have ended before it was taken.
        self._is_due.set()

    def wake(self) -> None:
        """Something was committed."""
        self._is_due.set()

    async def run(self) -> None:
        """Take what is new, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_IDLE_S):
                    await self._is_due.wait()
            except TimeoutError:
                # What a process wrote that died then is taken by one that lives.
                pass
            await asyncio.sleep(self._gather_s)
            self._is_due.clear()
            try:
                while await self.advance():
                    pass
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.warning("%s falls behind", self._task, extra={"error": repr(error)})
                await asyncio.sleep(_RETRY_S)
                self._is_due.set()

    async def advance(self) -> bool:
        """Take some events; whether there are more."""
        async with transaction(self._database) as connection:
            at = await connection.fetchrow(self._position)
            if at is None:
                # Another process is at it, perhaps not as far as what was written here.
                self._is_due.set()
                return False
            seen, target = at["seen"], at["target"]
            place = at["xid"], at["room_no"], at["seq"]
            last = await self._take(connection, seen, target, place)
            if last is None:
                await connection.execute(self._move, target, None, *_BEGINNING)
            else:
                await connection.execute(self._move, seen, target, *last)
            return last is not None

    @abstractmethod
    async def _take(self, connection: Any, seen: str, target: str, place: Place) -> Place | None:
        """Take events `BETWEEN` these, within the transaction; the last one, None: it was all."""

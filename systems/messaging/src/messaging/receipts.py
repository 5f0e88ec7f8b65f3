"""Read receipts, and how far a user has read.

RECEIPTS=sync: stored before the answer. batch: answered at once and stored within 50 ms, many with
one statement, of each user and room the newest; a process that is killed loses those 50 ms.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

import asyncpg
import msgspec
from systems_common.contention import tried_again
from systems_common.database import Database, DatabaseUnavailableError

from messaging.events import event_id_of

__all__ = ["Receipt", "Receipts", "receipts_content"]

log = logging.getLogger(__name__)

_GATHER_S = 0.05
_PENDING_MAX = 100_000
_RETRY_S = 0.5

# Both in the order of rooms and users, as the statement that appends messages does, so that two of
# them cannot wait for each other in a circle.
_STORE = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                         $6::bigint[]) AS g(room_no, user_id, type, thread, seq, ts)
), marked AS (
    INSERT INTO read_mark (room_no, user_id, seq, counted)
    SELECT g.room_no, g.user_id, g.seq, e.counted
    FROM (SELECT room_no, user_id, max(seq) AS seq FROM given WHERE thread IN ('', 'main')
          GROUP BY room_no, user_id) AS g
    JOIN event AS e ON e.room_no = g.room_no AND e.seq = g.seq
    ORDER BY g.room_no, g.user_id
    ON CONFLICT (room_no, user_id) DO UPDATE SET seq = excluded.seq, counted = excluded.counted
    WHERE read_mark.seq < excluded.seq
), stored AS (
    INSERT INTO receipt (room_no, user_id, type, thread, seq, ts)
    SELECT g.* FROM given AS g WHERE EXISTS (
        SELECT FROM event AS e WHERE e.room_no = g.room_no AND e.seq = g.seq)
    ORDER BY g.room_no, g.user_id, g.type, g.thread
    ON CONFLICT (room_no, user_id, type, thread) DO UPDATE
    SET seq = excluded.seq, ts = excluded.ts, xid = pg_current_xact_id()
    WHERE receipt.seq < excluded.seq
    RETURNING room_no
)
SELECT room_no{} FROM (SELECT DISTINCT room_no FROM stored) AS moved"""
_TOLD = ", pg_notify('room_moved', room_no::text)"


class Receipt(msgspec.Struct, frozen=True):
    """A user read a room, or a thread of it, up to the event of that number."""

    room_no: int
    user_id: str
    type: str
    thread: str
    seq: int
    ts: int


def receipts_content(room_id: str, receipts: Iterable[Any]) -> dict[str, Any]:
    """The content of an `m.receipt`; of each receipt its user, type, thread, seq and ts."""
    content: dict[str, Any] = {}
    for receipt in receipts:
        if isinstance(receipt, asyncpg.Record):
            user, kind, thread = receipt["user_id"], receipt["type"], receipt["thread"]
            seq, ts = receipt["seq"], receipt["ts"]
        else:
            user, kind, thread = receipt.user_id, receipt.type, receipt.thread
            seq, ts = receipt.seq, receipt.ts
        shown: dict[str, Any] = {"ts": ts}
        if thread:
            shown["thread_id"] = thread
        by_type = content.setdefault(event_id_of(room_id, seq), {})
        by_type.setdefault(kind, {})[user] = shown
    return content


class Receipts:
    """Stores receipts; `moved` is called with each room that has a new one."""

    def __init__(
        self,
        database: Database,
        moved: Callable[[int], None],
        *,
        mode: Literal["sync", "batch"],
        notify: bool,
    ) -> None:
        self._database = database
        self._moved = moved
        self._is_batch = mode == "batch"
        self._sql = _STORE.format(_TOLD if notify else "")
        self._pending: dict[tuple[int, str, str, str], Receipt] = {}
        self._storing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def add(self, room_no: int, user_id: str, kind: str, thread: str, seq: int) -> None:
        """A receipt of a user who may see that event."""
        receipt = Receipt(room_no, user_id, kind, thread, seq, int(time.time() * 1000))
        if not self._is_batch:
            await self._store([receipt])
            return
        key = (room_no, user_id, kind, thread)
        before = self._pending.get(key)
        if before is None or before.seq < seq:
            self._pending[key] = receipt
        if self._storing is None:
            self._storing = self._loop.create_task(self._store_soon())

    async def drain(self) -> None:
        """Wait for what is under way."""
        if self._storing is not None:
            await asyncio.wait({self._storing})

    async def _store_soon(self) -> None:
        try:
            while self._pending:
                await asyncio.sleep(_GATHER_S)
                pending, self._pending = self._pending, {}
                try:
                    await self._store(list(pending.values()))
                except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                    log.warning("receipts wait", extra={"error": repr(error)})
                    if len(pending) < _PENDING_MAX:
                        self._pending = {**pending, **self._pending}
                    await asyncio.sleep(_RETRY_S)
        finally:
            self._storing = None

    @tried_again
    async def _store(self, receipts: list[Receipt]) -> None:
        rows = await self._database.fetch(
            self._sql,
            [r.room_no for r in receipts],
            [r.user_id for r in receipts],
            [r.type for r in receipts],
            [r.thread for r in receipts],
            [r.seq for r in receipts],
            [r.ts for r in receipts],
        )
        for row in rows:
            self._moved(row["room_no"])

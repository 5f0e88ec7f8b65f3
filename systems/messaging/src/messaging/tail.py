"""Follows everything that is committed, for all connections of this process together.

One statement reads what the snapshot of the last one did not see: the events and receipts of the
watched rooms, and which users changed. So however many wait, a change is read once in a process,
and none is missed whatever wake-up was lost: wake-ups only say that it is time to read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

import asyncpg
from systems_common.database import Database, DatabaseUnavailableError

from messaging.events import EVENT_COLUMNS, Event
from messaging.feeds import ReceiptItem, RoomFeed, UserFeed
from messaging.mentions import mentioned
from messaging.rooms import decoded
from messaging.snapshots import NOTHING, Snapshot, snapshot_of
from messaging.typing_notices import TypingNotices
from messaging.wake import Wake

__all__ = ["Tail"]

log = logging.getLogger(__name__)

_IDLE_S = 60.0
_SWEEP_S = 10.0
_SAFETY_S = 1.0
_UNHEARD_S = 0.1
_RETRY_S = 0.2
# With more rooms than this it is cheaper to leave out here what nobody waits for.
_LISTED_MAX = 2_000

_E = ", ".join(f"e.{part.strip()}" for part in EVENT_COLUMNS.split(","))
_READ = f"""
SELECT 's' AS kind, 0::bigint AS room_no, 0::bigint AS seq, 0::bigint AS xid, 0::bigint AS ts,
       NULL::bigint AS device_no, 0::bigint AS counted, false AS counts, NULL::bigint AS replaces,
       NULL::bigint AS relates_to, NULL::bigint AS redacts, NULL::bigint AS redacted_by,
       '' AS sender, '' AS type, NULL::text AS state_key, pg_current_snapshot()::text AS txn,
       ''::bytea AS content
UNION ALL
(SELECT 'e', e.room_no, {_E} FROM event AS e
WHERE e.xid >= $1::text::xid8 AND NOT pg_visible_in_snapshot(e.xid, $2::text::pg_snapshot)
  AND ($3::bigint[] IS NULL OR e.room_no = ANY($3)) ORDER BY e.room_no, e.seq)
UNION ALL
SELECT 'r', r.room_no, r.seq, r.xid::text::bigint, r.ts, NULL,
       coalesce((SELECT counted FROM event AS e WHERE (e.room_no, e.seq) = (r.room_no, r.seq)), 0),
       false, NULL, NULL, NULL, NULL, r.user_id, r.type, NULL, r.thread, ''
FROM receipt AS r
WHERE r.xid >= $1::text::xid8 AND NOT pg_visible_in_snapshot(r.xid, $2::text::pg_snapshot)
  AND ($3::bigint[] IS NULL OR r.room_no = ANY($3))
UNION ALL
SELECT 'u', 0, u.user_no, 0, 0, NULL, 0, false, NULL, NULL, NULL, NULL, '', '', NULL, NULL, ''
FROM user_change AS u
WHERE u.xid >= $1::text::xid8 AND NOT pg_visible_in_snapshot(u.xid, $2::text::pg_snapshot)"""


class Tail:
    """The feeds, and the loop that fills them."""

    def __init__(
        self,
        database: Database,
        typing: TypingNotices,
        *,
        coalesce_s: float,
        poll_s: float | None,
        hears: Callable[[], bool],
    ) -> None:
        self.process = secrets.token_hex(4)
        self.number = 0
        self.snapshot: Snapshot = NOTHING
        self.typing_version = 0
        self.rooms: dict[int, RoomFeed] = {}
        self.users: dict[int, UserFeed] = {}
        self.wake: Wake | None = None
        self._database = database
        self._typing = typing
        self._coalesce_s = coalesce_s
        self._poll_s = poll_s
        self._hears = hears
        self._is_due = asyncio.Event()
        self._look_at_typing = True
        self._is_reading = False
        self._loop = asyncio.get_running_loop()
        self._expiries: set[int] = set()
        self._catching_up: list[asyncio.Future[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def heard(self, typing: bool = False) -> None:
        """Something may be new: read soon."""
        self._look_at_typing = self._look_at_typing or typing
        self._is_due.set()

    async def caught_up(self) -> None:
        """Wait for a read that is begun from now on, at most a second."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._catching_up.append(future)
        self._is_due.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await future

    def watch_room(self, no: int, room_id: str) -> RoomFeed:
        """The feed of a room, from now on complete."""
        feed = self.rooms.get(no)
        if feed is None:
            # A read that is under way does not know of it yet.
            feed = RoomFeed(no, room_id, self.number + self._is_reading)
            self.rooms[no] = feed
            if self.wake is not None:
                self.wake.watch("room", no)
        feed.used_s = time.monotonic()
        return feed

    def watch_user(self, no: int) -> UserFeed:
        """The feed of a user."""
        feed = self.users.get(no)
        if feed is None:
            feed = self.users[no] = UserFeed(no)
            if self.wake is not None:
                self.wake.watch("user", no)
        feed.used_s = time.monotonic()
        return feed

    async def open(self) -> None:
        """Read where the database is now. Raises `DatabaseUnavailableError`."""
        self._is_reading = True
        try:
            text = await self._database.fetchval("SELECT pg_current_snapshot()::text")
        finally:
            self._is_reading = False
        self.snapshot = snapshot_of(text)
        self.number += 1

    async def run(self) -> None:
        """Read whenever something was heard, at most every `coalesce_s`; until cancelled."""
        sweep_s = time.monotonic()
        while True:
            pause_s = self._poll_s or (_SAFETY_S if self._hears() else _UNHEARD_S)
            try:
                async with asyncio.timeout(pause_s):
                    await self._is_due.wait()
            except TimeoutError:
                # Nobody told, or a wake-up was lost.
                self._look_at_typing = self._look_at_typing or self._poll_s is not None
            began_s = time.monotonic()
            self._is_due.clear()
            catching_up, self._catching_up = self._catching_up, []
            try:
                if self.rooms or self.users:
                    await self._read()
                else:
                    await self.open()
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.warning("cannot follow the database", extra={"error": repr(error)})
                await asyncio.sleep(_RETRY_S)
                self._is_due.set()
            for future in catching_up:
                if not future.done():
                    future.set_result(None)
            if began_s - sweep_s > _SWEEP_S:
                sweep_s = began_s
                self._sweep(began_s)
            left_s = began_s + self._coalesce_s - time.monotonic()
            if left_s > 0 and self._poll_s is None:
                await asyncio.sleep(left_s)

    async def _read(self) -> None:
        seen = self.snapshot
        listed = list(self.rooms) if len(self.rooms) <= _LISTED_MAX else None
        self._is_reading = True
        try:
            rows = await self._database.fetch(_READ, str(seen.xmin), seen.text, listed)
        finally:
            self._is_reading = False
        self.number += 1
        tail = self.number
        moved: set[RoomFeed] = set()
        changed: list[UserFeed] = []
        receipts = []
        for row in rows:
            kind = row[0]
            if kind == "s":
                self.snapshot = snapshot_of(row["txn"])
            elif kind == "u":
                if (user := self.users.get(row["seq"])) is not None:
                    user.changed = tail
                    changed.append(user)
            elif (room := self.rooms.get(row["room_no"])) is not None:
                moved.add(room)
                if kind == "e":
                    event = Event(*tuple(row)[1:])
                    room.add_event(event, tail, _mentions(event))
                else:
                    receipts.append((room, row))
        for room, row in receipts:
            room.add_receipt(_receipt(row, tail), row["counted"])
        if self._look_at_typing:
            await self._read_typing(moved)
        for room in moved:
            room.wake()
        for user in changed:
            user.wake()

    async def _read_typing(self, moved: set[RoomFeed]) -> None:
        self._look_at_typing = False
        found = await self._typing.since(self.typing_version)
        if found is None:
            return
        version, rooms = found
        if version < self.typing_version:
            # Valkey lost what it held; whoever typed will say so again.
            self.typing_version = 0
            self._look_at_typing = True
        else:
            self.typing_version = version
        for no, typing in rooms.items():
            if (room := self.rooms.get(no)) is not None:
                room.typing = typing
                room.typing_version = version
                moved.add(room)
                self._expect_expiry(room)

    def _expect_expiry(self, room: RoomFeed) -> None:
        now_ms = time.time() * 1000
        pending = [until for until in room.typing.values() if until > now_ms]
        if pending and room.no not in self._expiries:
            self._expiries.add(room.no)
            self._loop.call_later((min(pending) - now_ms) / 1000 + 0.01, self._expired, room)

    def _expired(self, room: RoomFeed) -> None:
        self._expiries.discard(room.no)
        task = self._loop.create_task(self._typing.expire(room.no))
        task.add_done_callback(lambda done: self.heard(True))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _sweep(self, now_s: float) -> None:
        for user in [u for u in self.users.values() if not u.waiters]:
            if now_s - user.used_s > _IDLE_S:
                del self.users[user.user_no]
                if self.wake is not None:
                    self.wake.unwatch("user", user.user_no)
        used = {no for user in self.users.values() for no in user.rooms}
        for room in [r for r in self.rooms.values() if not r.waiters and r.no not in used]:
            if now_s - room.used_s > _IDLE_S:
                del self.rooms[room.no]
                if self.wake is not None:
                    self.wake.unwatch("room", room.no)


def _receipt(row: Any, tail: int) -> ReceiptItem:
    return ReceiptItem(
        row["sender"], row["type"], row["txn"] or "", row["seq"], row["ts"], row["xid"], tail
    )


def _mentions(event: Event) -> list[str]:
    if b'"m.mentions"' not in event.content or event.state_key is not None:
        return []
    # Whether the sender may mention everybody is not known here: then nothing is taken for known.
    return mentioned(decoded(event.content), room_level=True)

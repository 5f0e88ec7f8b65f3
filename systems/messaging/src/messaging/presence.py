"""Who is online, for all connections of this process together.

Once in `coalesce_s` a process asks Valkey who changed, and notes it at the rooms that somebody here
waits for. So a change costs each process one question, whatever the number of those who wait, and
nobody is woken for it more often than that. In rooms of more than `WAKING_MAX` members it wakes
nobody: it goes with the next answer, which is at the latest the one at the end of a poll. Of each
room the newest `_RING_MAX` are told. So what presence adds to an answer is bounded, however many
members a room has (DECISIONS 11).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
import msgspec
from glide import GlideError
from systems_common.database import Database, DatabaseUnavailableError

from messaging.feeds import RoomFeed
from messaging.filters import EventFilter, passes
from messaging.presence_store import RANKS, Change, PresenceStore, State
from messaging.sessions import Session

__all__ = ["NOBODY", "WAKING_MAX", "Presence", "Told"]

log = logging.getLogger(__name__)

WAKING_MAX = 100
"""Members of a room in which a change of presence ends polls."""
_RING_MAX = 100
_TOLD_MAX = 500
_LOOKED_AT_MAX = 1_000
_STATES_MAX = 20_000
# A poll says that its device is there until it ends, and so long after, for the next to come.
_LEASE_S = 25.0
_LEASE_LEFT_S = 5.0
_ACTIVE_EVERY_S = 60.0
# In so many rounds every process has said again what it knows, when Valkey has lost it.
_RESTORED_ROUNDS = 5
_LEASES_MAX = 100_000

_ROOMS = """
SELECT user_id, room_no FROM member WHERE user_id = ANY($1::text[]) AND membership = 'join'
AND room_no = ANY($2::bigint[])"""
_SHARERS = """
SELECT DISTINCT user_id FROM member WHERE user_id = ANY($1::text[]) AND membership = 'join'
AND room_no = ANY($2::bigint[])"""
_SHARES = """
SELECT EXISTS (SELECT FROM member AS own JOIN member AS other USING (room_no)
WHERE own.user_id = $1 AND own.membership = 'join'
AND other.user_id = $2 AND other.membership = 'join')"""


class _Lease(msgspec.Struct, frozen=True):
    user_id: str
    rank: int
    until_s: float


class Told(msgspec.Struct, frozen=True):
    """What an answer may tell: of whom, whether that is worth an answer, and up to where."""

    states: list[State]
    is_urgent: bool
    version: int

    def events(self) -> list[dict[str, Any]]:
        """The events of `presence` in /sync."""
        now_ms = time.time() * 1000
        return [
            {"type": "m.presence", "sender": state.user_id, "content": state.content(now_ms)}
            for state in self.states
        ]


NOBODY = Told([], False, 0)


class Presence:
    """Keeps and tells presence. Without a store nobody is ever online."""

    def __init__(
        self,
        store: PresenceStore | None,
        database: Database,
        rooms: Mapping[int, RoomFeed],
        *,
        coalesce_s: float,
    ) -> None:
        self.version = 0
        self._store = store
        self._database = database
        self._rooms = rooms
        self._coalesce_s = coalesce_s
        self._states: OrderedDict[str, State] = OrderedDict()
        self._leases: dict[int, _Lease] = {}
        self._active_s: dict[int, float] = {}
        self._pending: list[Change] = []
        self._putting: asyncio.Task[None] | None = None
        self._epoch: str | None = None
        self._lost: set[str] = set()
        self._lost_due_s = 0.0

    def polled(self, session: Session, presence: str, lasts_s: float) -> None:
        """A device polls for so long, and says that its user is there meanwhile."""
        rank = RANKS[presence]
        if rank == 0 or self._store is None:
            return
        now_s = time.monotonic()
        lease = self._leases.get(session.device_no)
        is_same = lease is not None and lease.rank == rank and lease.until_s > now_s
        if lease is not None and is_same and lease.until_s >= now_s + lasts_s + _LEASE_LEFT_S:
            return
        until_s = now_s + lasts_s + _LEASE_S
        if len(self._leases) > _LEASES_MAX:
            self._leases = {no: one for no, one in self._leases.items() if one.until_s > now_s}
        self._leases[session.device_no] = _Lease(session.user_id, rank, until_s)
        lasts_s = until_s - now_s
        self._put_soon(
            Change(session.user_id, session.device_no, rank, lasts_s, is_active=not is_same)
        )

    def acted(self, session: Session) -> None:
        """The user did something."""
        now_s = time.monotonic()
        if self._store is None or now_s - self._active_s.get(session.user_no, -1e9) < (
            _ACTIVE_EVERY_S
        ):
            return
        if len(self._active_s) > _LEASES_MAX:
            self._active_s.clear()
        self._active_s[session.user_no] = now_s
        self._put_soon(Change(session.user_id, session.device_no, None, 0, is_active=True))

    async def set(self, session: Session, presence: str, message: str) -> None:
        """What the user says of themselves; lost when Valkey is away."""
        if self._store is None:
            return
        self._leases.pop(session.device_no, None)
        rank = RANKS[presence]
        said = Change(session.user_id, session.device_no, rank, 2 * _LEASE_S, rank > 0, message)
        try:
            await self._store.put([said])
        except GlideError as error:
            log.info("presence is not kept", extra={"error": repr(error)})

    async def of(self, user_id: str) -> State:
        """One user, now; offline when nobody knows."""
        if self._store is not None:
            try:
                return await self._store.get(user_id)
            except GlideError as error:
                log.info("presence is not read", extra={"error": repr(error)})
        return State(user_id, 0, False, "", 0)

    async def shares(self, user_id: str, other: str) -> bool:
        """Whether the two are in a room together."""
        return bool(await self._database.fetchval(_SHARES, user_id, other))

    def _put_soon(self, change: Change) -> None:
        self._pending.append(change)
        if self._putting is None:
            self._putting = asyncio.get_running_loop().create_task(self._put_pending())

    async def _put_pending(self) -> None:
        assert self._store is not None
        try:
            while self._pending:
                pending, self._pending = self._pending, []
                try:
                    await self._store.put(pending)
                except GlideError as error:
                    log.info("presence is not kept", extra={"error": repr(error)})
                    for change in pending:
                        # The next poll says it again.
                        self._leases.pop(change.device_no, None)
        finally:
            self._putting = None

    async def run(self) -> None:
        """Ask who changed, once in `coalesce_s`, while rooms are watched; until cancelled."""
        while self._store is not None:
            await asyncio.sleep(self._coalesce_s)
            if not self._rooms:
                continue
            try:
                await self._look(self._store)
            except GlideError as error:
                log.info("presence is not read", extra={"error": repr(error)})
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.info("presence waits for the database", extra={"error": repr(error)})

    async def _look(self, store: PresenceStore) -> None:
        new = [room for room in self._rooms.values() if room.presence_from is None]
        before, more = self.version, True
        while more:
            epoch, states, more = await store.since(self.version)
            if self._epoch is not None and epoch != self._epoch:
                await self._restore(store)
            self._epoch = epoch
            if states:
                await self._note(states)
        for room in new:
            # Whatever changed behind that is noted at the room.
            room.presence_from = before
        if self._lost and time.monotonic() >= self._lost_due_s:
            await store.settle(self._lost)
            self._lost.clear()

    async def _restore(self, store: PresenceStore) -> None:
        """Valkey lost everything: say again who polls here, and soon that the others are gone."""
        now_s = time.monotonic()
        await store.put(
            [
                Change(one.user_id, device_no, one.rank, one.until_s - now_s, is_active=True)
                for device_no, one in self._leases.items()
                if one.until_s > now_s
            ]
        )
        self._lost = {state.user_id for state in self._states.values() if state.rank}
        self._lost_due_s = now_s + _RESTORED_ROUNDS * self._coalesce_s

    async def _note(self, states: list[State]) -> None:
        users = [state.user_id for state in states]
        rows = await self._database.fetch(_ROOMS, users, list(self._rooms))
        for state in states:
            self._states[state.user_id] = state
            self._states.move_to_end(state.user_id)
        while len(self._states) > _STATES_MAX:
            self._states.popitem(last=False)
        rooms_of: dict[str, list[RoomFeed]] = {}
        for row in rows:
            if (room := self._rooms.get(row["room_no"])) is not None:
                rooms_of.setdefault(row["user_id"], []).append(room)
        moved: set[RoomFeed] = set()
        for state in states:
            for room in rooms_of.get(state.user_id, ()):
                room.presence.pop(state.user_id, None)
                room.presence[state.user_id] = state.version
                room.presence_version = state.version
                if len(room.presence) > _RING_MAX:
                    del room.presence[next(iter(room.presence))]
                moved.add(room)
        self.version = states[-1].version
        for room in moved:
            if room.joined <= WAKING_MAX:
                room.wake()

    async def told(
        self, user_id: str, rooms: Mapping[int, RoomFeed], since: int, wanted: EventFilter
    ) -> Told:
        """Who of those in these rooms changed behind that version, as far as the filter goes."""
        if since >= self.version:
            return Told([], False, since)
        found = self._noted(user_id, rooms, since)
        if found is None:
            version = self.version
            sharers = await self.known(user_id, rooms, since)
            found = Told(sharers, bool(sharers), version)
        if wanted.takes_all:
            return found
        states = [
            one for one in found.states if passes(wanted, kind="m.presence", sender=one.user_id)
        ]
        return Told(states, found.is_urgent and bool(states), found.version)

    def _noted(self, user_id: str, rooms: Mapping[int, RoomFeed], since: int) -> Told | None:
        """From what is noted at the rooms; None when that does not reach back so far."""
        found: dict[str, State] = {}
        is_urgent = False
        for room in rooms.values():
            if room.presence_from is None or room.presence_from > since:
                return None
            if room.presence_version <= since or len(found) >= _TOLD_MAX:
                continue
            for other, version in reversed(room.presence.items()):
                if version <= since:
                    break
                if other != user_id and (state := self._states.get(other)) is not None:
                    found[other] = state
                    is_urgent = is_urgent or room.joined <= WAKING_MAX
        return Told(list(found.values()), is_urgent, self.version)

    async def known(self, user_id: str, room_nos: Iterable[int], since: int = 0) -> list[State]:
        """Of the newest changes behind that version those of users in these rooms; for who has seen
        nothing yet (0) only of who is there."""
        looked_at: dict[str, State] = {}
        for state in reversed(self._states.values()):
            if state.version <= since or len(looked_at) >= _LOOKED_AT_MAX:
                break
            if state.user_id != user_id and (since or state.rank):
                looked_at[state.user_id] = state
        if not looked_at:
            return []
        rows = await self._database.fetch(_SHARERS, list(looked_at), list(room_nos))
        return [looked_at[row["user_id"]] for row in rows[:_TOLD_MAX]]

    def of_these(self, user_ids: Iterable[str]) -> list[State]:
        """Those of these users who are there."""
        states = (self._states.get(user_id) for user_id in user_ids)
        return [state for state in states if state is not None and state.rank]

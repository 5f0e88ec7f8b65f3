"""What a process remembers of the rooms and users that its connections wait for. No IO.

A tail reads everything that was committed since the one before it, for all watched rooms at once,
and hands it out here. Each tail has a number. A feed is complete from a number on: whatever was
committed behind that tail is in it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

import msgspec

from messaging.events import Event, event_json, redacted_content
from messaging.mentions import ROOM
from messaging.push_evaluation import OwnRules, Surroundings

__all__ = ["EventItem", "Mark", "ReceiptItem", "RoomFeed", "Tally", "UserFeed", "Waiter"]

_ITEMS_MAX = 200


class EventItem:
    """An event, encoded at most once for all who get it."""

    __slots__ = ("_encoded", "event", "tail")

    def __init__(self, event: Event, tail: int) -> None:
        self.event = event
        self.tail = tail
        self._encoded: bytes | None = None

    def redact(self, by: int) -> None:
        """The event of that number takes away what this one says."""
        event = self.event
        if event.redacted_by is None:
            content = redacted_content(event.type, msgspec.json.decode(event.content))
            self.event = msgspec.structs.replace(
                event, content=content, redacted_by=by, relates_to=None
            )
            self._encoded = None

    def encoded(self, room_id: str, device_no: int) -> bytes:
        """As the client of that device sees it."""
        event = self.event
        if event.txn is not None and event.device_no == device_no:
            return event_json(event, room_id, txn=True)
        if self._encoded is None:
            self._encoded = event_json(event, room_id)
        return self._encoded


class ReceiptItem(msgspec.Struct, frozen=True):
    """A receipt of a user, up to the event of number `seq`."""

    user_id: str
    type: str
    thread: str
    seq: int
    ts: int
    xid: int
    tail: int


class Mark(msgspec.Struct):
    """How far a user has read, and the highlights behind that; `extra`: those of them that count
    for nobody else."""

    seq: int
    counted: int
    highlights: set[int]
    extra: set[int]


class Tally(msgspec.Struct):
    """What a user with rules of their own has not read behind `mark`, judged up to `upto`."""

    rules: OwnRules
    surroundings: Surroundings
    mark: int = 0
    upto: int = 0
    unread: int = 0
    highlights: int = 0


class Waiter:
    """Somebody who waits in /sync. `wake` may come at any time, also before the wait."""

    __slots__ = ("_future", "_woken")

    def __init__(self) -> None:
        self._woken = False
        self._future: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """There may be something new."""
        self._woken = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def reset(self) -> None:
        """Forget wake-ups so far: what they were for is about to be read."""
        self._woken = False

    async def wait(self, timeout_s: float) -> bool:
        """Until woken; False when nobody did within the time."""
        if self._woken:
            return True
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        alarm = loop.call_later(timeout_s, self._expire, self._future)
        try:
            await self._future
        finally:
            alarm.cancel()
            self._future = None
        return self._woken

    @staticmethod
    def _expire(future: asyncio.Future[None]) -> None:
        if not future.done():
            future.set_result(None)


class RoomFeed:
    """The newest events and receipts of one watched room."""

    __slots__ = (
        "complete_from",
        "counted",
        "events",
        "joined",
        "last_tail",
        "marks",
        "members",
        "no",
        "presence",
        "presence_from",
        "presence_version",
        "receipts",
        "room_id",
        "seq",
        "tallies",
        "typing",
        "typing_version",
        "used_s",
        "waiters",
    )

    def __init__(self, no: int, room_id: str, complete_from: int) -> None:
        self.no = no
        self.room_id = room_id
        self.complete_from = complete_from
        self.last_tail = -1
        self.seq = 0
        self.counted = 0
        self.events: deque[EventItem] = deque()
        self.receipts: deque[ReceiptItem] = deque()
        self.marks: dict[str, Mark] = {}
        self.tallies: dict[str, Tally] = {}
        self.members: dict[str, bytes] = {}
        self.typing: dict[str, int] = {}
        self.typing_version = 0
        self.joined = 0
        # Of each member whose presence changed the version, oldest first; all behind that number.
        self.presence: dict[str, int] = {}
        self.presence_version = 0
        self.presence_from: int | None = None
        self.waiters: set[Waiter] = set()
        self.used_s = 0.0

    def add_event(self, event: Event, tail: int, mentions: Iterable[str]) -> None:
        """An event that was committed."""
        self.events.append(EventItem(event, tail))
        self.last_tail = tail
        self.seq, self.counted = max(self.seq, event.seq), max(self.counted, event.counted)
        if len(self.events) > _ITEMS_MAX:
            self.complete_from = max(self.complete_from, self.events.popleft().tail)
        if event.redacts is not None:
            for item in self.events:
                if item.event.seq == event.redacts:
                    item.redact(event.seq)
            self.members.clear()
        if event.state_key is not None and event.type == "m.room.member":
            self.members.pop(event.state_key, None)
        for user in mentions:
            if user == ROOM:
                self.marks.clear()
            elif user != event.sender and (mark := self.marks.get(user)) is not None:
                mark.highlights.add(event.seq)
                if not event.counts:
                    mark.extra.add(event.seq)
        self._read(event.sender, event.seq, event.counted)

    def add_receipt(self, receipt: ReceiptItem, counted: int) -> None:
        """A receipt that was committed; `counted` of its event."""
        self.receipts.append(receipt)
        self.last_tail = receipt.tail
        if len(self.receipts) > _ITEMS_MAX:
            self.complete_from = max(self.complete_from, self.receipts.popleft().tail)
        if receipt.thread in ("", "main"):
            self._read(receipt.user_id, receipt.seq, counted)

    def _read(self, user_id: str, seq: int, counted: int) -> None:
        mark = self.marks.get(user_id)
        if mark is not None and seq > mark.seq:
            mark.seq, mark.counted = seq, counted
            mark.highlights = {at for at in mark.highlights if at > seq}
            mark.extra = {at for at in mark.extra if at > seq}

    def unread(self, user_id: str, upto: int) -> tuple[int, int] | None:
        """Unread events and highlights, None when the user's mark is not known.

        `upto`: how many count up to the newest event that the user is given.
        """
        mark = self.marks.get(user_id)
        if mark is None:
            return None
        return max(0, upto - mark.counted) + len(mark.extra), len(mark.highlights)

    def since(self, seq: int) -> list[Event] | None:
        """The events behind that number, None when not all of them are remembered."""
        found: list[Event] = []
        for item in reversed(self.events):
            if item.event.seq <= seq:
                return found[::-1]
            found.append(item.event)
        # All that is remembered is newer; nothing may lie in between.
        if not found:
            return found if self.seq <= seq else None
        return found[::-1] if found[-1].seq == seq + 1 else None

    def wake(self) -> None:
        """Wake all who wait for this room."""
        for waiter in self.waiters:
            waiter.wake()


class UserFeed:
    """The rooms of one user, as read after the tail of number `loaded`."""

    __slots__ = ("changed", "is_loaded", "loaded", "rooms", "rules", "used_s", "user_no", "waiters")

    def __init__(self, user_no: int) -> None:
        self.user_no = user_no
        self.loaded = -1
        self.changed = -1
        self.is_loaded = False
        self.rules: OwnRules | None = None
        self.rooms: dict[int, RoomFeed] = {}
        self.waiters: set[Waiter] = set()
        self.used_s = 0.0

    def load(self, rooms: dict[int, RoomFeed], rules: OwnRules | None, tail: int) -> None:
        """The rooms that the user is in, and push rules of their own, read after that tail."""
        if tail < self.loaded:
            return
        if rooms.keys() != self.rooms.keys():
            for room in self.rooms.values():
                room.waiters -= self.waiters
            for room in rooms.values():
                room.waiters |= self.waiters
        self.rooms, self.rules, self.loaded, self.is_loaded = rooms, rules, tail, True

    def enter(self, waiter: Waiter) -> None:
        """Wake it for the user and each room."""
        self.waiters.add(waiter)
        for room in self.rooms.values():
            room.waiters.add(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Wake it no more."""
        self.waiters.discard(waiter)
        for room in self.rooms.values():
            room.waiters.discard(waiter)

    def wake(self) -> None:
        """Wake all devices of the user."""
        for waiter in self.waiters:
            waiter.wake()

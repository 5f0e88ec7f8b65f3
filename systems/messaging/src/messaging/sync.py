"""/sync: waits until there is something new for a device, and answers with it.

Most answers come from what the process remembers (SYNC_CACHE=on): a poll that goes on where an
answer of this process ended, in rooms that were followed since. All others, and whatever is rare,
are read from the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from systems_common.database import Database

from messaging.events import event_json
from messaging.feeds import EventItem, RoomFeed, UserFeed, Waiter
from messaging.filters import Filter, passes
from messaging.presence import Presence, Told
from messaging.reading import Reading
from messaging.receipts import receipts_content
from messaging.sessions import Session
from messaging.snapshots import Position, Snapshot, later
from messaging.sync_read import TO_DEVICE_MAX, Batch, SyncReader
from messaging.tail import Tail
from messaging.unread import Unread

__all__ = ["TIMEOUT_MAX_S", "Sync"]

TIMEOUT_MAX_S = 60.0
_REMEMBERED_MAX = 100_000

_encode = msgspec.json.Encoder().encode


class _Moved(msgspec.Struct, frozen=True):
    """What is new in one room."""

    room: RoomFeed
    events: list[EventItem]
    receipts: list[Any]
    typing: bool
    counted: int


class _Now(msgspec.Struct, frozen=True):
    """Where the tail was when an answer was begun."""

    number: int
    snapshot: Snapshot
    typing: int


class Sync:
    """Answers /sync."""

    def __init__(
        self,
        database: Database,
        tail: Tail,
        reader: SyncReader,
        reading: Reading,
        presence: Presence,
        unread: Unread,
        epoch: str,
        *,
        remembers: bool,
    ) -> None:
        self._database = database
        self._tail = tail
        self._reader = reader
        self._reading = reading
        self._presence = presence
        self._epoch = epoch
        self._remembers = remembers
        self._unread = unread
        self._is_closed = False
        self._waiters: set[Waiter] = set()
        self._acknowledged: dict[int, int] = {}
        self._key_counts: dict[int, bytes] = {}

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiters)

    @property
    def is_closed(self) -> bool:
        """Whether the process is about to end."""
        return self._is_closed

    def close(self) -> None:
        """Answer all who wait; from now on nobody waits."""
        self._is_closed = True
        for waiter in self._waiters:
            waiter.wake()

    async def answer(
        self,
        session: Session,
        since: Position | None,
        wanted: Filter,
        *,
        timeout_s: float,
        full_state: bool,
        acknowledges: bool = True,
    ) -> tuple[bytes, Position]:
        """The body of an answer, after at most `timeout_s`, and where the client is with it.

        `acknowledges`: that it asks from `since` on says that it has what came before.
        """
        if since is not None and since.epoch != self._epoch:
            # Of a database that is no more: the client is told everything anew.
            since = None
        deadline_s = time.monotonic() + min(timeout_s, TIMEOUT_MAX_S)
        user = self._tail.watch_user(session.user_no)
        waiter = Waiter()
        user.enter(waiter)
        self._waiters.add(waiter)
        try:
            if since is not None:
                if acknowledges:
                    await self.acknowledge(session, since.to_device)
                if timeout_s <= 0 and self._remembers:
                    # Who does not wait wants all that is there now.
                    await self._tail.caught_up()
            while True:
                # What wakes it from here on came after what is read now, or is read twice.
                waiter.reset()
                now = _Now(self._tail.number, self._tail.snapshot, self._tail.typing_version)
                left_s = deadline_s - time.monotonic()
                at_once = since is None or full_state or left_s <= 0 or self._is_closed
                body, is_empty, position = await self._attempt(
                    session, user, since, wanted, now, full_state, at_once
                )
                if at_once or not is_empty:
                    return body, position
                since = position
                if self._is_behind(user, position):
                    # A room that came under watch only now may have moved meanwhile.
                    continue
                if not await waiter.wait(left_s):
                    deadline_s = 0.0
        finally:
            user.leave(waiter)
            self._waiters.discard(waiter)

    def _is_behind(self, user: UserFeed, position: Position) -> bool:
        number = position.tail
        return user.changed > number or any(
            room.complete_from > number or room.last_tail > number for room in user.rooms.values()
        )

    async def acknowledge(self, session: Session, to_device: int) -> None:
        """The device has the messages up to that number, so they are kept no longer."""
        if to_device and self._acknowledged.get(session.device_no) != to_device:
            await self._database.fetch(
                "DELETE FROM to_device WHERE device_no = $1 AND no <= $2",
                session.device_no,
                to_device,
            )
            if len(self._acknowledged) > _REMEMBERED_MAX:
                self._acknowledged.clear()
            self._acknowledged[session.device_no] = to_device

    async def _attempt(
        self,
        session: Session,
        user: UserFeed,
        since: Position | None,
        wanted: Filter,
        now: _Now,
        full_state: bool,
        at_once: bool,
    ) -> tuple[bytes, bool, Position]:
        """The body, whether it tells nothing that is worth an answer, and where the client is then.
        A body that is no answer may be empty.

        `at_once`: it is an answer, whatever it tells.
        """
        if (
            self._remembers
            and since is not None
            and not full_state
            and since.process == self._tail.process
            and session.device_no in self._key_counts
            and wanted.takes_all
        ):
            moved = self._moved(user, since, wanted)
            if moved is not None:
                # The client may have been told more by a read of the database that was later than
                # the tail's last; then that is where it is.
                told = await self._presence.told(
                    session.user_id, user.rooms, since.presence, wanted.presence
                )
                is_told = bool(moved) or told.is_urgent or at_once
                position = Position(
                    self._epoch,
                    later(since.snapshot, now.snapshot),
                    since.to_device,
                    now.typing,
                    self._tail.process,
                    now.number,
                    told.version if is_told or not told.states else since.presence,
                )
                if not is_told:
                    return b"", True, position
                body = await self._remembered(session, user, position, moved, wanted, told)
                return body, False, position
        return await self._read(session, user, since, wanted, now, full_state, at_once)

    def _moved(self, user: UserFeed, since: Position, wanted: Filter) -> list[_Moved] | None:
        """What is new in the user's rooms; None when that has to be read from the database."""
        tail = since.tail
        if not user.is_loaded or user.changed > tail or user.changed > user.loaded:
            return None
        limit = wanted.room.timeline.bounded_limit
        found = []
        for room in user.rooms.values():
            if room.complete_from > tail:
                return None
            typing = room.typing_version > since.typing
            if room.last_tail <= tail and not typing:
                continue
            events = _newer(room.events, tail, lambda item: since.snapshot.sees(item.event.xid))
            receipts = _newer(room.receipts, tail, lambda item: since.snapshot.sees(item.xid))
            if len(events) > limit or any(e.event.type == "m.room.member" for e in events):
                return None
            if events or receipts or typing:
                found.append(_Moved(room, events, receipts, typing, room.counted))
        return found

    async def _remembered(
        self,
        session: Session,
        user: UserFeed,
        position: Position,
        moved: list[_Moved],
        wanted: Filter,
        told: Told,
    ) -> bytes:
        rooms = []
        for one in moved:
            shown = await self._room(session, user, one, wanted)
            rooms.append(_encode(one.room.room_id) + b":" + shown)
        # A claimed key wakes the user, and is then counted by a read of the database.
        counts = self._key_counts.get(session.device_no, b"")
        head = b'{"next_batch":"' + position.token.encode() + b'"' + counts
        if told.states:
            head += b',"presence":{"events":' + _encode(told.events()) + b"}"
        if not rooms:
            return head + b"}"
        return head + b',"rooms":{"join":{' + b",".join(rooms) + b"}}}"

    async def _room(self, session: Session, user: UserFeed, moved: _Moved, wanted: Filter) -> bytes:
        room, user_id = moved.room, session.user_id
        events = b",".join(item.encoded(room.room_id, session.device_no) for item in moved.events)
        first = moved.events[0].event.seq if moved.events else room.seq + 1
        members = b""
        if wanted.room.state.lazy_load_members and moved.events:
            members = await self._members(room, {item.event.sender for item in moved.events})
        # Of each user the last; the client would have to guess which of several counts.
        receipts = {
            (r.user_id, r.type, r.thread): r
            for r in moved.receipts
            if r.type != "m.read.private" or r.user_id == user_id
        }
        ephemeral = []
        if receipts:
            content = receipts_content(room.room_id, receipts.values())
            ephemeral.append({"type": "m.receipt", "content": content})
        if moved.typing:
            ephemeral.append(_typing(room))
        unread, highlights = await self._unread.followed(room, user_id, moved.counted, user.rules)
        return (
            b'{"timeline":{"events":[%b],"limited":false,"prev_batch":"t%d"},'
            b'"state":{"events":[%b]},"ephemeral":{"events":%b},'
            b'"unread_notifications":{"notification_count":%d,"highlight_count":%d}}'
        ) % (events, first - 1, members, _encode(ephemeral), unread, highlights)

    async def _members(self, room: RoomFeed, senders: set[str]) -> bytes:
        if missing := senders - room.members.keys():
            for event in await self._reading.members(room.no, sorted(missing)):
                if event.state_key is not None:
                    room.members[event.state_key] = event_json(event, room.room_id)
        return b",".join(room.members[user] for user in sorted(senders) if user in room.members)

    async def _read(
        self,
        session: Session,
        user: UserFeed,
        since: Position | None,
        wanted: Filter,
        now: _Now,
        full_state: bool,
        at_once: bool,
    ) -> tuple[bytes, bool, Position]:
        batch = await self._reader.read(session, since, wanted, full_state=full_state)
        rooms = {}
        for no, (room_id, seq, counted) in batch.joined.items():
            rooms[no] = room = self._tail.watch_room(no, room_id)
            room.seq, room.counted = max(room.seq, seq), max(room.counted, counted)
            room.joined = batch.members.get(no, room.joined)
        user.load(rooms, batch.rules, now.number)
        told = await self._told(session, rooms, since, wanted, batch)
        # Read behind the last await, so that the token and what is told of typing fit together.
        typing_now = self._tail.typing_version
        typing_since = since.typing if since is not None else 0
        if typing_since > typing_now:
            typing_since = 0
        if passes(wanted.room.ephemeral, kind="m.typing", sender=""):
            self._add_typing(user, batch, wanted, typing_since)
        is_told = not batch.is_empty or told.is_urgent or at_once
        position = Position(
            self._epoch,
            batch.snapshot,
            batch.last_to_device,
            typing_now,
            # More messages to the device than fit: the next poll has to read again.
            self._tail.process if len(batch.to_device) < TO_DEVICE_MAX else "",
            now.number,
            told.version if is_told or since is None or not told.states else since.presence,
        )
        answer: dict[str, Any] = {
            "next_batch": position.token,
            "device_one_time_keys_count": batch.key_counts,
            "device_unused_fallback_key_types": batch.fallback_keys,
        }
        if len(self._key_counts) > _REMEMBERED_MAX:
            self._key_counts.clear()
        self._key_counts[session.device_no] = (
            b',"device_one_time_keys_count":%b,"device_unused_fallback_key_types":%b'
        ) % (_encode(batch.key_counts), _encode(batch.fallback_keys))
        if batch.changed_devices:
            answer["device_lists"] = {"changed": batch.changed_devices, "left": []}
        if told.states:
            answer["presence"] = {"events": told.events()}
        if batch.account_data:
            answer["account_data"] = {"events": batch.account_data}
        if batch.to_device:
            answer["to_device"] = {"events": batch.to_device}
        if shown := {name: section for name, section in batch.rooms.items() if section}:
            answer["rooms"] = shown
        return _encode(answer), not is_told, position

    async def _told(
        self,
        session: Session,
        rooms: dict[int, RoomFeed],
        since: Position | None,
        wanted: Filter,
        batch: Batch,
    ) -> Told:
        """Whose presence is new to the client: also of who came to its rooms, and where it came."""
        presence, user_id = self._presence, session.user_id
        told = await presence.told(
            user_id, rooms, since.presence if since is not None else 0, wanted.presence
        )
        if since is None or not (batch.came or batch.fresh):
            return told
        met = presence.of_these(batch.came)
        if batch.fresh:
            met += await presence.known(user_id, batch.fresh)
        known = {state.user_id for state in told.states}
        met = [
            state
            for state in met
            if state.user_id not in known
            and passes(wanted.presence, kind="m.presence", sender=state.user_id)
        ]
        return Told(told.states + met, told.is_urgent, told.version)

    @staticmethod
    def _add_typing(user: UserFeed, batch: Batch, wanted: Filter, since: int) -> None:
        joined = batch.rooms["join"]
        for room in user.rooms.values():
            if room.typing_version > since and wanted.room.takes(room.room_id):
                shown = joined.setdefault(room.room_id, {})
                shown.setdefault("ephemeral", {"events": []})["events"].append(_typing(room))


def _typing(room: RoomFeed) -> dict[str, Any]:
    now_ms = time.time() * 1000
    users = sorted(user for user, until in room.typing.items() if until > now_ms)
    return {"type": "m.typing", "content": {"user_ids": users}}


def _newer(items: Any, tail: int, is_seen: Callable[[Any], bool]) -> list[Any]:
    """The items behind that tail that were not seen, oldest first."""
    found = []
    for item in reversed(items):
        if item.tail <= tail:
            break
        if not is_seen(item):
            found.append(item)
    return found[::-1]

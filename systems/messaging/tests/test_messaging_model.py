"""Random conversations against a small model: what every client is told is what happened.

The model holds rooms as lists of what was said in them, and works out anew each time what a device
that last asked at some moment has to be told: all that is new since then, once, in the order of the
room, and how many messages are unread by counting them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from messaging.testing import Messaging, User

EXAMPLES = int(os.environ.get("MESSAGING_MODEL_EXAMPLES", "20"))
STEPS = int(os.environ.get("MESSAGING_MODEL_STEPS", "50"))
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "from the database": {"SYNC_CACHE": "off", "UNREAD": "counted"},
    "two processes": {"workers": 2, "WAKE": "notify"},
}
"""Further services that acceptance tests in the same way (`MESSAGING_MODEL_VARIANTS=all`)."""
CHOSEN = list(VARIANTS) if os.environ.get("MESSAGING_MODEL_VARIANTS") == "all" else ["default"]
_FIRST = (
    "m.room.create",
    "m.room.member",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.guest_access",
    "m.room.history_visibility",
)


class Entry(msgspec.Struct):
    """Something that happened in a room. `said`: the text, the membership, the id of what is
    redacted; `about`: the state key; `by`: the device and its transaction id."""

    at: int
    kind: str
    sender: str
    said: str | None = None
    about: str | None = None
    event_id: str | None = None
    by: tuple[str, str] | None = None
    is_redacted: bool = False

    def seen_on(self, device: User) -> tuple[str | None, ...]:
        """As a device has to be told of it."""
        txn = self.by[1] if self.by is not None and self.by[0] == device.token else None
        said = None if self.is_redacted else self.said
        return (self.kind, self.sender, self.about, said, txn)


_SAID = {"m.room.message": "body", "m.room.member": "membership", "m.room.topic": "topic"}


def told_of(event: Any) -> tuple[str | None, ...]:
    """An event as a client got it, in the words of the model."""
    kind = event["type"]
    said = event["content"].get(_SAID[kind]) if kind in _SAID else event.get("redacts")
    txn = event.get("unsigned", {}).get("transaction_id")
    return (kind, event["sender"], event.get("state_key"), said, txn)


class Room(msgspec.Struct):
    """The model of a room. A receipt is kept by user and type: where, and since when.

    `is_private`: its members see what was said while they were in it, and not all of its history.
    """

    room_id: str
    creator: str
    is_public: bool
    is_private: bool
    log: list[Entry] = []
    receipts: dict[tuple[str, str], tuple[int, int]] = {}

    def membership(self, user_id: str, at: int) -> str:
        """What it was at that moment."""
        for entry in reversed(self.log):
            if entry.at <= at and entry.kind == "m.room.member" and entry.about == user_id:
                return entry.said or "leave"
        return "leave"

    def visible(self, user_id: str) -> list[Entry]:
        """What a user may see, now: nothing to who never was a member."""
        return [entry for _, entry in self._visible(user_id)]

    def newest(self, user_id: str) -> list[Entry]:
        """The last part of it that has no hole."""
        seen = self._visible(user_id)
        return [e for k, (n, e) in enumerate(seen) if n - k == seen[-1][0] - len(seen) + 1]

    def _visible(self, user_id: str) -> list[tuple[int, Entry]]:
        last_join = max(
            (n for n, e in enumerate(self.log) if (e.about, e.said) == (user_id, "join")),
            default=-1,
        )
        if last_join < 0:
            return []
        found = []
        membership = "leave"
        for n, entry in enumerate(self.log):
            is_own = entry.kind == "m.room.member" and entry.about == user_id
            # Until it is said otherwise members share a room's history.
            is_shared = n < last_join and (not self.is_private or n < len(_FIRST))
            if is_own or membership == "join" or is_shared:
                found.append((n, entry))
            if is_own:
                membership = entry.said or "leave"
        return found

    def was_out(self, user_id: str, since: int) -> bool:
        """Whether the user was put out or went, at some time since then."""
        own = [e for e in self.log if e.kind == "m.room.member" and e.about == user_id]
        return any(e.at > since and e.said != "join" for e in own)

    def unread(self, user_id: str) -> int:
        """Messages behind the last that the user said, did or read here."""
        own = [n for n, entry in enumerate(self.log) if entry.sender == user_id]
        read = [place for (user, _), (place, _) in self.receipts.items() if user == user_id]
        mark = max([*own, *read], default=-1)
        return sum(entry.kind == "m.room.message" for entry in self.log[mark + 1 :])

    def state(self) -> dict[tuple[str, str], str | None]:
        """The newest of each type and key."""
        return {(e.kind, e.about): e.said for e in self.log if e.about is not None}


class Token(msgspec.Struct):
    """A sync token, when it was given, and what the client knew of the state of each room then."""

    text: str
    at: int
    views: dict[str, dict[tuple[str, str], str | None]]


class Conversation(RuleBasedStateMachine):
    """Three users with two devices each, who do anything at any time, allowed or not."""

    messaging: ClassVar[Messaging]

    def __init__(self) -> None:
        super().__init__()
        self.devices = self.messaging.users(3, devices=2)
        self.rooms: list[Room] = []
        self.now = 0
        self.numbers = itertools.count(1)
        self.tokens: dict[str, list[Token]] = {}
        self.sent: dict[str, tuple[Room, Entry]] = {}

    def call(self, device: User, allowed: bool, method: str, path: str, body: Any) -> Any:
        """Make a call that the model allows or not."""
        reply = device.call(method, path, body)
        assert reply.status_code == (200 if allowed else 403), (path, reply.text)
        return reply.json()

    def room(self, number: int) -> Room:
        return self.rooms[number % len(self.rooms)]

    def add(self, room: Room, kind: str, sender: str, said: str | None, **more: Any) -> Entry:
        self.now += 1
        entry = Entry(self.now, kind, sender, said, **more)
        room.log.append(entry)
        return entry

    users = st.integers(0, 2)
    devices_ = st.integers(0, 1)
    places = st.integers(0, 3)

    @initialize()
    def begin(self) -> None:
        self.create(user=0, is_public=True, is_private=False)
        self.move(user=1, of=1, room=0, verb="join")
        for user in (0, 1):
            self.sync(user=user, device=0, token=0, limit=10)

    @rule(user=users, is_public=st.booleans(), is_private=st.booleans())
    def create(self, user: int, is_public: bool, is_private: bool) -> None:
        if len(self.rooms) == 4:
            return
        device = self.devices[user][0]
        preset = "public_chat" if is_public else "private_chat"
        visibility = {"history_visibility": "joined" if is_private else "shared"}
        state = [{"type": "m.room.history_visibility", "content": visibility}]
        room_id = device.create_room(preset=preset, initial_state=state)
        room = Room(room_id, device.user_id, is_public, is_private)
        self.rooms.append(room)
        for kind in _FIRST:
            is_member = kind == "m.room.member"
            self.add(
                room,
                kind,
                device.user_id,
                "join" if is_member else None,
                about=device.user_id if is_member else "",
            )

    @rule(
        user=users,
        of=users,
        room=places,
        verb=st.sampled_from(["join", "leave", "invite", "kick", "ban", "unban"]),
    )
    def move(self, user: int, of: int, room: int, verb: str) -> None:
        """`verb` of a user, who for joining and leaving is the same one."""
        place, device = self.room(room), self.devices[user][1]
        if verb in ("join", "leave"):
            of = user
        elif user == of:
            return
        target = self.devices[of][0].user_id
        own = place.membership(device.user_id, self.now)
        before = place.membership(target, self.now)
        rules = own == "join" and device.user_id == place.creator
        allowed, after = {
            "join": (before in ("join", "invite") or (place.is_public and before != "ban"), "join"),
            "leave": (before in ("join", "invite"), "leave"),
            "invite": (own == "join" and before in ("leave", "invite"), "invite"),
            "kick": (rules and before in ("join", "invite"), "leave"),
            "ban": (rules, "ban"),
            "unban": (rules and before == "ban", "leave"),
        }[verb]
        body = {} if verb in ("join", "leave") else {"user_id": target}
        self.call(device, allowed, "POST", f"/rooms/{quote(place.room_id)}/{verb}", body)
        if allowed and before != after:
            self.add(place, "m.room.member", device.user_id, after, about=target)

    @rule(user=users, device=devices_, room=places, again=st.booleans())
    def send(self, user: int, device: int, room: int, again: bool) -> None:
        """A message, or the last one of the device once more, as after a lost answer."""
        sender = self.devices[user][device]
        place = self.room(room)
        before = self.sent.get(sender.token)
        is_again = again and before is not None
        if is_again and before is not None:
            place, entry = before
            assert entry.by is not None
            body, txn = entry.said, entry.by[1]
        else:
            number = next(self.numbers)
            body, txn = f"message {number}", f"t{number}"
        # What was sent stays sent, whatever has become of the sender since then.
        allowed = is_again or place.membership(sender.user_id, self.now) == "join"
        path = f"/rooms/{quote(place.room_id)}/send/m.room.message/{txn}"
        answer = self.call(sender, allowed, "PUT", path, {"msgtype": "m.text", "body": body})
        if is_again and before is not None:
            assert answer["event_id"] == before[1].event_id
        elif allowed:
            by = (sender.token, txn)
            entry = self.add(place, "m.room.message", sender.user_id, body, by=by)
            entry.event_id = answer["event_id"]
            self.sent[sender.token] = (place, entry)

    @rule(user=users, room=places)
    def set_topic(self, user: int, room: int) -> None:
        sender, place, topic = self.devices[user][0], self.room(room), f"{next(self.numbers)}"
        allowed = sender.user_id == place.creator
        allowed = allowed and place.membership(sender.user_id, self.now) == "join"
        path = f"/rooms/{quote(place.room_id)}/state/m.room.topic"
        self.call(sender, allowed, "PUT", path, {"topic": topic})
        if allowed:
            self.add(place, "m.room.topic", sender.user_id, topic, about="")

    @rule(user=users, device=devices_, room=places, message=st.integers(0, 9))
    def redact(self, user: int, device: int, room: int, message: int) -> None:
        sender, place = self.devices[user][device], self.room(room)
        said = [entry for entry in place.log if entry.kind == "m.room.message"]
        if not said:
            return
        target = said[-1 - message % len(said)]
        allowed = place.membership(sender.user_id, self.now) == "join"
        allowed = allowed and sender.user_id in (place.creator, target.sender)
        txn = f"r{next(self.numbers)}"
        path = f"/rooms/{quote(place.room_id)}/redact/{quote(str(target.event_id))}/{txn}"
        answer = self.call(sender, allowed, "PUT", path, {})
        if allowed:
            target.is_redacted = True
            by = (sender.token, txn)
            entry = self.add(place, "m.room.redaction", sender.user_id, target.event_id, by=by)
            entry.event_id = answer["event_id"]

    @rule(
        user=users,
        room=places,
        message=st.integers(0, 9),
        kind=st.sampled_from(["m.read", "m.read.private"]),
    )
    def read(self, user: int, room: int, message: int, kind: str) -> None:
        reader, place = self.devices[user][0], self.room(room)
        said = [n for n, entry in enumerate(place.log) if entry.kind == "m.room.message"]
        if not said:
            return
        at = said[-1 - message % len(said)]
        allowed = place.membership(reader.user_id, self.now) == "join"
        path = f"/rooms/{quote(place.room_id)}/receipt/{kind}/{place.log[at].event_id}"
        self.call(reader, allowed, "POST", path, {})
        if allowed and place.receipts.get((reader.user_id, kind), (-1, 0))[0] < at:
            self.now += 1
            place.receipts[reader.user_id, kind] = (at, self.now)

    @rule(user=users, device=devices_, token=st.integers(0, 5), limit=st.sampled_from([2, 10, 100]))
    def sync(self, user: int, device: int, token: int, limit: int) -> None:
        """Ask for what is new, from the last token (0) or one that was given before it."""
        asking = self.devices[user][device]
        held = self.tokens.setdefault(asking.token, [])
        since = held[-1 - token % len(held)] if held else None
        params = {"filter": f'{{"room":{{"timeline":{{"limit":{limit}}}}}}}', "timeout": 0}
        if since is not None:
            params["since"] = since.text
        answer = asking.ok("GET", "/sync", **params)
        views = {room: dict(state) for room, state in since.views.items()} if since else {}
        sections = answer.get("rooms", {})
        told = {name: sections.get(name, {}) for name in ("join", "invite", "leave")}
        for room in self.rooms:
            self.check(asking, room, since.at if since else -1, limit, told, views)
        assert not any(told.values()), "told of a room that nothing happened in"
        held.append(Token(answer["next_batch"], self.now, views))

    def check(
        self,
        asking: User,
        room: Room,
        since: int,
        limit: int,
        told: dict[str, dict[str, Any]],
        views: dict[str, dict[tuple[str, str], str | None]],
    ) -> None:
        """Take what was told of one room out of `told`; it is what had to be told."""
        user_id = asking.user_id
        now, then = room.membership(user_id, self.now), room.membership(user_id, since)
        moved = [e.at for e in room.log if e.kind == "m.room.member" and e.about == user_id]
        is_moved = bool(moved) and moved[-1] > since
        told_join = told["join"].pop(room.room_id, None)
        told_invite = told["invite"].pop(room.room_id, None)
        told_leave = told["leave"].pop(room.room_id, None)
        assert (told_invite is not None) == (now == "invite" and is_moved)
        if now != "join":
            views.pop(room.room_id, None)
            assert told_join is None
        if now in ("join", "invite") or since < 0 or not is_moved:
            assert told_leave is None
        else:
            assert told_leave is not None
            wanted = [e for e in room.visible(user_id) if e.at > since]
            self.check_timeline(asking, wanted, limit, told_leave["timeline"])
        if now == "join":
            newest = room.newest(user_id)
            has_gap = then == "join" and room.was_out(user_id, since)
            has_gap = has_gap and newest != room.visible(user_id)
            is_fresh = then != "join" or has_gap
            wanted = newest if is_fresh else [e for e in room.log if e.at > since]
            if has_gap and told_join is not None:
                # The client has to know that it missed something.
                assert told_join["timeline"]["limited"] is True
                told_join["timeline"]["limited"] = len(wanted) > limit
            self.check_joined(asking, room, wanted, since, limit, told_join)
            view = {} if is_fresh else views.get(room.room_id, {})
            for event in _state_events(told_join):
                kind, _, about, said, _ = told_of(event)
                view[str(kind), str(about)] = said
            assert view == room.state()
            views[room.room_id] = view

    def check_joined(
        self,
        asking: User,
        room: Room,
        wanted: list[Entry],
        since: int,
        limit: int,
        told: dict[str, Any] | None,
    ) -> None:
        receipts = {
            (user, kind, room.log[place].event_id)
            for (user, kind), (place, at) in room.receipts.items()
            if at > since and (kind == "m.read" or user == asking.user_id)
        }
        if told is None:
            assert not wanted
            assert not receipts
            return
        timeline = told["timeline"]
        self.check_timeline(asking, wanted, limit, timeline)
        found = {
            (user, kind, event_id)
            for one in told.get("ephemeral", {}).get("events", [])
            for event_id, kinds in one["content"].items()
            for kind, users in kinds.items()
            for user in users
        }
        assert found == receipts
        count = told["unread_notifications"]["notification_count"]
        assert count == room.unread(asking.user_id)
        if timeline["limited"]:
            seen = room.visible(asking.user_id)
            before = seen[: seen.index(wanted[-limit])]
            params = {"from": timeline["prev_batch"], "dir": "b", "limit": 5}
            page = asking.ok("GET", f"/rooms/{quote(room.room_id)}/messages", **params)["chunk"]
            expected = [entry.seen_on(asking) for entry in before[::-1][:5]]
            assert [told_of(event) for event in page] == expected

    @staticmethod
    def check_timeline(asking: User, wanted: list[Entry], limit: int, timeline: Any) -> None:
        """The newest of what was wanted, in order, and whether there is more."""
        assert [told_of(event) for event in timeline["events"]] == [
            entry.seen_on(asking) for entry in wanted[-limit:]
        ]
        for event, entry in zip(timeline["events"], wanted[-limit:], strict=True):
            assert entry.event_id in (None, event["event_id"])
        assert timeline["limited"] == (len(wanted) > limit)


def _state_events(told: dict[str, Any] | None) -> list[Any]:
    if told is None:
        return []
    events = [*told.get("state", {}).get("events", []), *told["timeline"]["events"]]
    return [event for event in events if "state_key" in event]


@pytest.fixture(params=CHOSEN)
def variant(
    proving: Messaging, starter: Any, request: pytest.FixtureRequest
) -> Iterator[Messaging]:
    """The shared service, or one that works in another way."""
    if not VARIANTS[request.param]:
        yield proving
        return
    with starter(RECEIPTS="sync", **VARIANTS[request.param]) as running:
        yield running


def test_every_client_is_told_what_happened(variant: Messaging) -> None:
    Conversation.messaging = variant
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_who_declines_to_come_back_is_told_how_they_were_put_out(proving: Messaging) -> None:
    """What was said before is told with it, although there is a time between that is not."""
    Conversation.messaging = proving
    talk = Conversation()
    talk.begin()
    for verb in ("kick", "invite"):
        talk.send(user=0, device=0, room=0, again=False)
        talk.move(user=0, of=1, room=0, verb=verb)
    talk.send(user=0, device=0, room=0, again=False)
    talk.move(user=1, of=1, room=0, verb="leave")
    for limit in (10, 2):
        talk.sync(user=1, device=0, token=1, limit=limit)


def test_of_two_receipts_of_one_user_the_last_is_told(proving: Messaging) -> None:
    Conversation.messaging = proving
    talk = Conversation()
    talk.begin()
    # What follows is answered from memory.
    for _ in range(2):
        talk.sync(user=0, device=0, token=0, limit=10)
    for _ in range(2):
        talk.send(user=0, device=0, room=0, again=False)
        talk.read(user=1, room=0, message=0, kind="m.read")
    talk.sync(user=0, device=0, token=0, limit=10)


def test_who_comes_back_is_not_told_what_was_said_without_them(proving: Messaging) -> None:
    """In a room whose members see what was said while they were in it."""
    Conversation.messaging = proving
    talk = Conversation()
    talk.begin()
    talk.create(user=0, is_public=True, is_private=True)
    talk.move(user=1, of=1, room=1, verb="join")
    talk.sync(user=1, device=0, token=0, limit=10)
    talk.move(user=1, of=1, room=1, verb="leave")
    talk.send(user=0, device=0, room=1, again=False)
    talk.set_topic(user=0, room=1)
    talk.move(user=1, of=1, room=1, verb="join")
    for limit in (10, 2):
        talk.sync(user=1, device=0, token=1, limit=limit)

"""/sync: what is new, once, in order, to every device, however and wherever it is read."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messaging.testing import Messaging, User

LONG = '{"room":{"timeline":{"limit":100}}}'


def bodies(answer: Any, room: str) -> list[str]:
    events = answer.get("rooms", {}).get("join", {}).get(room, {}).get("timeline", {})
    return [
        event["content"]["body"]
        for event in events.get("events", [])
        if event["type"] == "m.room.message"
    ]


def pair(messaging: Messaging, **body: Any) -> tuple[User, User, str]:
    """Two users in one room, both up to date."""
    alice, bob = messaging.user(), messaging.user()
    room = alice.create_room(preset="public_chat", **body)
    bob.join(room)
    alice.sync()
    bob.sync()
    return alice, bob, room


@pytest.fixture(scope="module", params=["default", "notify", "poll"])
def variant(
    messaging: Messaging, starter: Any, request: pytest.FixtureRequest
) -> Iterator[Messaging]:
    """Services that deliver in different ways; what they deliver is the same."""
    env = {
        "default": {},
        "notify": {"WAKE": "notify", "SYNC_CACHE": "off", "RECEIPTS": "sync"},
        "poll": {"WAKE": "poll", "UNREAD": "counted"},
    }[request.param]
    if not env:
        yield messaging
        return
    with starter(**env) as running:
        yield running


def test_every_way_of_delivery_tells_the_same(variant: Messaging) -> None:
    alice, bob, room = pair(variant)
    event = alice.send(room, "one")
    answer = bob.sync(timeout=5_000)
    assert bodies(answer, room) == ["one"]
    joined = answer["rooms"]["join"][room]
    assert joined["unread_notifications"] == {"notification_count": 1, "highlight_count": 0}
    mention = {"m.mentions": {"user_ids": [bob.user_id]}}
    alice.send(room, "you", **mention)
    joined = bob.sync(timeout=5_000)["rooms"]["join"][room]
    assert joined["unread_notifications"] == {"notification_count": 2, "highlight_count": 1}
    own = alice.sync(timeout=5_000)["rooms"]["join"][room]
    assert own["unread_notifications"]["notification_count"] == 0
    assert [e["unsigned"]["transaction_id"] for e in own["timeline"]["events"]] == ["1", "2"]
    bob.ok("POST", f"/rooms/{room}/receipt/m.read/{event}", {})
    ephemeral = alice.sync(timeout=5_000)["rooms"]["join"][room]["ephemeral"]["events"]
    assert [e["type"] for e in ephemeral] == ["m.receipt"]
    assert list(ephemeral[0]["content"][event]["m.read"]) == [bob.user_id]
    counts = bob.sync(timeout=5_000)["rooms"]["join"][room]["unread_notifications"]
    assert counts == {"notification_count": 1, "highlight_count": 1}
    alice.ok("PUT", f"/rooms/{room}/typing/{alice.user_id}", {"typing": True, "timeout": 30_000})
    ephemeral = bob.sync(timeout=5_000)["rooms"]["join"][room]["ephemeral"]["events"]
    assert ephemeral == [{"type": "m.typing", "content": {"user_ids": [alice.user_id]}}]
    alice.ok("PUT", f"/rooms/{room}/typing/{alice.user_id}", {"typing": False})
    ephemeral = bob.sync(timeout=5_000)["rooms"]["join"][room]["ephemeral"]["events"]
    assert ephemeral == [{"type": "m.typing", "content": {"user_ids": []}}]
    began = time.monotonic()
    assert "rooms" not in bob.sync(timeout=200)
    assert time.monotonic() - began >= 0.2


class Follower(threading.Thread):
    """Polls until it is stopped, and keeps what it was told."""

    def __init__(self, url: str, user: User, room: str) -> None:
        super().__init__()
        self.client = httpx.Client(base_url=url, timeout=30.0)
        self.user = User(self.client, user.user_id, user.token, user.device_id)
        self.user.since = user.since
        self.room = room
        self.told: list[str] = []
        self.wanted: int | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while self.wanted is None or len(self.told) < self.wanted:
                answer = self.user.sync(timeout=1_000, filter=LONG)
                timeline = answer.get("rooms", {}).get("join", {}).get(self.room, {})
                assert not timeline.get("timeline", {}).get("limited")
                self.told += bodies(answer, self.room)
        except BaseException as error:  # noqa: BLE001 - the test raises it
            self.error = error
        finally:
            self.client.close()


def send_at_once(url: str, users: list[User], rooms: list[str], each: int) -> None:
    """Every user sends to every room, all at the same time."""

    def run(user: User) -> None:
        with httpx.Client(base_url=url, timeout=30.0) as client:
            mine = User(client, user.user_id, user.token, user.device_id)
            for number, room in itertools.product(range(each), rooms):
                mine.send(room, f"{user.user_id} {number}")

    with ThreadPoolExecutor(len(users)) as pool:
        for done in [pool.submit(run, user) for user in users]:
            done.result()


def test_everybody_is_told_everything_once_in_the_same_order(variant: Messaging) -> None:
    """Sends to two rooms commit in any order of their transaction numbers; no token skips one."""
    users = [variant.user() for _ in range(4)]
    rooms = [users[0].create_room(preset="public_chat") for _ in range(2)]
    for user, room in itertools.product(users[1:], rooms):
        user.join(room)
    for user in users:
        user.sync()
    url = variant.process.url
    followers = [Follower(url, user, room) for user in users for room in rooms]
    for follower in followers:
        follower.start()
    each = 15
    send_at_once(url, users, rooms, each)
    for follower in followers:
        follower.wanted = each * len(users)
    for follower in followers:
        follower.join(20.0)
        assert not follower.is_alive(), f"told only {len(follower.told)}"
        assert follower.error is None, follower.error
    for room in rooms:
        histories = [f.told for f in followers if f.room == room]
        page = users[0].ok("GET", f"/rooms/{room}/messages", limit=1000, dir="f")["chunk"]
        stored = [e["content"]["body"] for e in page if e["type"] == "m.room.message"]
        assert len(stored) == len(set(stored)) == each * len(users)
        assert all(history == stored for history in histories)


def test_a_late_commit_is_not_skipped(messaging: Messaging) -> None:
    """A transaction with a lower number that commits after a higher one, as under load."""
    alice, bob, slow = pair(messaging)
    fast = alice.create_room(preset="public_chat")
    bob.join(fast)
    bob.sync()
    held, release = threading.Event(), threading.Event()

    async def hold(connection: Any) -> None:
        async with connection.transaction():
            row = await connection.fetchrow(
                "UPDATE room SET seq = seq + 1, xid = pg_current_xact_id() WHERE room_id = $1"
                " RETURNING no, seq, counted",
                slow,
            )
            await connection.execute(
                "INSERT INTO event (room_no, seq, ts, counted, counts, sender, type, content)"
                " VALUES ($1, $2, 0, $3, false, $4, 'm.room.message', $5)",
                *(row["no"], row["seq"], row["counted"], alice.user_id),
                b'{"msgtype":"m.text","body":"late"}',
            )
            held.set()
            while not release.is_set():
                await connection.fetchval("SELECT pg_sleep(0.01)")

    from messaging.testing import on_database  # noqa: PLC0415

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(on_database, messaging.database_url, hold)
        assert held.wait(10.0)
        alice.send(fast, "early")
        answer = bob.sync(timeout=5_000)
        assert (bodies(answer, fast), bodies(answer, slow)) == (["early"], [])
        release.set()
        done.result()
    # Nobody tells of it: this hand did, past the service. It is found all the same.
    assert bodies(bob.sync(timeout=5_000), slow) == ["late"]


def test_a_send_is_idempotent_by_device_and_transaction(messaging: Messaging) -> None:
    alice, bob, room = pair(messaging)
    phone = messaging.login(alice)
    path = f"/rooms/{room}/send/m.room.message/same"

    def send(user: User) -> str:
        with httpx.Client(base_url=messaging.process.url, timeout=30.0) as client:
            mine = User(client, user.user_id, user.token, user.device_id)
            return str(mine.ok("PUT", path, {"msgtype": "m.text", "body": "x"})["event_id"])

    with ThreadPoolExecutor(6) as pool:
        first = set(pool.map(send, [alice] * 6))
    assert len(first) == 1
    assert send(phone) not in first
    other = alice.create_room()
    assert alice.ok("PUT", f"/rooms/{other}/send/m.room.message/same", {})["event_id"] not in first
    assert bodies(bob.sync(), room) == ["x", "x"]


def test_a_gap_is_limited_and_the_state_comes_first(messaging: Messaging) -> None:
    alice, bob, room = pair(messaging, name="before")
    carol = messaging.user()
    alice.ok("PUT", f"/rooms/{room}/state/m.room.name", {"name": "in the gap"})
    alice.ok("PUT", f"/rooms/{room}/state/m.room.topic", {"topic": "one"})
    carol.join(room)
    sent = [alice.send(room, str(n)) for n in range(12)]
    alice.ok("PUT", f"/rooms/{room}/state/m.room.topic", {"topic": "two"})
    joined = bob.sync()["rooms"]["join"][room]
    timeline = joined["timeline"]
    assert timeline["limited"] is True
    assert [e["event_id"] for e in timeline["events"]][:-1] == sent[3:]
    state = {(e["type"], e["state_key"]): e["content"] for e in joined["state"]["events"]}
    assert state.keys() == {
        ("m.room.name", ""),
        ("m.room.topic", ""),
        ("m.room.member", carol.user_id),
    }
    assert state["m.room.name", ""] == {"name": "in the gap"}
    assert state["m.room.topic", ""] == {"topic": "one"}
    assert joined["summary"]["m.joined_member_count"] == 3
    page = bob.ok("GET", f"/rooms/{room}/messages", limit=3, **{"from": timeline["prev_batch"]})
    assert [e["event_id"] for e in page["chunk"]] == sent[:3][::-1]


def test_members_are_loaded_lazily(messaging: Messaging) -> None:
    alice, bob, room = pair(messaging)
    for _ in range(3):
        messaging.user().join(room)
    lazy = '{"room":{"state":{"lazy_load_members":true},"timeline":{"limit":1}}}'
    alice.send(room, "x")
    phone = messaging.login(bob)
    joined = phone.sync(filter=lazy)["rooms"]["join"][room]
    members = {e["state_key"] for e in joined["state"]["events"] if e["type"] == "m.room.member"}
    assert members == {alice.user_id, bob.user_id}
    assert joined["summary"]["m.joined_member_count"] == 5
    alice.send(room, "y")
    joined = phone.sync(filter=lazy, timeout=5_000)["rooms"]["join"][room]
    assert [e["state_key"] for e in joined["state"]["events"]] == [alice.user_id]
    assert len(phone.ok("GET", f"/rooms/{room}/members", membership="join")["chunk"]) == 5
    full = phone.sync(full_state="true")["rooms"]["join"][room]
    assert ("m.room.create", "") in {(e["type"], e["state_key"]) for e in full["state"]["events"]}


def test_filters_leave_out(messaging: Messaging) -> None:
    alice, bob, room = pair(messaging)
    other = alice.create_room(preset="public_chat")
    bob.join(other)
    since = bob.sync()["next_batch"]
    alice.send(room, "seen")
    alice.send(other, "elsewhere")
    alice.ok("PUT", f"/rooms/{room}/send/org.example/1", {"a": 1})

    def read(filter_: str) -> Any:
        return bob.ok("GET", "/sync", since=since, filter=filter_).get("rooms", {}).get("join", {})

    rooms = read(json.dumps({"room": {"rooms": [room], "timeline": {"types": ["m.room.*"]}}}))
    assert rooms.keys() == {room}
    assert [e["type"] for e in rooms[room]["timeline"]["events"]] == ["m.room.message"]
    assert read(json.dumps({"room": {"not_rooms": [room, other]}})) == {}


def test_invitations_and_rooms_that_were_left(messaging: Messaging) -> None:
    alice, bob = messaging.user(), messaging.user()
    bob.sync()
    room = alice.create_room(name="Tea", topic="secret", invite=[bob.user_id])
    invited = bob.sync(timeout=5_000)["rooms"]["invite"][room]["invite_state"]["events"]
    assert {"m.room.create", "m.room.name", "m.room.member"} <= {e["type"] for e in invited}
    assert "rooms" not in bob.sync()
    bob.join(room)
    joined = bob.sync(timeout=5_000)["rooms"]["join"][room]
    assert joined["timeline"]["events"][0]["type"] == "m.room.create"
    alice.send(room, "before")
    bob.sync(timeout=5_000)
    alice.send(room, "seen")
    alice.ok("POST", f"/rooms/{room}/kick", {"user_id": bob.user_id})
    alice.send(room, "after")
    # One that waits may be answered with the first message alone, while bob is still in the room.
    left = bob.sync()["rooms"]["leave"][room]["timeline"]["events"]
    assert [e["content"].get("body") for e in left] == ["seen", None]
    assert "rooms" not in bob.sync()
    assert "rooms" not in messaging.login(bob).sync()
    archived = messaging.login(bob).sync(filter='{"room":{"include_leave":true}}')
    assert room in archived["rooms"]["leave"]


def test_account_data_and_tags_reach_other_devices(messaging: Messaging) -> None:
    alice, bob, room = pair(messaging)
    phone = messaging.login(alice)
    phone.sync()
    own = f"/user/{alice.user_id}"
    alice.ok("PUT", f"{own}/account_data/org.example", {"a": 1})
    told = phone.sync(timeout=5_000)["account_data"]["events"]
    assert told == [{"type": "org.example", "content": {"a": 1}}]
    assert alice.ok("GET", f"{own}/account_data/org.example") == {"a": 1}
    alice.ok("PUT", f"{own}/rooms/{room}/tags/u.work", {"order": 0.5})
    told = phone.sync(timeout=5_000)["rooms"]["join"][room]["account_data"]["events"]
    assert told == [{"type": "m.tag", "content": {"tags": {"u.work": {"order": 0.5}}}}]
    alice.ok("DELETE", f"{own}/rooms/{room}/tags/u.work")
    assert alice.ok("GET", f"{own}/rooms/{room}/tags") == {"tags": {}}
    marker = alice.send(room, "read")
    alice.ok("POST", f"/rooms/{room}/read_markers", {"m.fully_read": marker})
    assert alice.ok("GET", f"{own}/rooms/{room}/account_data/m.fully_read") == {"event_id": marker}
    assert bob.call("GET", f"{own}/account_data/org.example").status_code == 403
    assert alice.call("PUT", f"{own}/account_data/m.fully_read", {}).status_code == 400
    assert alice.call("GET", f"{own}/account_data/none").status_code == 404


def test_messages_to_devices_come_once_and_in_order(messaging: Messaging) -> None:
    alice, bob = messaging.user(), messaging.user()
    phone = messaging.login(bob)
    for device in (bob, phone):
        device.sync()
    for n in range(3):
        for _ in range(2):
            alice.ok(
                "PUT",
                f"/sendToDevice/org.example/{n}",
                {"messages": {bob.user_id: {"*": {"n": n}}}},
            )
    alice.ok("PUT", "/sendToDevice/o/x", {"messages": {bob.user_id: {phone.device_id: {"n": 3}}}})
    for device, expected in ((bob, [0, 1, 2]), (phone, [0, 1, 2, 3])):
        before = device.since
        answer = device.sync(timeout=5_000)
        assert [e["content"]["n"] for e in answer["to_device"]["events"]] == expected
        # An answer that was lost is given again; one that was seen is not.
        again = device.ok("GET", "/sync", since=before)
        assert again["to_device"] == answer["to_device"]
        assert "to_device" not in device.sync()
    left = messaging.sql(
        "SELECT count(*) AS n FROM to_device AS t JOIN device AS d ON d.no = t.device_no"
        " WHERE d.device_id = $1",
        phone.device_id,
    )
    assert left[0]["n"] == 0
    many = {"messages": {bob.user_id: {phone.device_id: {"n": 0}}}}
    for n in range(102):
        alice.ok("PUT", f"/sendToDevice/m/{n}", many)
    counts = [len(phone.sync().get("to_device", {}).get("events", ())) for _ in range(3)]
    assert counts == [100, 2, 0]


def test_private_receipts_are_private(messaging: Messaging) -> None:
    alice, bob, room = pair(messaging)
    event = alice.send(room, "x")
    bob.sync()
    bob.ok("POST", f"/rooms/{room}/receipt/m.read.private/{event}", {"thread_id": "main"})
    joined = bob.sync(timeout=5_000)["rooms"]["join"][room]
    assert joined["unread_notifications"]["notification_count"] == 0
    assert joined["ephemeral"]["events"][0]["content"][event] == {
        "m.read.private": {
            bob.user_id: joined["ephemeral"]["events"][0]["content"][event]["m.read.private"][
                bob.user_id
            ]
        }
    }
    told = alice.sync(timeout=100).get("rooms", {}).get("join", {}).get(room, {})
    assert told.get("ephemeral", {"events": []})["events"] == []
    assert bob.call("POST", f"/rooms/{room}/receipt/m.read/$no.1", {}).status_code == 404
    assert bob.call("POST", f"/rooms/{room}/receipt/m.other/{event}", {}).status_code == 400


def test_unread_counts_are_those_of_a_recount(messaging: Messaging) -> None:
    """Random users send, mention, read and look: stored counts equal what there is to count."""
    alice, bob, room = pair(messaging)
    users = [alice, bob]
    sent: list[str] = []

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), max_size=8))
    def run(steps: list[tuple[int, int]]) -> None:
        for who, what in steps:
            user, other = users[who], users[1 - who]
            if what < 4:
                sent.append(user.send(room, "m"))
            elif what < 6:
                # What mentions somebody counts for them, also where it counts for nobody else.
                edits = {"rel_type": "m.replace", "event_id": sent[0]} if what == 4 and sent else {}
                named = {
                    "m.mentions": {"user_ids": [other.user_id], "room": what == 5},
                    "m.relates_to": edits,
                }
                sent.append(user.send(room, "m", **named))
            elif what < 8 and sent:
                event = random.Random(what).choice(sent)
                user.ok("POST", f"/rooms/{room}/receipt/m.read/{event}", {})
            else:
                user.sync()
        # Receipts are stored within a twentieth of a second.
        time.sleep(0.08)
        for user in users:
            told = user.ok("GET", "/sync", full_state="true", since=user.since)
            counts = told["rooms"]["join"][room]["unread_notifications"]
            [found] = messaging.sql(
                """SELECT count(*) FILTER (WHERE e.counts AND e.sender <> m.user_id)
                     + (SELECT count(*) FROM highlight AS h WHERE h.room_no = m.room_no
                        AND h.user_id = m.user_id AND h.seq > m.seq AND h.is_extra) AS unread,
                   (SELECT count(*) FROM highlight AS h WHERE h.room_no = m.room_no
                    AND h.user_id = m.user_id AND h.seq > m.seq) AS highlights
                   FROM read_mark AS m JOIN room AS r ON r.no = m.room_no
                   LEFT JOIN event AS e ON e.room_no = m.room_no AND e.seq > m.seq
                   WHERE r.room_id = $1 AND m.user_id = $2
                   GROUP BY m.room_no, m.user_id, m.seq""",
                *(room, user.user_id),
            )
            assert counts == {
                "notification_count": found["unread"],
                "highlight_count": found["highlights"],
            }
            remembered = user.sync().get("rooms", {}).get("join", {})
            if room in remembered:
                assert remembered[room]["unread_notifications"] == counts

    run()


def test_a_token_of_another_database_begins_anew(messaging: Messaging) -> None:
    alice, _, room = pair(messaging)
    token = str(alice.since)
    foreign = "sffffff" + token[token.index("_") :]
    assert room in alice.ok("GET", "/sync", since=foreign)["rooms"]["join"]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    content=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["m.relates_to", "m.mentions", "body", "users", "ban", "event_id", ""]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    ),
    kind=st.sampled_from(
        [
            *("m.room.message", "m.room.power_levels", "m.room.member", "m.room.create"),
            *("m.room.join_rules", "m.room.canonical_alias", "m.reaction", "a/b", "\x7f"),
        ]
    ),
)
def test_no_content_breaks_the_server(messaging: Messaging, content: Any, kind: str) -> None:
    user = _fuzzer(messaging)
    kind = quote(kind, safe="")
    for method, path in (
        ("PUT", f"/rooms/{_room}/send/{kind}/{next(_numbers)}"),
        ("PUT", f"/rooms/{_room}/state/{kind}/x"),
        ("POST", "/createRoom"),
    ):
        reply = user.call(method, path, content)
        assert reply.status_code < 500, (method, path, content, reply.text)
    assert user.call("GET", f"/rooms/{_room}/messages").status_code == 200


_numbers = itertools.count()
_users: list[User] = []
_room = ""


def _fuzzer(messaging: Messaging) -> User:
    global _room  # noqa: PLW0603
    if not _users:
        _users.append(messaging.user())
        _room = _users[0].create_room()
    return _users[0]

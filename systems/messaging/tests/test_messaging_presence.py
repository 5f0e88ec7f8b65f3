"""Who is online: told to who shares a room with them, kept in Valkey, lost without it."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import httpx
import nio
from messaging.feeds import RoomFeed, Waiter
from messaging.filters import EventFilter
from messaging.presence import WAKING_MAX, Presence
from messaging.presence_store import State
from messaging.testing import Messaging, User
from systems_common import valkey
from systems_common.testing import wait_until


def pair(switched: Messaging) -> tuple[User, User, str]:
    """Two users in one room. Only the second one is online."""
    alice, bob = switched.user(), switched.user()
    room = alice.create_room(preset="public_chat")
    bob.join(room)
    bob.sync()
    return alice, bob, room


def told(answer: Any) -> dict[str, Any]:
    return {e["sender"]: e["content"] for e in answer.get("presence", {}).get("events", ())}


def told_of(bob: User, alice: User, presence: str, **params: Any) -> Any:
    """Poll until bob is told that; the content."""
    end_s = time.monotonic() + 10.0
    while time.monotonic() < end_s:
        content = told(bob.sync(timeout=2_000, **params)).get(alice.user_id)
        if content is not None and content["presence"] == presence:
            return content
    raise AssertionError(f"not told that {alice.user_id} is {presence}")


def status(user: User, presence: str, **more: Any) -> None:
    path = f"/presence/{user.user_id}/status"
    user.ok("PUT", path, {"presence": presence, **more})


def test_nio_sets_and_reads_presence(switched: Messaging) -> None:
    async def talk() -> None:
        alice, bob, room = pair(switched)
        clients = []
        for user in (alice, bob):
            client = nio.AsyncClient(switched.process.url, user.user_id)
            client.restore_login(user.user_id, user.device_id, user.token)
            clients.append(client)
        one, other = clients
        try:
            said = await one.set_presence("unavailable", "at lunch")
            assert isinstance(said, nio.PresenceSetResponse), said
            found = await other.get_presence(alice.user_id)
            assert isinstance(found, nio.PresenceGetResponse), found
            assert (found.presence, found.status_msg) == ("unavailable", "at lunch")
            for _ in range(50):
                answer = await other.sync(timeout=500)
                events = [e for e in answer.presence_events if e.user_id == alice.user_id]
                if events:
                    break
            assert (events[0].presence, events[0].status_msg) == ("unavailable", "at lunch")
            assert other.rooms[room].users[alice.user_id].presence == "unavailable"
        finally:
            for client in clients:
                await client.close()

    asyncio.run(talk())


def test_a_poll_makes_one_online_and_ends_the_polls_of_others(switched: Messaging) -> None:
    alice, bob, room = pair(switched)
    alice.sync(set_presence="offline")
    assert told(bob.sync(timeout=300)) == {}
    assert alice.ok("GET", f"/presence/{alice.user_id}/status") == {"presence": "offline"}
    alice.sync()
    content = told_of(bob, alice, "online")
    assert content["currently_active"] is True
    assert 0 <= content["last_active_ago"] < 60_000
    # Of two devices the one that is more present counts.
    phone = switched.login(alice)
    phone.sync(set_presence="unavailable")
    assert bob.ok("GET", f"/presence/{alice.user_id}/status")["presence"] == "online"
    alice.sync(set_presence="unavailable")
    told_of(bob, alice, "unavailable")
    # It is not told twice, nor to who does not want it; and never of oneself.
    assert told(bob.sync(timeout=200)) == {}
    status(alice, "offline", status_msg="gone")
    phone.ok("PUT", f"/presence/{alice.user_id}/status", {"presence": "offline"})
    told_of(bob, alice, "offline")
    status(alice, "online", status_msg="back")
    assert told(bob.sync(timeout=200, filter='{"presence":{"not_types":["*"]}}')) == {}
    fresh = switched.login(bob)
    assert told(fresh.sync()).keys() == {alice.user_id}
    assert told(fresh.sync(timeout=0)) == {}
    carol = switched.user()
    carol.sync()
    carol.join(room)
    assert told_of(carol, alice, "online")["status_msg"] == "back"


def test_who_may_ask_and_say_what(switched: Messaging) -> None:
    alice, bob, _ = pair(switched)
    stranger = switched.user()
    path = f"/presence/{alice.user_id}/status"
    assert stranger.call("GET", path).status_code == 403
    assert stranger.call("GET", "/presence/@nobody:example.org/status").status_code == 403
    assert bob.call("PUT", path, {"presence": "online"}).status_code == 403
    for body in ({}, {"presence": "busy"}, {"presence": "online", "status_msg": 1}):
        assert alice.call("PUT", path, body).status_code == 400, body
    too_long = {"presence": "online", "status_msg": "x" * 1_001}
    assert alice.call("PUT", path, too_long).status_code == 400
    assert alice.call("GET", "/sync", set_presence="here").status_code == 400


def test_in_a_large_room_it_goes_with_the_next_answer(switched: Messaging) -> None:
    alice, bob, room = pair(switched)
    switched.sql("UPDATE room SET joined = $2 WHERE room_id = $1", room, WAKING_MAX + 1)
    bob.sync(full_state="true")
    status(alice, "online")
    began_s = time.monotonic()
    answer = bob.sync(timeout=600)
    assert time.monotonic() - began_s >= 0.6
    assert told(answer).keys() == {alice.user_id}
    status(alice, "unavailable")
    time.sleep(0.2)
    alice.send(room, "x")
    answer = bob.sync(timeout=5_000)
    assert room in answer["rooms"]["join"]
    assert told(answer)[alice.user_id]["presence"] == "unavailable"


def test_who_polls_no_more_goes_offline(switched: Messaging) -> None:
    alice, bob, _ = pair(switched)
    alice.sync()
    told_of(bob, alice, "online")

    async def let_time_pass() -> None:
        cache = await valkey.connect(switched.valkey.url, name="test")
        key = f"messaging:presence:user:{alice.user_id}"
        for field, value in (await cache.hgetall(key)).items():
            if field.startswith(b"d"):
                await cache.hset(key, {field: value.split()[0] + b" 1"})
        await cache.zadd("messaging:presence:due", {alice.user_id: 1})
        await cache.close()

    asyncio.run(let_time_pass())
    content = told_of(bob, alice, "offline")
    assert "currently_active" not in content


def test_without_valkey_only_presence_is_lost(switched: Messaging) -> None:
    alice, bob, room = pair(switched)
    carol = switched.user()
    carol.join(room)
    status(carol, "online")
    alice.sync()
    told_of(bob, alice, "online")
    switched.valkey.kill()
    try:
        status(alice, "unavailable")
        assert bob.ok("GET", f"/presence/{alice.user_id}/status") == {"presence": "offline"}
        alice.send(room, "on")
        event = bob.sync(timeout=5_000)["rooms"]["join"][room]["timeline"]["events"][-1]
        assert event["content"]["body"] == "on"
        assert alice.sync()["rooms"]["join"].keys() == {room}
    finally:
        switched.valkey.start()
    # It has lost everything. Who polls is told of again, the others are gone.
    told_of(bob, carol, "offline")
    alice.sync()
    wait_until(
        lambda: bob.ok("GET", f"/presence/{alice.user_id}/status")["presence"] == "online",
        timeout_s=10.0,
        what="presence",
    )


def test_whichever_process_somebody_polls_they_are_online_to_all(starter: Any) -> None:
    """Each connection is taken by either process, for as long as it lasts."""
    with starter(workers=2, PRESENCE="on") as running:
        alice, bob, _ = pair(running)
        elsewhere = [[connected(running, user) for _ in range(4)] for user in (alice, bob)]
        try:
            for presence in ("online", "unavailable", "offline"):
                for mine in elsewhere[0]:
                    status(mine, presence)
                for mine in elsewhere[1]:
                    mine.since = bob.since
                    told_of(mine, alice, presence)
        finally:
            for mine in itertools.chain(*elsewhere):
                mine.client.close()


def connected(running: Messaging, user: User) -> User:
    """The same device over a connection of its own."""
    client = httpx.Client(base_url=running.process.url, timeout=30.0)
    return User(client, user.user_id, user.token, user.device_id)


def test_what_presence_adds_to_an_answer_is_bounded() -> None:
    """Ten thousand members of one room change; an answer tells of the newest hundred."""

    class Members:
        """In the place of the database: every user is in the one room."""

        async def fetch(self, sql: str, users: list[str], rooms: list[int]) -> list[Any]:
            return [{"user_id": user, "room_no": rooms[0]} for user in users]

    async def run() -> None:
        room = RoomFeed(1, "!r:x", 0)
        room.joined, room.presence_from = 10_000, 0
        waiter = Waiter()
        room.waiters.add(waiter)
        members: Any = Members()
        presence = Presence(None, members, {1: room}, coalesce_s=1.0)
        users = [f"@u{n}:x" for n in range(10_000)]
        states = [State(user, 2, True, "", 0, n + 1) for n, user in enumerate(users)]
        for first in range(0, len(states), 1_000):
            await presence._note(states[first : first + 1_000])
        found = await presence.told("@me:x", {1: room}, 0, EventFilter())
        assert [state.user_id for state in found.states] == users[:-101:-1]
        assert not found.is_urgent
        assert not await waiter.wait(0.0)
        assert found.version == 10_000
        again = await presence.told("@me:x", {1: room}, found.version, EventFilter())
        assert again.states == []

    asyncio.run(run())

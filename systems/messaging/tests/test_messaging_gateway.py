"""The WebSocket gateway: what /sync would return, pushed, with the same tokens."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any
from urllib.parse import urlencode

import pytest
from messaging.gateway import PATH, WINDOW
from messaging.testing import Messaging, User
from systems_common.testing import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


def opened(service: Messaging, user: User | None, **query: Any) -> ClientConnection:
    given = {"Authorization": f"Bearer {user.token}"} if user is not None else {}
    url = f"ws://127.0.0.1:{service.process.port}{PATH}?{urlencode(query)}"
    return connect(url, additional_headers=given, max_size=2**24)


def heard(socket_: ClientConnection, *, takes: bool = True) -> Any:
    """The next answer, named as taken."""
    answer = json.loads(socket_.recv(timeout=10.0))
    if takes:
        socket_.send(json.dumps({"ack": answer["next_batch"]}))
    return answer


def closed(socket_: ClientConnection) -> int:
    """Read to the end; the close code."""
    with pytest.raises(ConnectionClosed) as end:
        while True:
            socket_.recv(timeout=10.0)
    assert end.value.rcvd is not None
    return end.value.rcvd.code


def bodies(answer: Any, room: str) -> list[str]:
    joined = answer.get("rooms", {}).get("join", {}).get(room, {"timeline": {"events": []}})
    events = joined["timeline"]["events"]
    return [e["content"]["body"] for e in events if e["type"] == "m.room.message"]


def pair(service: Messaging) -> tuple[User, User, str]:
    alice, bob = service.user(), service.user()
    room = alice.create_room(preset="public_chat")
    bob.join(room)
    bob.sync()
    return alice, bob, room


def test_it_pushes_what_sync_would_return(messaging: Messaging) -> None:
    alice, bob, room = pair(messaging)
    assert alice.ok("GET", "/_matrix/client/versions")["unstable_features"]["org.loadpath.gateway"]
    with opened(messaging, bob, since=bob.since) as gateway:
        for n in range(3):
            alice.send(room, f"{n}")
            answer = heard(gateway)
            assert bodies(answer, room) == [f"{n}"]
            counts = answer["rooms"]["join"][room]["unread_notifications"]
            assert counts["notification_count"] == n + 1
        event = alice.send(room, "read")
        middle = heard(gateway)["next_batch"]
        bob.ok("POST", f"/rooms/{room}/receipt/m.read/{event}", {})
        receipt = heard(gateway)["rooms"]["join"][room]["ephemeral"]["events"][0]
        assert receipt["type"] == "m.receipt"
        alice.send(room, "last")
        last = heard(gateway)["next_batch"]
    # Its tokens are those of /sync, and the other way round.
    assert "rooms" not in bob.ok("GET", "/sync", since=last)
    assert bodies(bob.ok("GET", "/sync", since=middle), room) == ["last"]
    with opened(messaging, bob, since=middle, filter='{"room":{"timeline":{"limit":1}}}') as again:
        assert bodies(heard(again), room) == ["last"]
    with opened(messaging, bob) as fresh:
        first = heard(fresh)
        assert bodies(first, room)[-1] == "last"
        assert first["account_data"]["events"][0]["type"] == "m.push_rules"


def test_messages_to_a_device_are_kept_until_they_are_taken(messaging: Messaging) -> None:
    alice, bob, _ = pair(messaging)

    def give(n: int) -> None:
        content = {bob.user_id: {bob.device_id: {"n": n}}}
        alice.ok("PUT", f"/sendToDevice/org.example/gateway{n}", {"messages": content})

    def left() -> int:
        [row] = messaging.sql(
            "SELECT count(*) AS n FROM to_device JOIN device ON device.no = device_no"
            " WHERE device_id = $1",
            bob.device_id,
        )
        return int(row["n"])

    with opened(messaging, bob, since=bob.since) as gateway:
        for n in range(2):
            give(n)
            answer = heard(gateway, takes=False)
            assert [e["content"]["n"] for e in answer["to_device"]["events"]] == [n]
        assert left() == 2
    # Lost with the connection, as far as the server knows: they come again.
    with opened(messaging, bob, since=bob.since) as gateway:
        answer = heard(gateway, takes=False)
        assert [e["content"]["n"] for e in answer["to_device"]["events"]] == [0, 1]
        gateway.send(json.dumps({"ack": answer["next_batch"]}))
        wait_until(lambda: left() == 0, timeout_s=5.0, what="the deletion")


def test_many_messages_come_once_and_in_order(messaging: Messaging) -> None:
    alice, bob, room = pair(messaging)
    told: list[str] = []
    with opened(messaging, bob, since=bob.since, filter='{"room":{"timeline":{"limit":100}}}') as g:
        sender = threading.Thread(target=lambda: [alice.send(room, f"{n}") for n in range(100)])
        sender.start()
        while len(told) < 100:
            answer = heard(g)
            told += bodies(answer, room)
            assert not answer["rooms"]["join"][room]["timeline"]["limited"]
        sender.join()
    assert told == [f"{n}" for n in range(100)]


def test_what_is_refused(messaging: Messaging) -> None:
    user = messaging.user()
    stranger = User(user.client, user.user_id, "wrong", "")
    for who, query, code, errcode in (
        (None, {}, 4401, "M_MISSING_TOKEN"),
        (stranger, {}, 4401, "M_UNKNOWN_TOKEN"),
        (user, {"since": "nonsense"}, 4400, "M_INVALID_PARAM"),
        (user, {"filter": "{"}, 4400, "M_NOT_JSON"),
        (user, {"set_presence": "here"}, 4400, "M_INVALID_PARAM"),
    ):
        with opened(messaging, who, **query) as gateway:
            assert json.loads(gateway.recv(timeout=10.0))["errcode"] == errcode
            assert closed(gateway) == code
    for frame in ("no json", "[]", '{"ack":"unknown"}', "{}", b"bytes"):
        with opened(messaging, user) as gateway:
            heard(gateway, takes=False)
            gateway.send(frame)
            assert closed(gateway) == 4400
    elsewhere = f"ws://127.0.0.1:{messaging.process.port}/_matrix/client/v3/sync"
    with connect(elsewhere) as other:
        assert closed(other) == 4404
    assert messaging.client.get(PATH).status_code == 404


def test_who_is_signed_out_is_told_nothing_more(messaging: Messaging) -> None:
    alice, bob, room = pair(messaging)
    with opened(messaging, bob, since=bob.since) as gateway:
        bob.ok("POST", "/logout", {})
        alice.send(room, "not for him")
        assert json.loads(gateway.recv(timeout=10.0))["errcode"] == "M_UNKNOWN_TOKEN"
        assert closed(gateway) == 4401


def test_a_slow_client_is_dropped_and_goes_on_later(switched: Messaging) -> None:
    alice, bob, room = pair(switched)
    carol = switched.user()
    carol.join(room)
    since = bob.sync(set_presence="offline")["next_batch"]
    carol.sync()
    got: list[str] = []
    with (
        opened(switched, bob, since=since) as slow,
        opened(switched, carol, since=carol.since) as quick,
    ):
        for n in range(WINDOW + 2):
            alice.send(room, f"{n}")
            # The others are not held up.
            while f"{n}" not in got:
                got += bodies(heard(quick), room)
        with pytest.raises(ConnectionClosed) as end:
            while True:
                heard(slow, takes=False)
        assert end.value.rcvd is not None
        assert end.value.rcvd.code == 4408
    assert got == [f"{n}" for n in range(WINDOW + 2)]
    wanted = '{"room":{"timeline":{"limit":100}}}'
    assert bodies(bob.ok("GET", "/sync", since=since, filter=wanted), room) == got


def test_one_that_reads_nothing_holds_up_nobody(switched: Messaging) -> None:
    """Its connection is full; the process gives it up, and goes on with the others."""
    alice, bob, room = pair(switched)
    port = switched.process.port
    with socket.create_connection(("127.0.0.1", port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.sendall(
            f"GET {PATH}?since={bob.since} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {bob.token}\r\n\r\n".encode()
        )

        def waiting() -> int:
            return int(switched.client.get("/health").json()["waiting"])

        wait_until(lambda: waiting() == 1, timeout_s=10.0, what="the connection")
        for _ in range(6 * WINDOW):
            alice.send(room, "x" * 60_000)
        # Nothing waits for news of the room any more.
        wait_until(lambda: not any(waiting() for _ in range(10)), timeout_s=10.0, what="the end")
        alice.send(room, "y")
    assert bodies(bob.sync(), room)[-1] == "y"


def test_a_stop_ends_it_and_the_client_goes_on(switched: Messaging) -> None:
    alice, bob, room = pair(switched)
    with opened(switched, bob, since=bob.since) as gateway:
        alice.send(room, "before")
        since = heard(gateway)["next_batch"]
        assert switched.process.stop() == 0
        # With or without a last word: the server may be faster than the service.
        with pytest.raises(ConnectionClosed):
            gateway.recv(timeout=10.0)
    assert '"severity_text":"ERROR"' not in switched.process.output
    switched.process.start()
    alice.send(room, "after")
    told: list[str] = []
    with opened(switched, bob, since=since) as gateway:
        # There may be answers that tell only of who came online.
        while not told:
            told = bodies(heard(gateway), room)
    assert told == ["after"]

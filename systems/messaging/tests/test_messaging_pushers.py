"""Pushers: who is pushed what, by a real gateway that answers well, badly, or not at all."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from messaging.testing import Messaging, User
from systems_common.testing import wait_until

PATH = "/_matrix/push/v1/notify"


class Gateway:
    """A push gateway: what it was told, by the keys of phones, and how it answers."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.status = 200
        self.rejected: list[str] = []
        self.answers = threading.Event()
        self.answers.set()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(size))
                gateway.answers.wait(20)
                assert self.path == PATH
                # What is refused was not heard.
                if gateway.status == 200:
                    gateway.told.append(body["notification"])
                self.send_response(gateway.status)
                self.end_headers()
                self.wfile.write(json.dumps({"rejected": gateway.rejected}).encode())

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}{PATH}"

    def of(self, pushkey: str) -> list[dict[str, Any]]:
        """What was pushed to that phone."""
        return [one for one in self.told if one["devices"][0]["pushkey"] == pushkey]

    def heard(self, pushkey: str, count: int) -> list[dict[str, Any]]:
        """The same, once there are so many."""
        wait_until(lambda: len(self.of(pushkey)) >= count, timeout_s=20.0, what="a push")
        return self.of(pushkey)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.answers.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def body_of(pushkey: str, url: str, **more: Any) -> dict[str, Any]:
    data = {"url": url, **more.pop("data", {})}
    return {
        "app_id": "org.example.app",
        "pushkey": pushkey,
        "kind": "http",
        "app_display_name": "App",
        "device_display_name": "Phone",
        "lang": "en",
        "data": data,
        **more,
    }


def in_a_room(messaging: Messaging, name: str = "Tea") -> tuple[User, User, str]:
    """Two users in a room with a third, so that it is not just the two of them."""
    user, other, third = (devices[0] for devices in messaging.users(3))
    room = other.create_room(preset="public_chat", name=name)
    for one in (user, third):
        one.join(room)
    return user, other, room


def pushkeys(user: User) -> list[str]:
    return [one["pushkey"] for one in user.ok("GET", "/pushers")["pushers"]]


def test_a_message_is_pushed_with_what_the_rules_say(switched: Messaging, gateway: Gateway) -> None:
    user, other, room = in_a_room(switched)
    set_body = body_of("phone", gateway.url, data={"default_payload": {"a": 1}})
    assert user.ok("POST", "/pushers/set", set_body) == {}
    assert user.ok("GET", "/pushers") == {"pushers": [set_body]}
    brief = body_of("watch", gateway.url, data={"format": "event_id_only"})
    user.ok("POST", "/pushers/set", brief)
    other.ok("POST", "/pushers/set", body_of("own", gateway.url))
    first = other.send(room, "one")
    # Whoever says something has read what is before that: it would not be pushed any more.
    gateway.heard("phone", 1)
    gateway.heard("watch", 1)
    # Neither notices nor what the user says is told to them.
    other.send(room, "silent", msgtype="m.notice")
    user.send(room, "mine")
    [mine] = gateway.heard("own", 1)
    assert mine["sender"] == user.user_id
    second = other.send(room, "two", **{"m.mentions": {"user_ids": [user.user_id]}})
    one, two = gateway.heard("phone", 2)
    assert (one["event_id"], two["event_id"]) == (first, second)
    assert one["content"]["body"] == "one"
    assert one["counts"] == {"unread": 1}
    assert {k: one[k] for k in ("type", "sender", "room_id", "room_name", "prio")} == {
        "type": "m.room.message",
        "sender": other.user_id,
        "room_id": room,
        "room_name": "Tea",
        "prio": "high",
    }
    [device] = one["devices"]
    assert device["data"] == {"default_payload": {"a": 1}}
    assert (device["app_id"], device["tweaks"]) == ("org.example.app", {})
    assert two["devices"][0]["tweaks"] == {"sound": "default", "highlight": True}
    shorts = gateway.heard("watch", 2)
    members = {"event_id", "room_id", "counts", "devices"}
    assert [set(short) for short in shorts] == [members, members]
    assert [short["event_id"] for short in shorts] == [first, second]
    invitation = other.create_room(invite=[user.user_id])
    invited = gateway.heard("phone", 3)[2]
    assert (invited["type"], invited["user_is_target"]) == ("m.room.member", True)
    assert invited["room_id"] == invitation
    told = user.ok("GET", "/notifications")["notifications"]
    # An invitation is of a room that they are not in yet.
    assert [one["event"]["event_id"] for one in told] == [second, first]
    assert [one["read"] for one in told] == [False, True]
    page = user.ok("GET", "/notifications", limit=1)
    assert page["notifications"] == told[:1]
    behind = user.ok("GET", "/notifications", **{"from": page["next_token"]})
    assert behind == {"notifications": told[1:]}
    only = user.ok("GET", "/notifications", only="highlight")["notifications"]
    assert [one["event"]["event_id"] for one in only] == [second]


def test_nothing_is_lost_by_a_gateway_that_fails_or_a_service_that_dies(
    switched: Messaging, gateway: Gateway
) -> None:
    user, other, room = in_a_room(switched)
    user.ok("POST", "/pushers/set", body_of("lasting", gateway.url))
    gateway.status = 503
    sent = [other.send(room, "one"), other.send(room, "two")]
    tries = "SELECT tries FROM pusher WHERE pushkey = 'lasting'"
    wait_until(lambda: switched.sql(tries)[0][0] > 0, timeout_s=10.0, what="a failure")
    switched.process.kill()
    gateway.status = 200
    switched.process.start()
    assert [one["event_id"] for one in gateway.heard("lasting", 2)] == sent
    left = "SELECT FROM push JOIN pusher AS p ON p.no = pusher_no WHERE pushkey = 'lasting'"
    wait_until(lambda: switched.sql(left) == [], timeout_s=10.0, what="an empty queue")


def test_a_gateway_that_hangs_holds_nobody_up(switched: Messaging, gateway: Gateway) -> None:
    user, other, room = in_a_room(switched)
    user.ok("POST", "/pushers/set", body_of("hanging", gateway.url))
    gateway.answers.clear()
    with contextlib.ExitStack() as stack:
        stack.callback(gateway.answers.set)
        for n in range(3):
            other.send(room, f"{n}")
            assert other.sync(timeout=5_000)["rooms"]["join"][room]["timeline"]["events"]
        assert gateway.told == []
        # What was read before it could be pushed need not be.
        last = other.send(room, "last")
        user.ok("POST", f"/rooms/{room}/receipt/m.read/{last}", {})
    wait_until(
        lambda: (
            switched.sql(
                "SELECT FROM push JOIN pusher AS p ON p.no = pusher_no WHERE pushkey = 'hanging'"
            )
            == []
        ),
        timeout_s=20.0,
        what="the queue to be empty",
    )


def test_a_phone_that_is_gone_is_forgotten(switched: Messaging, gateway: Gateway) -> None:
    user, other, room = in_a_room(switched)
    for key in ("gone", "here"):
        user.ok("POST", "/pushers/set", body_of(key, gateway.url))
    gateway.rejected = ["gone"]
    other.send(room, "one")
    wait_until(lambda: pushkeys(user) == ["here"], timeout_s=10.0, what="the phone to go")


def test_a_phone_has_one_user_unless_it_is_added(messaging: Messaging) -> None:
    [[user, phone], [other, _]] = messaging.users(2, devices=2)
    url = f"https://push.example.org{PATH}"
    user.ok("POST", "/pushers/set", body_of("shared", url))
    other.ok("POST", "/pushers/set", body_of("shared", url, append=True, profile_tag="work"))
    assert (pushkeys(user), pushkeys(other)) == (["shared"], ["shared"])
    other.ok("POST", "/pushers/set", body_of("shared", url, lang="de"))
    assert pushkeys(user) == []
    assert other.ok("GET", "/pushers")["pushers"] == [body_of("shared", url, lang="de")]
    gone = {"app_id": "org.example.app", "pushkey": "shared", "kind": None}
    assert user.ok("POST", "/pushers/set", gone) == {}
    assert pushkeys(other) == ["shared"]
    assert other.ok("POST", "/pushers/set", gone) == {}
    assert pushkeys(other) == []
    # A pusher ends with the device that set it.
    phone.ok("POST", "/pushers/set", body_of("a", url))
    user.ok("POST", "/pushers/set", body_of("b", url))
    phone.ok("POST", "/logout")
    assert pushkeys(user) == ["b"]


@pytest.mark.parametrize(
    ("errcode", "spoil"),
    [
        ("M_INVALID_PARAM", {"data": {"url": f"http://push.example.org{PATH}"}}),
        ("M_INVALID_PARAM", {"data": {"url": "https://push.example.org/elsewhere"}}),
        ("M_INVALID_PARAM", {"data": {"url": f"https://127.0.0.1{PATH}"}}),
        ("M_INVALID_PARAM", {"data": {"url": f"https://2130706433{PATH}"}}),
        ("M_INVALID_PARAM", {"data": {"url": f"https://[fd00::1]{PATH}"}}),
        ("M_INVALID_PARAM", {"data": {"url": f"https://printer.local{PATH}"}}),
        ("M_INVALID_PARAM", {"data": {"url": "https://[", "format": "event_id_only"}}),
        ("M_INVALID_PARAM", {"data": {"format": "all"}}),
        ("M_MISSING_PARAM", {"data": {"url": None}}),
        ("M_INVALID_PARAM", {"kind": "email"}),
        ("M_INVALID_PARAM", {"pushkey": "x" * 513}),
        ("M_INVALID_PARAM", {"app_id": "x" * 65}),
        ("M_MISSING_PARAM", {"lang": None}),
        ("M_BAD_JSON", {"append": "yes"}),
    ],
)
def test_a_pusher_that_is_none_is_refused(
    messaging: Messaging, errcode: str, spoil: dict[str, Any]
) -> None:
    """Among them gateways on private addresses, however they are written."""
    [[user]] = messaging.users(1)
    body = body_of("key", f"https://push.example.org{PATH}")
    data = {**body["data"], **spoil.get("data", {})}
    reply = user.call("POST", "/pushers/set", {**body, **spoil, "data": data})
    assert (reply.status_code, reply.json()["errcode"]) == (400, errcode)
    assert pushkeys(user) == []

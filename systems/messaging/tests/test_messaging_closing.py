"""An account that is closed, an event that is reported, and the event of a moment."""

from __future__ import annotations

import json
from typing import Any

from messaging.testing import PASSWORD, Messaging, User, command


def auth_of(user: User) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": user.user_id}
    return {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}


def test_who_closes_an_account_is_gone_for_good(messaging: Messaging) -> None:
    user = messaging.user("closing")
    [[friend]] = messaging.users(1)
    phone = messaging.login(user)
    room, invitation = friend.create_room(preset="public_chat"), friend.create_room()
    user.join(room)
    said = user.send(room, "still here")
    friend.ok("POST", f"/rooms/{invitation}/invite", {"user_id": user.user_id})
    user.ok("PUT", f"/user/{user.user_id}/account_data/org.example", {"a": 1})
    assert user.call("POST", "/account/deactivate", {}).status_code == 401
    wrong = {**auth_of(user), "password": "wrong"}
    assert user.call("POST", "/account/deactivate", {"auth": wrong}).status_code == 401
    assert user.ok("GET", "/account/whoami")["user_id"] == user.user_id
    closed = phone.ok("POST", "/account/deactivate", {"auth": auth_of(user)})
    assert closed == {"id_server_unbind_result": "no-support"}
    for device in (user, phone):
        assert device.call("GET", "/account/whoami").json()["errcode"] == "M_UNKNOWN_TOKEN"
    for one in (room, invitation):
        state = friend.ok("GET", f"/rooms/{one}/state/m.room.member/{user.user_id}")
        assert state["membership"] == "leave"
    login = {"type": "m.login.password", **auth_of(user)}
    assert friend.call("POST", "/login", login).json()["errcode"] == "M_FORBIDDEN"
    again = {"username": "closing", "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
    assert friend.call("POST", "/register", again).json()["errcode"] == "M_USER_IN_USE"
    assert friend.ok("POST", "/user_directory/search", {"search_term": "closing"})["results"] == []
    assert friend.ok("GET", f"/profile/{user.user_id}") == {}
    kept = "SELECT FROM account_data JOIN account ON no = user_no WHERE user_id = $1"
    assert messaging.sql(kept, user.user_id) == []
    # What was said in a room is the room's.
    assert friend.ok("GET", f"/rooms/{room}/event/{said}")["content"]["body"] == "still here"


def test_the_operator_reads_what_was_reported(messaging: Messaging) -> None:
    [[user], [other], [stranger]] = messaging.users(3)
    room = other.create_room(preset="public_chat")
    user.join(room)
    bad = other.send(room, "something bad")
    path = f"/rooms/{room}/report/{bad}"
    user.ok("POST", path, {"reason": "rude", "score": -50})
    user.ok("POST", path, {"reason": "very rude"})
    for who, wrong in ((stranger, path), (user, f"/rooms/{room}/report/$nosuch")):
        reply = who.call("POST", wrong, {})
        assert (reply.status_code, reply.json()["errcode"]) == (404, "M_NOT_FOUND")
    for body in ({"reason": 5}, {"score": "bad"}, {"score": 7}, {"reason": "x" * 3_000}):
        assert user.call("POST", path, body).status_code == 400
    lines = command(messaging.database_url, "reports").stdout.splitlines()
    [found] = [one for line in lines if (one := json.loads(line))["room_id"] == room]
    assert found.pop("reported_at")
    assert found == {
        "reported_by": user.user_id,
        "reason": "very rude",
        "score": None,
        "room_id": room,
        "event_id": bad,
        "sender": other.user_id,
        "type": "m.room.message",
        "content": {"msgtype": "m.text", "body": "something bad"},
    }


def test_a_moment_leads_to_the_event_before_or_behind_it(messaging: Messaging) -> None:
    [[user], [late], [stranger]] = messaging.users(3)
    visibility = {"history_visibility": "joined"}
    state = [{"type": "m.room.history_visibility", "content": visibility}]
    room = user.create_room(preset="public_chat", initial_state=state)
    sent = [user.send(room, f"{n}") for n in range(5)]
    # Times of their own, so that no two are in the same millisecond.
    messaging.sql(
        "UPDATE event SET ts = 1000 * seq WHERE room_no = (SELECT no FROM room WHERE room_id = $1)",
        room,
    )
    late.join(room)
    first_seq = int(sent[0].rpartition(".")[2])

    def found(who: User, ts: int, direction: str) -> Any:
        path = f"/_matrix/client/v1/rooms/{room}/timestamp_to_event"
        reply = who.call("GET", path, ts=ts, dir=direction)
        return reply.json().get("event_id", reply.json().get("errcode"))

    for n, event in enumerate(sent):
        ts = 1000 * (first_seq + n)
        assert [found(user, at, "f") for at in (ts - 999, ts)] == [event, event]
        assert [found(user, at, "b") for at in (ts, ts + 999)] == [event, event]
    exact = user.ok("GET", f"/_matrix/client/v1/rooms/{room}/timestamp_to_event", ts=0, dir="f")
    assert exact == {"event_id": sent[0].rpartition(".")[0] + ".1", "origin_server_ts": 1000}
    assert found(user, 999, "b") == "M_NOT_FOUND"
    assert found(user, 2**52, "f") == "M_NOT_FOUND"
    # Who came later is led to what they may see: what was before the room said who may see what,
    # and what came with them.
    assert int(found(late, 1000 * first_seq, "f").rpartition(".")[2]) == first_seq + 5
    assert int(found(late, 1000 * first_seq, "b").rpartition(".")[2]) < first_seq
    assert found(stranger, 0, "f") == "M_FORBIDDEN"
    assert found(user, 0, "x") == "M_INVALID_PARAM"

"""Rooms that one knocks at, and rooms that are open to the members of others."""

from __future__ import annotations

from typing import Any

from messaging.testing import Messaging, User


def room_with(creator: User, rule: str, *allowed: str, **body: Any) -> str:
    """A room with that join rule, open to the members of these others."""
    allow = [{"type": "m.room_membership", "room_id": room} for room in allowed]
    content = {"join_rule": rule, **({"allow": allow} if allowed else {})}
    state = [{"type": "m.room.join_rules", "content": content}]
    return creator.create_room(initial_state=state, **body)


def status(user: User, verb: str, room: str) -> int:
    return user.call("POST", f"/{verb}/{room}", {}).status_code


def membership(user: User, room: str, of: User) -> Any:
    return user.ok("GET", f"/rooms/{room}/state/m.room.member/{of.user_id}")


def test_who_knocks_may_be_let_in(messaging: Messaging) -> None:
    [[admin], [guest], [other]] = messaging.users(3)
    room = room_with(admin, "knock", name="Tea")
    for one in (admin, guest):
        one.sync()
    assert status(guest, "join", room) == 403
    assert guest.ok("POST", f"/knock/{room}", {"reason": "please"}) == {"room_id": room}
    shown = guest.sync(timeout=3_000)["rooms"]["knock"][room]["knock_state"]["events"]
    told = {(event["type"], event["state_key"]): event["content"] for event in shown}
    assert told["m.room.name", ""] == {"name": "Tea"}
    assert told["m.room.member", guest.user_id]["membership"] == "knock"
    # It says nothing of what goes on inside.
    assert guest.call("GET", f"/rooms/{room}/messages", dir="b").status_code == 403
    timeline = admin.sync(timeout=3_000)["rooms"]["join"][room]["timeline"]["events"]
    assert [(e["sender"], e["content"]["reason"]) for e in timeline] == [(guest.user_id, "please")]
    assert status(guest, "join", room) == 403
    admin.ok("POST", f"/rooms/{room}/invite", {"user_id": guest.user_id})
    assert room in guest.sync(timeout=3_000)["rooms"]["invite"]
    assert status(guest, "join", room) == 200
    # Another is sent away, and a third thinks better of it.
    other.ok("POST", f"/knock/{room}", {})
    admin.ok("POST", f"/rooms/{room}/kick", {"user_id": other.user_id})
    assert membership(admin, room, other)["membership"] == "leave"
    other.ok("POST", f"/knock/{room}", {})
    other.ok("POST", f"/rooms/{room}/leave", {})
    assert membership(admin, room, other)["membership"] == "leave"


def test_nobody_knocks_where_it_is_of_no_use(messaging: Messaging) -> None:
    [[admin], [guest], [banned]] = messaging.users(3)
    room = room_with(admin, "knock", invite=[guest.user_id])
    admin.ok("POST", f"/rooms/{room}/ban", {"user_id": banned.user_id})
    assert [status(one, "knock", room) for one in (admin, guest, banned)] == [403, 403, 403]
    for rule in ("invite", "public", "restricted"):
        assert status(banned, "knock", room_with(admin, rule)) == 403
    knocking = {"membership": "knock"}
    for_another = f"/rooms/{room}/state/m.room.member/@new:example.org"
    assert guest.call("PUT", for_another, knocking).status_code == 403


def test_a_restricted_room_is_open_to_members_of_another(messaging: Messaging) -> None:
    [[admin], [member], [stranger], [guest]] = messaging.users(4)
    space = admin.create_room(preset="public_chat", creation_content={"type": "m.space"})
    member.join(space)
    room = room_with(admin, "restricted", space, "!nosuch:example.org", invite=[guest.user_id])
    assert status(stranger, "join", room) == 403
    assert status(guest, "join", room) == 200
    assert status(member, "join", room) == 200
    content = membership(admin, room, member)
    assert content["join_authorised_via_users_server"] == admin.user_id
    assert "join_authorised_via_users_server" not in membership(admin, room, guest)
    # Who left the other may stay, but not come back.
    member.ok("POST", f"/rooms/{space}/leave", {})
    member.send(room, "still here")
    member.ok("POST", f"/rooms/{room}/leave", {})
    assert status(member, "join", room) == 403
    stranger.join(space)
    admin.ok("POST", f"/rooms/{room}/ban", {"user_id": stranger.user_id})
    assert status(stranger, "join", room) == 403


def test_a_restricted_room_needs_somebody_who_may_invite(messaging: Messaging) -> None:
    [[admin], [member], [late]] = messaging.users(3)
    space = admin.create_room(preset="public_chat")
    for one in (member, late):
        one.join(space)
    room = room_with(admin, "knock_restricted", space, power_level_content_override={"invite": 50})
    assert status(member, "join", room) == 200
    admin.ok("POST", f"/rooms/{room}/leave", {})
    assert status(late, "join", room) == 403
    assert status(late, "knock", room) == 200


def test_join_rules_that_are_none_are_refused(messaging: Messaging) -> None:
    [[admin]] = messaging.users(1)
    room = admin.create_room()
    for content in ({"join_rule": "restricted", "allow": "all"}, {"join_rule": "knocking"}):
        reply = admin.call("PUT", f"/rooms/{room}/state/m.room.join_rules", content)
        assert (reply.status_code, reply.json()["errcode"]) == (400, "M_BAD_JSON")
    # What is allowed by no known type of rule lets nobody in.
    odd = {"join_rule": "restricted", "allow": [{"type": "org.example"}, 5, {"room_id": room}]}
    admin.ok("PUT", f"/rooms/{room}/state/m.room.join_rules", odd)
    [[stranger]] = messaging.users(1)
    assert status(stranger, "join", room) == 403

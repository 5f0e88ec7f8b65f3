"""Spaces: which of their rooms somebody is shown, in which order and in which pages."""

from __future__ import annotations

from typing import Any

from messaging.testing import Messaging, User


def space(creator: User, name: str, **body: Any) -> str:
    return creator.create_room(
        name=name, preset="public_chat", creation_content={"type": "m.space"}, **body
    )


def put_child(creator: User, parent: str, child: str, **content: Any) -> None:
    body = {"via": ["example.org"], **content}
    creator.ok("PUT", f"/rooms/{parent}/state/m.space.child/{child}", body)


def page(user: User, root: str, **params: Any) -> Any:
    return user.ok("GET", f"/_matrix/client/v1/rooms/{root}/hierarchy", **params)


def names(found: Any) -> list[str]:
    return [room["name"] for room in found["rooms"]]


def test_a_space_is_walked_depth_first_and_each_room_judged(messaging: Messaging) -> None:
    [[admin], [member], [stranger]] = messaging.users(3)
    root, inner = space(admin, "Root"), space(admin, "Inner")
    rooms = {
        name: admin.create_room(name=name, preset=preset)
        for name, preset in (
            ("Last", "public_chat"),
            ("Deep", "public_chat"),
            ("Secret", "private_chat"),
        )
    }
    allow = [{"type": "m.room_membership", "room_id": root}]
    rules = {"type": "m.room.join_rules", "content": {"join_rule": "restricted", "allow": allow}}
    rooms["Members"] = admin.create_room(name="Members", initial_state=[rules])
    put_child(admin, root, rooms["Last"], order="z", suggested=True)
    put_child(admin, root, inner, order="a")
    put_child(admin, root, rooms["Members"], order="b")
    put_child(admin, root, rooms["Secret"], order="zz")
    put_child(admin, root, "!nosuch:example.org")
    put_child(admin, inner, rooms["Deep"])
    # Round and round.
    put_child(admin, inner, root)
    member.join(root)
    assert names(page(admin, root)) == ["Root", "Inner", "Deep", "Members", "Last", "Secret"]
    assert names(page(member, root)) == ["Root", "Inner", "Deep", "Members", "Last"]
    assert names(page(stranger, root)) == ["Root", "Inner", "Deep", "Last"]
    assert names(page(member, root, max_depth=1)) == ["Root", "Inner", "Members", "Last"]
    assert names(page(member, root, suggested_only="true")) == ["Root", "Last"]
    top = page(member, root)["rooms"][0]
    assert (top["room_type"], top["num_joined_members"], top["join_rule"]) == (
        "m.space",
        2,
        "public",
    )
    # What it names is told as it is, in the order of the walk; what has no order comes last.
    assert [child["state_key"] for child in top["children_state"]] == [
        *(inner, rooms["Members"], rooms["Last"], rooms["Secret"]),
        "!nosuch:example.org",
    ]
    first = page(member, root, limit=2)
    second = page(member, root, limit=2, **{"from": first["next_batch"]})
    third = page(member, root, limit=2, **{"from": second["next_batch"]})
    assert names(first) + names(second) + names(third) == names(page(member, root))
    assert "next_batch" not in third
    # A child without a server is taken away.
    admin.ok("PUT", f"/rooms/{root}/state/m.space.child/{inner}", {})
    assert names(page(stranger, root)) == ["Root", "Last"]
    refused = stranger.call("GET", f"/_matrix/client/v1/rooms/{rooms['Secret']}/hierarchy")
    assert (refused.status_code, refused.json()["errcode"]) == (403, "M_FORBIDDEN")
    wrong = member.call("GET", f"/_matrix/client/v1/rooms/{root}/hierarchy", **{"from": "x"})
    assert (wrong.status_code, wrong.json()["errcode"]) == (400, "M_INVALID_PARAM")

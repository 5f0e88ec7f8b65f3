"""Rooms over HTTP: making them, who may do what in them, their state, their history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from messaging.endpoints import router
from messaging.testing import Messaging, User


def code_of(reply: httpx.Response) -> tuple[int, str | None]:
    return reply.status_code, reply.json().get("errcode")


class Cast(msgspec.Struct, frozen=True):
    """Users as they stand to one room."""

    admin: User
    member: User
    muted: User
    invited: User
    left: User
    banned: User
    stranger: User
    room: str
    event: str


@pytest.fixture(scope="module")
def cast(messaging: Messaging) -> Cast:
    users = [messaging.user() for _ in range(7)]
    admin, member, muted, invited, left, banned, _ = users
    room = admin.create_room(
        preset="public_chat",
        power_level_content_override={"users": {admin.user_id: 100, muted.user_id: -1}},
    )
    for user in (member, muted, left, banned):
        user.join(room)
    event = admin.send(room, "hello")
    admin.ok("POST", f"/rooms/{room}/invite", {"user_id": invited.user_id})
    left.ok("POST", f"/rooms/{room}/leave", {})
    admin.ok("POST", f"/rooms/{room}/ban", {"user_id": banned.user_id})
    return Cast(*users, room=room, event=event)


# What each endpoint of a room answers to whom. Columns: admin, member, muted, invited, left,
# banned, stranger. Bodies are such that what is allowed changes nothing that others need.
READ = "200 200 200 403 200 200 403"
WRITE = "200 200 200 403 403 403 403"
SPEAK = "200 200 403 403 403 403 403"
ADMIN = "200 403 403 403 403 403 403"
MATRIX: list[tuple[str, str, Any, str]] = [
    ("GET", "/rooms/{room}/state", None, READ),
    ("GET", "/rooms/{room}/state/m.room.join_rules", None, READ),
    ("GET", "/rooms/{room}/state/m.room.join_rules/", None, READ),
    ("GET", "/rooms/{room}/members", None, READ),
    ("GET", "/rooms/{room}/messages", None, READ),
    ("GET", "/rooms/{room}/event/{event}", None, READ),
    ("GET", "/rooms/{room}/context/{event}", None, READ),
    ("GET", "/_matrix/client/v1/rooms/{room}/relations/{event}", None, READ),
    ("GET", "/_matrix/client/v1/rooms/{room}/relations/{event}/m.thread", None, READ),
    ("GET", "/_matrix/client/v1/rooms/{room}/relations/{event}/m.thread/m.x", None, READ),
    ("GET", "/_matrix/client/v1/rooms/{room}/threads", None, READ),
    ("GET", "/rooms/{room}/aliases", None, READ),
    # The room is public: whoever is not banned may know what it is.
    ("GET", "/_matrix/client/v1/rooms/{room}/hierarchy", None, "200 200 200 200 200 403 200"),
    ("POST", "/rooms/{room}/report/{event}", {}, "200 200 200 404 404 404 404"),
    ("GET", "/rooms/{room}/joined_members", None, WRITE),
    ("PUT", "/rooms/{room}/send/m.room.message/matrix", {"body": "x"}, SPEAK),
    ("PUT", "/rooms/{room}/redact/{event}/matrix", {}, ADMIN),
    ("PUT", "/rooms/{room}/state/m.room.topic", {"topic": "x"}, ADMIN),
    ("PUT", "/rooms/{room}/state/m.room.topic/", {"topic": "x"}, ADMIN),
    ("PUT", "/rooms/{room}/typing/{own}", {"typing": False}, WRITE),
    ("POST", "/rooms/{room}/receipt/m.read/{event}", {}, WRITE),
    ("POST", "/rooms/{room}/read_markers", {"m.read": "{event}"}, WRITE),
    ("GET", "/user/{own}/rooms/{room}/tags", None, WRITE),
    ("PUT", "/user/{own}/rooms/{room}/tags/u.x", {}, WRITE),
    ("DELETE", "/user/{own}/rooms/{room}/tags/u.x", None, WRITE),
    ("PUT", "/user/{own}/rooms/{room}/account_data/x", {}, "200 200 200 200 200 403 403"),
    ("GET", "/user/{own}/rooms/{room}/account_data/x", None, "200 200 200 200 200 403 403"),
    ("PUT", "/directory/list/room/{room}", {"visibility": "private"}, ADMIN),
    ("POST", "/rooms/{room}/kick", {"user_id": "{admin}"}, "403 403 403 403 403 403 403"),
    ("POST", "/rooms/{room}/unban", {"user_id": "{admin}"}, "403 403 403 403 403 403 403"),
    ("POST", "/rooms/{room}/ban", {"user_id": "{admin}"}, "403 403 403 403 403 403 403"),
    ("POST", "/rooms/{room}/invite", {"user_id": "{admin}"}, "403 403 403 403 403 403 403"),
    ("POST", "/rooms/{room}/forget", {}, "400 400 400 400 200 200 400"),
]
# Those that change who is in the room are tried on rooms of their own, below; the one that asks for
# a moment in test_messaging_closing.
CHANGING = {
    ("GET", "/_matrix/client/v1/rooms/{}/timestamp_to_event"),
    ("POST", "/rooms/{}/join"),
    ("POST", "/rooms/{}/leave"),
}


@pytest.mark.parametrize(("method", "path", "body", "statuses"), MATRIX)
def test_who_may_do_what(cast: Cast, method: str, path: str, body: Any, statuses: str) -> None:
    users = [
        *(cast.admin, cast.member, cast.muted, cast.invited),
        *(cast.left, cast.banned, cast.stranger),
    ]

    def filled(text: str, user: User) -> str:
        for name, value in (
            ("{room}", cast.room),
            ("{event}", cast.event),
            ("{own}", user.user_id),
            ("{admin}", cast.admin.user_id),
        ):
            text = text.replace(name, value)
        return text

    def body_of(user: User) -> Any:
        return (
            {key: filled(value, user) for key, value in body.items()}
            if (isinstance(body, dict) and all(isinstance(v, str) for v in body.values()))
            else body
        )

    answers = [u.call(method, filled(path, u), body_of(u)) for u in users]
    assert " ".join(str(answer.status_code) for answer in answers) == statuses
    for answer in answers:
        assert answer.status_code == 200 or answer.json()["errcode"].startswith("M_")
    anonymous = User(cast.admin.client, "", "", "")
    for token, code in (("", "M_MISSING_TOKEN"), ("made-up", "M_UNKNOWN_TOKEN")):
        anonymous.token = token
        reply = anonymous.call(method, filled(path, cast.admin), body_of(cast.admin))
        assert code_of(reply) == (401, code)


def test_no_endpoint_of_a_room_is_missing_from_the_matrix() -> None:
    """Whoever adds one has to say who may use it."""

    def shape(path: str) -> str:
        for name in ("{room}", "{event}", "{own}"):
            path = path.replace(name, "{}")
        for value in ("m.room.join_rules", "m.room.topic", "m.thread", "m.x", "m.read", "u.x"):
            path = path.replace(value, "{}")
        return path.replace("m.room.message/matrix", "{}/{}").replace("/matrix", "/{}")

    prefix = "/_matrix/client/v3"
    given = {
        (method, shape(path.replace("account_data/x", "account_data/{}")).rstrip("/"))
        for method, path, _, _ in MATRIX
    } | CHANGING
    tried = {(m, p if p.startswith("/_matrix") else prefix + p) for m, p in given}
    # Routes that end in an empty parameter have the same shape without it.
    there = {
        (route_method, path)
        for route_method, path in router().routes()
        if "/rooms/{}" in path or "/list/room/" in path
    } - {("GET", f"{prefix}/directory/list/room/{{}}")}
    optional = {
        ("GET", f"{prefix}/rooms/{{}}/state/{{}}/{{}}"),
        ("PUT", f"{prefix}/rooms/{{}}/state/{{}}/{{}}"),
    }
    assert there - tried - optional == set()


def test_joining_and_leaving(messaging: Messaging) -> None:
    admin, guest, other = (messaging.user() for _ in range(3))
    room = admin.create_room(preset="private_chat", invite=[guest.user_id])
    assert code_of(other.call("POST", f"/join/{room}", {})) == (403, "M_FORBIDDEN")
    assert code_of(other.call("POST", "/join/!none:example.org", {})) == (404, "M_NOT_FOUND")
    guest.join(room)
    guest.join(room)
    assert guest.ok("GET", "/joined_rooms")["joined_rooms"] == [room]
    guest.ok("POST", f"/rooms/{room}/leave", {"reason": "tired"})
    assert code_of(guest.call("POST", f"/rooms/{room}/leave", {})) == (403, "M_FORBIDDEN")
    assert guest.ok("GET", "/joined_rooms")["joined_rooms"] == []
    assert code_of(guest.call("POST", f"/join/{room}", {})) == (403, "M_FORBIDDEN")
    state = guest.ok("GET", f"/rooms/{room}/state/m.room.member/{guest.user_id}")
    assert (state["membership"], state["reason"]) == ("leave", "tired")
    # What happens after one left is not seen.
    later = admin.send(room, "secret")
    assert guest.call("GET", f"/rooms/{room}/event/{later}").status_code == 404
    chunk = guest.ok("GET", f"/rooms/{room}/messages", limit=100)["chunk"]
    assert later not in {event["event_id"] for event in chunk}
    admin.ok("PUT", f"/rooms/{room}/state/m.room.name", {"name": "later"})
    assert guest.call("GET", f"/rooms/{room}/state/m.room.name").status_code == 404
    guest.ok("POST", f"/rooms/{room}/forget", {})
    assert guest.call("GET", f"/rooms/{room}/messages").status_code == 403


def test_kicking_banning_and_letting_back_in(messaging: Messaging) -> None:
    admin, guest = messaging.user(), messaging.user()
    room = admin.create_room(preset="public_chat")
    guest.join(room)
    target = {"user_id": guest.user_id}
    admin.ok("POST", f"/rooms/{room}/kick", {**target, "reason": "noise"})
    assert code_of(admin.call("POST", f"/rooms/{room}/kick", target)) == (403, "M_FORBIDDEN")
    guest.join(room)
    admin.ok("POST", f"/rooms/{room}/ban", target)
    assert code_of(guest.call("POST", f"/join/{room}", {})) == (403, "M_FORBIDDEN")
    assert code_of(admin.call("POST", f"/rooms/{room}/kick", target)) == (403, "M_FORBIDDEN")
    assert code_of(admin.call("POST", f"/rooms/{room}/invite", target)) == (403, "M_FORBIDDEN")
    admin.ok("POST", f"/rooms/{room}/unban", target)
    guest.join(room)
    for body, code in (({}, "M_MISSING_PARAM"), ({"user_id": "bob"}, "M_BAD_JSON")):
        assert code_of(admin.call("POST", f"/rooms/{room}/kick", body)) == (400, code)


def test_presets_and_initial_state(messaging: Messaging) -> None:
    admin, guest = messaging.user(), messaging.user()
    room = admin.create_room(
        preset="trusted_private_chat",
        invite=[guest.user_id],
        is_direct=True,
        name="n",
        topic="t",
        room_alias_name="made-with-it",
        initial_state=[
            {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}},
            {"type": "org.example", "state_key": "k", "content": {"a": 1}},
        ],
        creation_content={"type": "m.space"},
        power_level_content_override={"ban": 99},
    )
    state = {(e["type"], e["state_key"]): e for e in admin.ok("GET", f"/rooms/{room}/state")}
    levels = state["m.room.power_levels", ""]["content"]
    assert levels["users"] == {admin.user_id: 100, guest.user_id: 100}
    assert levels["ban"] == 99
    created = state["m.room.create", ""]["content"]
    assert created == {"creator": admin.user_id, "room_version": "10", "type": "m.space"}
    visibility = state["m.room.history_visibility", ""]["content"]
    assert visibility == {"history_visibility": "joined"}
    assert state["org.example", "k"]["content"] == {"a": 1}
    assert state["m.room.member", guest.user_id]["content"]["is_direct"] is True
    alias = "#made-with-it:example.org"
    assert state["m.room.canonical_alias", ""]["content"] == {"alias": alias}
    found = messaging.client.get(f"/_matrix/client/v3/directory/room/{quote(alias)}")
    assert found.json()["room_id"] == room
    taken = admin.call("POST", "/createRoom", {"room_alias_name": "made-with-it"})
    assert code_of(taken) == (400, "M_ROOM_IN_USE")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"room_version": "99"}, (400, "M_UNSUPPORTED_ROOM_VERSION")),
        ({"preset": "?"}, (400, "M_INVALID_PARAM")),
        ({"visibility": "?"}, (400, "M_INVALID_PARAM")),
        ({"invite": ["bob"]}, (400, "M_INVALID_PARAM")),
        ({"invite": ["@nobody:example.org"]}, (404, "M_NOT_FOUND")),
        ({"room_alias_name": "a b"}, (400, "M_INVALID_PARAM")),
        ({"initial_state": [{"type": "x"}]}, (400, "M_MISSING_PARAM")),
        ({"initial_state": [{"type": "m.room.member", "content": {}}]}, (400, "M_BAD_JSON")),
        ({"power_level_content_override": {"ban": "x"}}, (400, "M_BAD_JSON")),
        ({"name": "x" * 70_000}, (413, "M_TOO_LARGE")),
    ],
)
def test_rooms_that_cannot_be_made(
    cast: Cast, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert code_of(cast.stranger.call("POST", "/createRoom", body)) == expected
    assert cast.stranger.ok("GET", "/joined_rooms")["joined_rooms"] == []


def test_aliases_and_the_directory(messaging: Messaging) -> None:
    admin, guest = messaging.user(), messaging.user()
    room = admin.create_room(visibility="public", name="Öffentlich und selten", topic="about it")
    alias = "#café:example.org"
    path = f"/directory/room/{quote(alias)}"
    assert guest.call("GET", path).status_code == 404
    assert code_of(guest.call("PUT", path, {"room_id": room})) == (403, "M_FORBIDDEN")
    admin.ok("PUT", path, {"room_id": room})
    assert code_of(admin.call("PUT", path, {"room_id": room}))[0] == 409
    assert code_of(admin.call("PUT", "/directory/room/x", {})) == (400, "M_INVALID_PARAM")
    canonical = f"/rooms/{room}/state/m.room.canonical_alias"
    bad = admin.call("PUT", canonical, {"alias": "#none:example.org"})
    assert code_of(bad) == (400, "M_BAD_ALIAS")
    admin.ok("PUT", canonical, {"alias": alias})
    guest.ok("POST", f"/join/{quote(alias)}", {})
    assert guest.ok("GET", f"/rooms/{room}/aliases")["aliases"] == [alias]
    found = guest.ok(
        "POST", "/publicRooms", {"filter": {"generic_search_term": "und SELTEN"}, "limit": 10}
    )["chunk"]
    assert [(r["room_id"], r["num_joined_members"], r["canonical_alias"]) for r in found] == [
        (room, 2, alias)
    ]
    assert code_of(guest.call("DELETE", path)) == (403, "M_FORBIDDEN")
    admin.ok("DELETE", path)
    assert guest.call("GET", path).status_code == 404
    admin.ok("PUT", f"/directory/list/room/{room}", {"visibility": "private"})
    listed = messaging.client.get("/_matrix/client/v3/publicRooms").json()["chunk"]
    assert room not in {one["room_id"] for one in listed}


def test_the_directory_goes_page_by_page(messaging: Messaging) -> None:
    admin = messaging.user()
    rooms = {admin.create_room(visibility="public") for _ in range(3)}
    found, since = [], None
    while True:
        params = {"limit": 2} | ({"since": since} if since else {})
        page = admin.ok("GET", "/publicRooms", **params)
        found += [one["room_id"] for one in page["chunk"]]
        since = page.get("next_batch")
        if since is None:
            break
    assert len(found) == len(set(found))
    assert rooms <= set(found)


def test_state_is_replaced_and_the_same_state_is_not(messaging: Messaging) -> None:
    admin = messaging.user()
    room = admin.create_room()
    path = f"/rooms/{room}/state/org.example/a%2Fb"
    first = admin.ok("PUT", path, {"n": 1})["event_id"]
    assert admin.ok("PUT", path, {"n": 1})["event_id"] == first
    second = admin.ok("PUT", path, {"n": 2})["event_id"]
    event = admin.ok("GET", path, format="event")
    assert (event["event_id"], event["state_key"]) == (second, "a/b")
    assert event["unsigned"]["replaces_state"] == first
    assert admin.ok("GET", path) == {"n": 2}


def test_redactions(messaging: Messaging) -> None:
    admin, guest = messaging.user(), messaging.user()
    room = admin.create_room(preset="public_chat")
    guest.join(room)
    event = guest.send(room, "a slip")
    own = f"/rooms/{room}/redact/{event}/1"
    redaction = guest.ok("PUT", own, {"reason": "slip"})["event_id"]
    assert guest.ok("PUT", own, {"reason": "slip"})["event_id"] == redaction
    shown = admin.ok("GET", f"/rooms/{room}/event/{event}")
    assert shown["content"] == {}
    assert shown["unsigned"]["redacted_because"]["event_id"] == redaction
    other = admin.send(room, "stays")
    assert code_of(guest.call("PUT", f"/rooms/{room}/redact/{other}/2", {}))[0] == 403
    assert code_of(guest.call("PUT", f"/rooms/{room}/redact/$none.1/3", {}))[0] == 404


def test_pages_of_history_meet(messaging: Messaging) -> None:
    admin = messaging.user()
    room = admin.create_room()
    sent = [admin.send(room, str(n)) for n in range(25)]

    def read(direction: str, **params: Any) -> list[str]:
        found: list[str] = []
        while True:
            page = admin.ok("GET", f"/rooms/{room}/messages", dir=direction, limit=7, **params)
            found += [e["event_id"] for e in page["chunk"] if e["type"] == "m.room.message"]
            if not page["chunk"] or "end" not in page:
                return found
            params["from"] = page["end"]

    assert read("b") == sent[::-1]
    assert read("f") == sent
    context = admin.ok("GET", f"/rooms/{room}/context/{sent[10]}", limit=4)
    assert context["event"]["event_id"] == sent[10]
    assert [e["event_id"] for e in context["events_before"]] == sent[8:10][::-1]
    assert [e["event_id"] for e in context["events_after"]] == sent[11:13]
    before = read("b", **{"from": context["start"]})
    assert before == sent[:8][::-1]
    filtered = admin.ok(
        "GET", f"/rooms/{room}/messages", filter='{"types":["m.room.create"]}', limit=100
    )
    assert [e["type"] for e in filtered["chunk"]] == ["m.room.create"]


@pytest.mark.parametrize("visibility", ["shared", "joined", "invited", "world_readable"])
def test_history_visibility_holds_at_every_read(messaging: Messaging, visibility: str) -> None:
    admin, guest, stranger = (messaging.user() for _ in range(3))
    content = {"history_visibility": visibility}
    room = admin.create_room(
        preset="public_chat",
        initial_state=[{"type": "m.room.history_visibility", "content": content}],
    )
    early = admin.send(room, "early")
    admin.ok("POST", f"/rooms/{room}/invite", {"user_id": guest.user_id})
    between = admin.send(room, "between")
    guest.join(room)
    late = admin.send(room, "late")
    expected = {
        "shared": {early, between, late},
        "world_readable": {early, between, late},
        "invited": {between, late},
        "joined": {late},
    }[visibility]
    everything = {early, between, late}

    def all_of(read: Callable[[], Any]) -> set[str]:
        return {e["event_id"] for e in read()} & everything

    assert (
        all_of(lambda: guest.ok("GET", f"/rooms/{room}/messages", limit=100)["chunk"]) == expected
    )
    joined = guest.sync(filter='{"room":{"timeline":{"limit":100}}}')["rooms"]["join"][room]
    assert all_of(lambda: joined["timeline"]["events"]) == expected
    for event in everything:
        status = 200 if event in expected else 404
        for path in (f"/rooms/{room}/event/{event}", f"/rooms/{room}/context/{event}"):
            assert guest.call("GET", path).status_code == status
        related = f"/_matrix/client/v1/rooms/{room}/relations/{event}"
        assert guest.call("GET", related).status_code == status
    page = guest.ok("GET", f"/rooms/{room}/context/{late}", limit=100)
    assert {e["event_id"] for e in page["events_before"]} & everything == expected - {late}
    peek = stranger.call("GET", f"/rooms/{room}/messages")
    assert peek.status_code == (200 if visibility == "world_readable" else 403)


def test_threads_and_edits(messaging: Messaging) -> None:
    admin, guest = messaging.user(), messaging.user()
    room = admin.create_room(preset="public_chat")
    guest.join(room)
    root = admin.send(room, "root")
    alone = admin.send(room, "alone")

    def relation(kind: str, event: str) -> dict[str, Any]:
        return {"m.relates_to": {"rel_type": kind, "event_id": event}}

    replies = [guest.send(room, f"reply {n}", **relation("m.thread", root)) for n in range(3)]
    edit = admin.send(
        room,
        "* better",
        **relation("m.replace", alone),
        **{"m.new_content": {"msgtype": "m.text", "body": "better"}},
    )
    guest.send(room, "not mine", **relation("m.replace", alone))
    v1 = "/_matrix/client/v1"
    page = admin.ok("GET", f"{v1}/rooms/{room}/relations/{root}/m.thread", limit=2)
    assert [e["event_id"] for e in page["chunk"]] == [replies[2], replies[1]]
    rest = admin.ok(
        "GET", f"{v1}/rooms/{room}/relations/{root}/m.thread", **{"from": page["next_batch"]}
    )
    assert [e["event_id"] for e in rest["chunk"]] == [replies[0]]
    forwards = admin.ok("GET", f"{v1}/rooms/{room}/relations/{root}", dir="f")
    assert [e["event_id"] for e in forwards["chunk"]] == replies
    sideways = admin.call("GET", f"{v1}/rooms/{room}/relations/{root}", dir="sideways")
    assert (sideways.status_code, sideways.json()["errcode"]) == (400, "M_INVALID_PARAM")
    summary = guest.ok("GET", f"/rooms/{room}/event/{root}")["unsigned"]["m.relations"]["m.thread"]
    assert (summary["count"], summary["current_user_participated"]) == (3, True)
    assert summary["latest_event"]["event_id"] == replies[2]
    edited = guest.ok("GET", f"/rooms/{room}/event/{alone}")["unsigned"]["m.relations"]
    assert edited["m.replace"]["event_id"] == edit
    threads = admin.ok("GET", f"{v1}/rooms/{room}/threads")["chunk"]
    assert [e["event_id"] for e in threads] == [root]
    own = admin.ok("GET", f"{v1}/rooms/{room}/threads", include="participated")["chunk"]
    assert own == []

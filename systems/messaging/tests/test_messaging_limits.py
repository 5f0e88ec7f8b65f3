"""Whatever is sent as a body, a filter or an event's content: an answer, and none of a fault."""

from __future__ import annotations

import itertools
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messaging.described import SHAPES
from messaging.described.schemas import COMPONENTS, Shape, name_of
from messaging.events import EVENT_BYTES_MAX
from messaging.filters import FILTER_BYTES_MAX
from messaging.http import BODY_BYTES_MAX
from messaging.testing import Messaging, User

DEEP = 5_000
WRONG: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \n",
    "half an object": b'{"a":',
    "no UTF-8": b'{"a":"\xff\xfe"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "half a surrogate pair": b'{"body":"\\ud800","reason":"\\udc00"}',
    "a surrogate as a name": b'{"\\udfff":1}',
    "no number": b'{"a":NaN}',
    "an endless number": b'{"a":1e400}',
    "deep lists": b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a list": b"[]",
    "a text": b'"text"',
    "null": b"null",
}
"""Never JSON objects; some endpoints do without a body."""
NASTY: dict[str, Any] = {
    "NUL": "\0",
    "a number": 2**63,
    "a huge number": 10**400,
    "a negative number": -(2**70),
    "a fraction": 0.5,
    "an empty text": "",
    "a long text": "x" * 5_000,
    "other letters": "\U0001f98a\u202e\ufdd0\ufffe",
    "a list of lists": [[[]]],
    "an object": {"": {"\0": [None]}},
    "true": True,
    "null": None,
}
"""Values for every member that a body is described to have."""


def path_of(shape: Shape, values: dict[str, str]) -> str:
    path = shape.path
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


@pytest.fixture(scope="module")
def known(proving: Messaging) -> tuple[User, dict[str, str]]:
    """Somebody in a room of their own, and what fills the paths."""
    [[user]] = proving.users(1)
    room = user.create_room(preset="public_chat")
    values = {
        "roomId": room,
        "roomIdOrAlias": room,
        "roomAlias": "#limits:example.org",
        "userId": user.user_id,
        "eventId": user.send(room, "one"),
        "eventType": "org.example.limits",
        "stateKey": "key",
        "txnId": "limits",
        "receiptType": "m.read",
        "type": "org.example",
        "tag": "u.work",
        "keyName": "displayname",
        "deviceId": "D0",
    }
    return user, values


def sent(user: User, shape: Shape, values: dict[str, str], body: bytes) -> httpx.Response:
    return user.client.request(
        shape.method,
        path_of(shape, values),
        content=body,
        headers={"Authorization": f"Bearer {user.token}"},
    )


TAKING = [
    shape
    for shape in SHAPES
    if shape.body is not None
    and shape.body_media == "application/json"
    and "/leave" not in shape.path
]


@pytest.mark.parametrize("shape", TAKING, ids=map(name_of, TAKING))
def test_what_is_no_object_is_refused(known: tuple[User, dict[str, str]], shape: Shape) -> None:
    user, values = known
    for name, body in WRONG.items():
        reply = sent(user, shape, values, body)
        if not shape.body_required and not body:
            assert reply.status_code < 500, name
            continue
        assert (reply.status_code, reply.json()["errcode"]) in (
            (400, "M_NOT_JSON"),
            (400, "M_BAD_JSON"),
        ), (name, reply.text)


@pytest.mark.parametrize("shape", TAKING, ids=map(name_of, TAKING))
def test_members_of_any_kind_are_answered(known: tuple[User, dict[str, str]], shape: Shape) -> None:
    user, values = known
    body = shape.body or {}
    body = COMPONENTS[body["$ref"].rpartition("/")[2]] if "$ref" in body else body
    members = list(body.get("properties", ["body"]))
    everything = dict.fromkeys(members, "text")
    for member, (name, value) in itertools.product(members, NASTY.items()):
        reply = sent(user, shape, values, json.dumps({**everything, member: value}).encode())
        assert reply.status_code < 500, (member, name, reply.text)
        if reply.status_code != 200:
            assert {"errcode", "flows"} & set(reply.json()), (member, name)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/createRoom", {"initial_state": [{"type": "a\0b", "content": {}}]}),
        ("/createRoom", {"initial_state": [{"type": "a", "state_key": "\0", "content": {}}]}),
        ("/createRoom", {"invite": ["@a\0:example.org"]}),
        ("/createRoom", {"power_level_content_override": {"users": {"@a\0:b": 1}}}),
        ("/createRoom", {"creation_content": {"a": 10**400}}),
        ("/keys/query", {"device_keys": {"@a\0:b": []}}),
        ("/keys/claim", {"one_time_keys": {"@a:b": {"\0": "x"}}}),
        ("/keys/upload", {"one_time_keys": {"a:\0": {}}}),
        ("/delete_devices", {"devices": ["\0"]}),
    ],
)
def test_what_no_table_takes_is_refused_within_a_body_too(
    known: tuple[User, dict[str, str]], path: str, body: Any
) -> None:
    user, _ = known
    assert user.call("POST", path, body).status_code == 400


def test_a_body_has_a_limit(known: tuple[User, dict[str, str]]) -> None:
    user, values = known
    path = f"/rooms/{quote(values['roomId'])}/send/org.example/large"
    refused = user.call("PUT", path, {"a": "x" * BODY_BYTES_MAX})
    assert (refused.status_code, refused.json()["errcode"]) == (413, "M_TOO_LARGE")


@pytest.mark.parametrize("kind", ["send", "state", "redact", "account_data", "create"])
def test_an_event_has_a_limit(known: tuple[User, dict[str, str]], kind: str) -> None:
    """What is accepted is at most that large as clients get it, with all that the server adds."""
    user, values = known
    room = quote(values["roomId"])

    def call(size: int) -> httpx.Response:
        text = "x" * size
        if kind == "send":
            return user.call("PUT", f"/rooms/{room}/send/m.x/s{size}", {"body": text})
        if kind == "state":
            return user.call("PUT", f"/rooms/{room}/state/m.x/{'k' * 255}", {"body": text})
        if kind == "redact":
            event = quote(values["eventId"])
            return user.call("PUT", f"/rooms/{room}/redact/{event}/r{size}", {"reason": text})
        if kind == "account_data":
            path = f"/user/{quote(user.user_id)}/account_data/org.example"
            return user.call("PUT", path, {"a": text})
        return user.call("POST", "/createRoom", {"topic": text})

    refused = call(EVENT_BYTES_MAX)
    assert (refused.status_code, refused.json()["errcode"]) == (413, "M_TOO_LARGE")
    accepted = call(EVENT_BYTES_MAX - 2_000)
    assert accepted.status_code == 200
    if kind in ("send", "state", "redact"):
        event_id = quote(accepted.json()["event_id"])
        event = user.call("GET", f"/rooms/{room}/event/{event_id}")
        assert EVENT_BYTES_MAX - 2_000 < len(event.content) <= EVENT_BYTES_MAX


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        (("x" * 255, "1"), 200),
        (("x" * 256, "1"), 400),
        (("ü" * 128, "1"), 400),
        (("m.x", "t" * 256), 400),
    ],
    ids=["the longest type", "a longer type", "a type of more bytes", "a long transaction id"],
)
def test_a_type_and_a_transaction_id_have_a_limit(
    known: tuple[User, dict[str, str]], parts: tuple[str, str], status: int
) -> None:
    user, values = known
    kind, txn = map(quote, parts)
    path = f"/rooms/{quote(values['roomId'])}/send/{kind}/{txn}"
    assert user.call("PUT", path, {}).status_code == status


def test_a_filter_has_a_limit(known: tuple[User, dict[str, str]]) -> None:
    user, values = known
    path = f"/user/{quote(user.user_id)}/filter"
    types = ["x" * 100] * (FILTER_BYTES_MAX // 100)
    refused = user.call("POST", path, {"room": {"timeline": {"types": types}}})
    assert (refused.status_code, refused.json()["errcode"]) == (413, "M_TOO_LARGE")
    for wrong in ({"room": []}, {"room": {"timeline": {"limit": "x"}}}, {"room": {"rooms": [1]}}):
        assert user.call("POST", path, wrong).json()["errcode"] == "M_BAD_JSON"
        assert user.call("GET", "/sync", filter=json.dumps(wrong)).status_code == 400
    for number in (-1, 0, 10**30):
        found = {"room": {"timeline": {"limit": number}}}
        reply = user.call("GET", "/sync", filter=json.dumps(found))
        assert reply.status_code == 200, reply.text
        timeline = reply.json()["rooms"]["join"][values["roomId"]]["timeline"]
        assert 1 <= len(timeline["events"]) <= 100


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_numbers = itertools.count()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "msgtype": JSON,
        "body": JSON,
        "m.mentions": JSON | st.fixed_dictionaries({"user_ids": JSON, "room": JSON}),
        "m.relates_to": JSON | st.fixed_dictionaries({"rel_type": JSON, "event_id": JSON}),
        "membership": JSON,
        "url": JSON,
    },
)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(content=PARTS, more=st.dictionaries(TEXT, JSON, max_size=3))
def test_any_content_comes_back_as_it_was_sent(
    known: tuple[User, dict[str, str]], content: dict[str, Any], more: dict[str, Any]
) -> None:
    """From each of the ways by which a client gets an event."""
    user, values = known
    room = values["roomId"]
    message = {**more, **content}
    user.sync()
    path = f"/rooms/{quote(room)}/send/m.room.message/fuzzed{next(_numbers)}"
    event_id = user.ok("PUT", path, message)["event_id"]
    [event] = user.sync()["rooms"]["join"][room]["timeline"]["events"]
    assert (event["event_id"], event["content"]) == (event_id, message)
    for read in ("event", "context"):
        shown = user.ok("GET", f"/rooms/{quote(room)}/{read}/{event_id}")
        assert shown.get("event", shown)["content"] == message
    page = user.ok("GET", f"/rooms/{quote(room)}/messages", limit=1)["chunk"]
    assert [one["content"] for one in page] == [message]

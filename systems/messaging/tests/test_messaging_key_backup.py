"""Backups of room keys: versions, which key replaces which, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messaging.testing import Messaging, User

ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"
VERSION, KEYS = "/room_keys/version", "/room_keys/keys"


def key(text: str = "x", *, first: int = 0, forwarded: int = 0, verified: bool = True) -> Any:
    return {
        "first_message_index": first,
        "forwarded_count": forwarded,
        "is_verified": verified,
        "session_data": {"ciphertext": text},
    }


def made(user: User) -> str:
    body = {"algorithm": ALGORITHM, "auth_data": {"public_key": "abc"}}
    return str(user.ok("POST", VERSION, body)["version"])


def refusal(user: User, method: str, path: str, body: Any = None, **params: Any) -> Any:
    reply = user.call(method, path, body, **params)
    return reply.status_code, reply.json()["errcode"]


def test_versions_count_on_and_the_newest_is_told(messaging: Messaging) -> None:
    [[user], [other]] = messaging.users(2)
    assert refusal(user, "GET", VERSION) == (404, "M_NOT_FOUND")
    first, second = made(user), made(user)
    newest = user.ok("GET", VERSION)
    assert newest == {
        "algorithm": ALGORITHM,
        "auth_data": {"public_key": "abc"},
        "count": 0,
        "etag": newest["etag"],
        "version": second,
    }
    assert user.ok("GET", f"{VERSION}/{first}")["version"] == first
    # The data of a backup may change, its algorithm not.
    body = {"algorithm": ALGORITHM, "auth_data": {"signatures": {}}, "version": first}
    assert user.ok("PUT", f"{VERSION}/{first}", body) == {}
    assert user.ok("GET", f"{VERSION}/{first}")["auth_data"] == {"signatures": {}}
    for wrong in ({"algorithm": "another"}, {"version": second}):
        refused = refusal(user, "PUT", f"{VERSION}/{first}", {**body, **wrong})
        assert refused == (400, "M_INVALID_PARAM")
    assert refusal(other, "GET", f"{VERSION}/{first}") == (404, "M_NOT_FOUND")
    assert user.ok("DELETE", f"{VERSION}/{second}") == {}
    for method in ("GET", "DELETE"):
        assert refusal(user, method, f"{VERSION}/{second}") == (404, "M_NOT_FOUND")
    assert user.ok("GET", VERSION)["version"] == first
    # Whoever holds keys of a backup that is gone must not take another for it.
    assert made(user) not in (first, second)
    assert refusal(user, "POST", VERSION, {"algorithm": ALGORITHM}) == (400, "M_MISSING_PARAM")


def test_keys_are_put_got_and_deleted_by_room_and_session(messaging: Messaging) -> None:
    [[user], [other]] = messaging.users(2)
    version = made(user)
    of = {"version": version}
    rooms = {"!a:x": {"sessions": {"1": key("a1"), "2/": key("a2")}}, "!b:x": {"sessions": {}}}
    put = user.ok("PUT", KEYS, {"rooms": rooms}, **of)
    assert put["count"] == 2
    again = user.ok("PUT", KEYS, {"rooms": rooms}, **of)
    # The same again changes nothing, so clients need not read it anew.
    assert again == put
    one = user.ok("PUT", f"{KEYS}/!b:x/3", key("b3"), **of)
    room = user.ok("PUT", f"{KEYS}/!b:x", {"sessions": {"4": key("b4")}}, **of)
    assert (one["count"], room["count"]) == (3, 4)
    assert len({put["etag"], one["etag"], room["etag"]}) == 3
    assert user.ok("GET", VERSION) | room == user.ok("GET", VERSION)
    assert user.ok("GET", f"{KEYS}/!a:x/2%2F", **of) == key("a2")
    sessions = {"3": key("b3"), "4": key("b4")}
    assert user.ok("GET", f"{KEYS}/!b:x", **of) == {"sessions": sessions}
    everything = {"!a:x": rooms["!a:x"], "!b:x": {"sessions": sessions}}
    assert user.ok("GET", KEYS, **of) == {"rooms": everything}
    assert refusal(user, "GET", f"{KEYS}/!a:x/9", **of) == (404, "M_NOT_FOUND")
    assert user.ok("GET", f"{KEYS}/!c:x", **of) == {"sessions": {}}
    assert refusal(other, "GET", KEYS, **of) == (404, "M_NOT_FOUND")
    assert user.ok("DELETE", f"{KEYS}/!b:x/3", **of)["count"] == 3
    assert user.ok("DELETE", f"{KEYS}/!a:x", **of)["count"] == 1
    gone = user.ok("DELETE", KEYS, **of)
    assert gone["count"] == 0
    assert gone["etag"] not in {put["etag"], one["etag"], room["etag"]}
    assert user.ok("GET", KEYS, **of) == {"rooms": {}}


def test_only_the_newest_backup_is_written(messaging: Messaging) -> None:
    [[user]] = messaging.users(1)
    assert refusal(user, "PUT", KEYS, {"rooms": {}}, version="1") == (404, "M_NOT_FOUND")
    old, new = made(user), made(user)
    reply = user.call("PUT", f"{KEYS}/!a:x/1", key(), version=old)
    assert (reply.status_code, reply.json()["errcode"]) == (403, "M_WRONG_ROOM_KEYS_VERSION")
    assert reply.json()["current_version"] == new
    for version in ("99", "no number"):
        assert refusal(user, "PUT", KEYS, {"rooms": {}}, version=version) == (404, "M_NOT_FOUND")
    assert refusal(user, "PUT", KEYS, {"rooms": {}}) == (400, "M_MISSING_PARAM")


@pytest.mark.parametrize(
    ("errcode", "body"),
    [
        ("M_BAD_JSON", {}),
        ("M_BAD_JSON", {**key(), "first_message_index": -1}),
        ("M_BAD_JSON", {**key(), "first_message_index": True}),
        ("M_BAD_JSON", {**key(), "forwarded_count": 2**70}),
        ("M_BAD_JSON", {**key(), "is_verified": 1}),
        ("M_BAD_JSON", {**key(), "session_data": "x"}),
        ("M_TOO_LARGE", key("x" * 9_000)),
    ],
)
def test_a_key_that_is_none_is_refused(messaging: Messaging, errcode: str, body: Any) -> None:
    [[user]] = messaging.users(1)
    version = made(user)
    refused = refusal(user, "PUT", f"{KEYS}/!a:x/1", body, version=version)
    assert refused[1] == errcode
    assert user.ok("GET", VERSION)["count"] == 0


def worth(one: Any) -> Any:
    return not one["is_verified"], one["first_message_index"], one["forwarded_count"]


_KEY = st.builds(
    key,
    st.sampled_from("abc"),
    first=st.integers(0, 2),
    forwarded=st.integers(0, 2),
    verified=st.booleans(),
)


@pytest.fixture(scope="module")
def writer(messaging: Messaging) -> tuple[User, str]:
    [[user]] = messaging.users(1)
    return user, made(user)


@settings(max_examples=15, deadline=None)
@given(keys=st.lists(_KEY, min_size=1, max_size=5))
def test_the_best_key_of_a_session_stays(writer: tuple[User, str], keys: list[Any]) -> None:
    """Verified, from the earliest message on, passed on least; of equals the first."""
    user, version = writer
    user.ok("DELETE", KEYS, version=version)
    for one in keys:
        user.ok("PUT", f"{KEYS}/!a:x/1", one, version=version)
    assert user.ok("GET", f"{KEYS}/!a:x/1", version=version) == min(keys, key=worth)
    assert user.ok("GET", VERSION)["count"] == 1

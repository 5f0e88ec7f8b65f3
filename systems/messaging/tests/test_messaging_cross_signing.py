"""Cross-signing: keys and signatures that are real, and who is told of which."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from messaging.signing import is_signed
from messaging.testing import PASSWORD, Messaging, User


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


class Pair:
    """An ed25519 key that signs."""

    def __init__(self) -> None:
        self.private = ECC.generate(curve="ed25519")
        self.public = text_of(self.private.public_key().export_key(format="raw"))
        self.id = f"ed25519:{self.public}"

    def signs(self, user: User, content: dict[str, Any], name: str = "") -> dict[str, Any]:
        """The content, also signed by this key, for this user."""
        bare = {k: v for k, v in content.items() if k not in ("signatures", "unsigned")}
        canonical = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        signature = text_of(eddsa.new(self.private, "rfc8032").sign(canonical.encode()))
        own = {**content.get("signatures", {}).get(user.user_id, {}), name or self.id: signature}
        return {**content, "signatures": {**content.get("signatures", {}), user.user_id: own}}


class Identity:
    """A user's three keys, as they are uploaded."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.master, self.self_signing, self.user_signing = Pair(), Pair(), Pair()

    def key(self, usage: str) -> dict[str, Any]:
        pair: Pair = getattr(self, usage)
        content = {"user_id": self.user.user_id, "usage": [usage], "keys": {pair.id: pair.public}}
        return content if usage == "master" else self.master.signs(self.user, content)

    def body(self) -> dict[str, Any]:
        return {f"{u}_key": self.key(u) for u in ("master", "self_signing", "user_signing")}


def device_of(user: User) -> tuple[Pair, dict[str, Any]]:
    """Keys of the user's device, uploaded."""
    pair = Pair()
    content = {
        "user_id": user.user_id,
        "device_id": user.device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": {f"ed25519:{user.device_id}": pair.public},
        # Ids and names have letters of every kind, which canonical JSON does not escape.
        "org.example.name": "Küche 🫖",
    }
    keys = pair.signs(user, content, f"ed25519:{user.device_id}")
    user.ok("POST", "/keys/upload", {"device_keys": keys})
    return pair, keys


UPLOAD, SIGNATURES = "/keys/device_signing/upload", "/keys/signatures/upload"


def queried(user: User, *others: User) -> dict[str, Any]:
    wanted = {"device_keys": {one.user_id: [] for one in others}}
    return dict(user.ok("POST", "/keys/query", wanted))


def password_of(user: User) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": user.user_id}
    return {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}


def friends(messaging: Messaging) -> list[User]:
    """Three users: two share a room, the third is alone; all know of everything so far."""
    users = [messaging.user() for _ in range(3)]
    room = users[0].create_room(preset="public_chat")
    users[1].join(room)
    for one in users:
        one.sync()
    return users


def changed(user: User) -> list[str]:
    return list(user.sync(timeout=3_000).get("device_lists", {}).get("changed", []))


def test_the_first_keys_are_free_and_others_want_the_password(messaging: Messaging) -> None:
    user, friend, stranger = friends(messaging)
    mine = Identity(user)
    assert user.ok("POST", UPLOAD, mine.body()) == {}
    assert changed(friend) == [user.user_id]
    assert "device_lists" not in stranger.sync()
    # The same again, since the answer may have been lost: nobody is asked or told anything.
    assert user.ok("POST", UPLOAD, mine.body()) == {}
    assert "device_lists" not in friend.sync()
    found = queried(friend, user)
    assert found["master_keys"][user.user_id]["keys"] == {mine.master.id: mine.master.public}
    assert found["self_signing_keys"] == {user.user_id: mine.key("self_signing")}
    assert found["user_signing_keys"] == {}
    assert queried(user, user)["user_signing_keys"] == {user.user_id: mine.key("user_signing")}
    other = Identity(user)
    refused = user.call("POST", UPLOAD, other.body())
    assert refused.status_code == 401
    assert refused.json()["flows"] == [{"stages": ["m.login.password"]}]
    assert queried(friend, user) == found
    wrong = {**password_of(user), "password": "wrong", "session": refused.json()["session"]}
    assert user.call("POST", UPLOAD, {**other.body(), "auth": wrong}).status_code == 401
    body = {**other.body(), "auth": password_of(user)}
    del body["user_signing_key"]
    assert user.ok("POST", UPLOAD, body) == {}
    # With the master key went what it had signed.
    now = queried(user, user)
    assert now["master_keys"][user.user_id]["keys"] == {other.master.id: other.master.public}
    assert now["user_signing_keys"] == {}


@pytest.mark.parametrize(
    ("errcode", "status", "spoil"),
    [
        ("M_INVALID_SIGNATURE", 400, lambda b, i: b["self_signing_key"].pop("signatures")),
        ("M_INVALID_SIGNATURE", 400, lambda b, i: b["user_signing_key"].update(extra=1)),
        ("M_MISSING_PARAM", 400, lambda b, i: b.pop("master_key")),
        ("M_INVALID_PARAM", 400, lambda b, i: b["master_key"].update(usage=["self_signing"])),
        ("M_INVALID_PARAM", 400, lambda b, i: b["master_key"].update(user_id="@a:example.org")),
        ("M_INVALID_PARAM", 400, lambda b, i: b["master_key"]["keys"].update(a="b")),
        ("M_BAD_JSON", 400, lambda b, i: b["master_key"].pop("keys")),
        ("M_FORBIDDEN", 403, lambda b, i: b.update(master_key=named_as_device(i.user))),
    ],
)
def test_keys_that_are_wrong_are_refused(
    messaging: Messaging, errcode: str, status: int, spoil: Any
) -> None:
    [[user]] = messaging.users(1)
    device_of(user)
    mine = Identity(user)
    body = mine.body()
    spoil(body, mine)
    reply = user.call("POST", UPLOAD, body)
    assert (reply.status_code, reply.json()["errcode"]) == (status, errcode)
    assert queried(user, user)["master_keys"] == {}


def named_as_device(user: User) -> dict[str, Any]:
    keys = {f"ed25519:{user.device_id}": user.device_id}
    return {"user_id": user.user_id, "usage": ["master"], "keys": keys}


def test_signatures_are_verified_and_told_to_who_may_see_them(messaging: Messaging) -> None:
    user, friend, _ = friends(messaging)
    mine, theirs = Identity(user), Identity(friend)
    device, keys = device_of(user)
    user.ok("POST", UPLOAD, mine.body())
    friend.ok("POST", UPLOAD, theirs.body())
    for one in (user, friend):
        one.sync()
    by_device = f"ed25519:{user.device_id}"
    own = {
        user.device_id: mine.self_signing.signs(user, keys),
        mine.master.public: device.signs(user, mine.key("master"), by_device),
    }
    assert user.ok("POST", SIGNATURES, {user.user_id: own}) == {"failures": {}}
    assert changed(friend) == [user.user_id]
    seen = queried(friend, user)
    told = seen["device_keys"][user.user_id][user.device_id]
    signed = told["signatures"][user.user_id]
    assert is_signed(told, signed[mine.self_signing.id], mine.self_signing.public)
    assert is_signed(told, signed[by_device], device.public)
    on_master = seen["master_keys"][user.user_id]["signatures"]
    assert list(on_master[user.user_id]) == [by_device]
    # Whom one trusts is nobody else's business: it is told to one's own devices.
    user.sync()
    friend.sync()
    vouched = mine.user_signing.signs(user, theirs.key("master"))
    given = {friend.user_id: {theirs.master.public: vouched}}
    assert user.ok("POST", SIGNATURES, given) == {"failures": {}}
    assert changed(user) == [friend.user_id]
    assert "device_lists" not in friend.sync()
    shown = queried(user, friend)["master_keys"][friend.user_id]
    assert shown["signatures"] == {user.user_id: vouched["signatures"][user.user_id]}
    assert queried(friend, friend)["master_keys"][friend.user_id]["signatures"] == {}
    # A device that comes back with other keys is not the one that was signed.
    _, others = device_of(user)
    found = queried(friend, user)["device_keys"][user.user_id][user.device_id]
    assert found["signatures"] == others["signatures"]


def test_signatures_that_are_wrong_are_named_and_the_others_kept(messaging: Messaging) -> None:
    [[user, phone], [other]] = [messaging.users(1, devices=2)[0], messaging.users(1)[0]]
    mine, theirs = Identity(user), Identity(other)
    _, keys = device_of(user)
    _, of_phone = device_of(phone)
    user.ok("POST", UPLOAD, mine.body())
    other.ok("POST", UPLOAD, theirs.body())
    given = {
        user.user_id: {
            user.device_id: mine.self_signing.signs(user, keys),
            phone.device_id: mine.master.signs(user, of_phone),
            "NOSUCH": mine.self_signing.signs(user, keys),
            mine.master.public: Pair().signs(user, mine.key("master"), f"ed25519:{user.device_id}"),
        },
        other.user_id: {
            theirs.master.public: mine.user_signing.signs(user, {**theirs.key("master"), "a": 1}),
            other.device_id: {},
        },
    }
    failures = user.ok("POST", SIGNATURES, given)["failures"]
    codes = {u: {t: e["errcode"] for t, e in named.items()} for u, named in failures.items()}
    assert codes == {
        user.user_id: {
            phone.device_id: "M_INVALID_SIGNATURE",
            "NOSUCH": "M_NOT_FOUND",
            mine.master.public: "M_INVALID_SIGNATURE",
        },
        other.user_id: {
            theirs.master.public: "M_INVALID_SIGNATURE",
            other.device_id: "M_NOT_FOUND",
        },
    }
    kept = queried(user, user)["device_keys"][user.user_id]
    assert mine.self_signing.id in kept[user.device_id]["signatures"][user.user_id]
    assert kept[phone.device_id] == of_phone
    reply = user.call("POST", SIGNATURES, {user.user_id: []})
    assert (reply.status_code, reply.json()["errcode"]) == (400, "M_BAD_JSON")


def test_a_signature_is_of_the_canonical_json_and_what_is_none_is_refused() -> None:
    """The signed object of the specification's appendix, "Test Vectors"."""
    key = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"
    empty = "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
    both = "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"
    assert is_signed({}, empty, key)
    assert is_signed({"two": "Two", "one": 1, "unsigned": {}, "signatures": {}}, both, key)
    assert not is_signed({"one": 1}, both, key)
    assert not is_signed({}, "not Base64!", key)
    assert not is_signed({}, empty, "short")

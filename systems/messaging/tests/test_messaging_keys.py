"""Keys for end-to-end encryption, and an encrypted room between two clients that know it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import nio
import pytest
from messaging.testing import PASSWORD, Messaging, User
from nio.crypto import ENCRYPTION_ENABLED


def keys_of(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "device_id": user.device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": {f"ed25519:{user.device_id}": "made-up"},
        "signatures": {},
    }


def uploaded(user: User, **body: Any) -> Any:
    return user.ok("POST", "/keys/upload", body)["one_time_key_counts"]


def test_keys_are_kept_and_found(messaging: Messaging) -> None:
    user, other = messaging.user(), messaging.user()
    assert uploaded(user, device_keys=keys_of(user)) == {}
    wanted = {"device_keys": {user.user_id: [], "@nobody:example.org": []}}
    found = other.ok("POST", "/keys/query", wanted)["device_keys"]
    assert found == {user.user_id: {user.device_id: keys_of(user)}, "@nobody:example.org": {}}
    named = {"device_keys": {user.user_id: ["OTHER"]}}
    assert other.ok("POST", "/keys/query", named)["device_keys"] == {user.user_id: {}}
    foreign = user.call("POST", "/keys/upload", {"device_keys": keys_of(other)})
    assert (foreign.status_code, foreign.json()["errcode"]) == (400, "M_INVALID_PARAM")
    for path, body in (
        ("query", {"device_keys": []}),
        ("query", {"device_keys": {user.user_id: 5}}),
        ("claim", {"one_time_keys": {user.user_id: []}}),
        ("upload", {"one_time_keys": {"nocolon": "x"}}),
    ):
        reply = user.call("POST", f"/keys/{path}", body)
        assert (reply.status_code, reply.json()["errcode"]) == (400, "M_BAD_JSON")


def test_a_one_time_key_is_given_to_one(messaging: Messaging) -> None:
    user = messaging.user()
    others = [messaging.user() for _ in range(3)]
    count = 6
    keys = {f"signed_curve25519:K{n}": {"key": str(n)} for n in range(count)}
    assert uploaded(user, one_time_keys=keys) == {"signed_curve25519": count}
    assert uploaded(user, one_time_keys=keys) == {"signed_curve25519": count}
    other_key = {"one_time_keys": {"signed_curve25519:K0": {"key": "another"}}}
    assert user.call("POST", "/keys/upload", other_key).status_code == 400
    assert user.sync()["device_one_time_keys_count"] == {"signed_curve25519": count}
    wanted = {"one_time_keys": {user.user_id: {user.device_id: "signed_curve25519"}}}

    def claim(other: User) -> list[str]:
        with httpx.Client(base_url=messaging.process.url, timeout=30.0) as client:
            mine = User(client, other.user_id, other.token, other.device_id)
            answers = [mine.ok("POST", "/keys/claim", wanted)["one_time_keys"] for _ in range(3)]
        return [
            name
            for answer in answers
            for name in answer.get(user.user_id, {}).get(user.device_id, ())
        ]

    with ThreadPoolExecutor(len(others)) as pool:
        given = [name for names in pool.map(claim, others) for name in names]
    assert sorted(given) == sorted(keys)
    assert user.sync(timeout=3_000)["device_one_time_keys_count"] == {"signed_curve25519": 0}
    fallback = {"signed_curve25519:F": {"key": "fallback", "fallback": True}}
    uploaded(user, fallback_keys=fallback)
    assert user.sync()["device_unused_fallback_key_types"] == ["signed_curve25519"]
    assert claim(others[0]) == ["signed_curve25519:F"] * 3
    assert user.sync()["device_unused_fallback_key_types"] == []


def test_changed_devices_are_told_to_who_shares_a_room(messaging: Messaging) -> None:
    user, friend, stranger = (messaging.user() for _ in range(3))
    room = user.create_room(preset="public_chat")
    friend.sync()
    friend.join(room)
    for other in (user, friend, stranger):
        other.sync()
    since = friend.since
    phone = messaging.login(user)
    uploaded(phone, device_keys=keys_of(phone))
    told = {"changed": [user.user_id], "left": []}
    assert friend.sync(timeout=3_000)["device_lists"] == told
    assert friend.ok("GET", "/keys/changes", **{"from": since}) == told
    assert "device_lists" not in stranger.sync()
    phone.ok("POST", "/logout")
    assert friend.sync(timeout=3_000)["device_lists"] == told
    stranger.join(room)
    assert stranger.user_id in friend.sync(timeout=3_000)["device_lists"]["changed"]


def test_an_encrypted_room(messaging: Messaging, tmp_path: Path) -> None:
    """Two nio clients with their own keys: what the server sees says nothing."""
    if not ENCRYPTION_ENABLED:
        pytest.skip("matrix-nio is installed without its extra e2e")

    async def client_of(name: str) -> nio.AsyncClient:
        folder = tmp_path / name
        folder.mkdir()
        config = nio.AsyncClientConfig(store_sync_tokens=False, encryption_enabled=True)
        client = nio.AsyncClient(messaging.process.url, name, store_path=str(folder), config=config)
        assert isinstance(await client.register(name, PASSWORD), nio.RegisterResponse)
        await settled(client)
        return client

    async def settled(client: nio.AsyncClient) -> None:
        """What nio's own loop does after each sync."""
        await client.sync(timeout=500, full_state=True)
        await client.send_to_device_messages()
        if client.should_upload_keys:
            assert isinstance(await client.keys_upload(), nio.KeysUploadResponse)
        if client.should_query_keys:
            assert isinstance(await client.keys_query(), nio.KeysQueryResponse)
        if client.should_claim_keys:
            await client.keys_claim(client.get_users_for_key_claiming())

    async def talk() -> str:
        alice, bob = await client_of("nio-e2e-alice"), await client_of("nio-e2e-bob")
        heard: list[str] = []
        bob.add_event_callback(lambda room, event: heard.append(event.body), nio.RoomMessageText)
        try:
            made = await alice.room_create(
                invite=[bob.user_id],
                initial_state=[nio.EnableEncryptionBuilder().as_dict()],
            )
            assert isinstance(made, nio.RoomCreateResponse), made
            await settled(bob)
            await bob.join(made.room_id)
            for client in (alice, bob, alice, bob):
                await settled(client)
            sent = await alice.room_send(
                made.room_id,
                "m.room.message",
                {"msgtype": "m.text", "body": "nobody else reads this"},
                ignore_unverified_devices=True,
            )
            assert isinstance(sent, nio.RoomSendResponse), sent
            for _ in range(3):
                await settled(bob)
            assert "nobody else reads this" in heard
        finally:
            for client in (alice, bob):
                await client.close()
        return str(made.room_id)

    [stored] = messaging.sql(
        "SELECT content FROM event JOIN room ON room.no = room_no"
        " WHERE room_id = $1 AND type = 'm.room.encrypted'",
        asyncio.run(talk()),
    )
    assert b"nobody" not in stored["content"]

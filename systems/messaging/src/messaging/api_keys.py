"""Endpoints of keys for end-to-end encryption."""

from __future__ import annotations

from typing import Any

import msgspec

from messaging.accounts import is_user_id
from messaging.cross_signing import MASTER, SELF_SIGNING, USER_SIGNING
from messaging.errors import MatrixError, bad_json, invalid_param, too_large
from messaging.http import Reply, Request, reply_json
from messaging.service import Route, Service
from messaging.signing import with_signatures
from messaging.snapshots import parse_position

__all__ = ["ROUTES"]

_CLIENT = "/_matrix/client/v3"
_KEY_BYTES_MAX = 8_192
_KEYS_MAX = 500
_USERS_MAX = 1_000


def _named_keys(body: dict[str, Any], name: str) -> list[tuple[str, str, bytes]]:
    given = body.get(name)
    if given is None:
        return []
    if not isinstance(given, dict):
        raise bad_json(f"{name}: expected an object")
    if len(given) > _KEYS_MAX:
        raise too_large(f"{name}: at most {_KEYS_MAX} keys at once")
    found = []
    for full, key in given.items():
        algorithm, colon, key_id = full.partition(":")
        if not colon or not algorithm or not isinstance(key, str | dict) or "\0" in full:
            raise bad_json(f"{name}: expected keys named algorithm:id")
        content = msgspec.json.encode(key)
        if len(content) + len(full) > _KEY_BYTES_MAX:
            raise too_large(f"{name}: a key has at most {_KEY_BYTES_MAX} bytes")
        found.append((algorithm, key_id, content))
    return found


async def upload(service: Service, request: Request) -> Reply:
    """Keep the keys of this device."""
    body = await request.object()
    session = request.session
    device_keys = body.get("device_keys")
    if device_keys is not None:
        if not isinstance(device_keys, dict):
            raise bad_json("device_keys: expected an object")
        named = (device_keys.get("user_id"), device_keys.get("device_id"))
        if named != (session.user_id, session.device_id):
            raise invalid_param("device_keys: they are not of this device")
        if len(msgspec.json.encode(device_keys)) > _KEY_BYTES_MAX:
            raise too_large(f"device_keys: at most {_KEY_BYTES_MAX} bytes")
        device_keys.pop("unsigned", None)
    counts = await service.keys.upload(
        session,
        device_keys,
        _named_keys(body, "one_time_keys"),
        _named_keys(body, "fallback_keys"),
    )
    return reply_json({"one_time_key_counts": counts})


def _users(body: dict[str, Any], name: str) -> dict[str, Any]:
    given = body.get(name)
    if not isinstance(given, dict):
        raise bad_json(f"{name}: expected an object of users")
    if len(given) > _USERS_MAX or not all(map(is_user_id, given)):
        raise bad_json(f"{name}: expected at most {_USERS_MAX} user ids")
    return given


async def query(service: Service, request: Request) -> Reply:
    """The keys of devices and of users, with the signatures that who asks may see."""
    given = _users(await request.object(), "device_keys")
    for devices in given.values():
        if not isinstance(devices, list) or not all(isinstance(d, str) for d in devices):
            raise bad_json("device_keys: expected lists of device ids")
    session = request.session
    found = await service.keys.query(given)
    signatures = await service.cross_signing.signatures(session, given)
    crossed = await service.cross_signing.keys_of(given)
    for (user, target), signed in signatures.items():
        if target in found[user]:
            found[user][target] = with_signatures(found[user][target], signed)
    told: dict[str, dict[str, Any]] = {usage: {} for usage in (MASTER, SELF_SIGNING, USER_SIGNING)}
    for user, keys in crossed.items():
        for usage, key in keys.items():
            if usage == MASTER:
                signed = signatures.get((user, key.public_key), {})
                told[usage][user] = with_signatures(key.content, signed)
            elif usage != USER_SIGNING or user == session.user_id:
                told[usage][user] = key.content
    named = {f"{usage}_keys": keys for usage, keys in told.items()}
    return reply_json({"device_keys": found, **named, "failures": {}})


async def claim(service: Service, request: Request) -> Reply:
    """One one-time key of each device that is named."""
    wanted = []
    for user, devices in _users(await request.object(), "one_time_keys").items():
        if not isinstance(devices, dict):
            raise bad_json("one_time_keys: expected algorithms by devices")
        for device, algorithm in devices.items():
            if not isinstance(algorithm, str) or "\0" in algorithm + device:
                raise bad_json("one_time_keys: expected algorithms by devices")
            wanted.append((user, device, algorithm))
    if len(wanted) > _USERS_MAX:
        raise too_large(f"At most {_USERS_MAX} keys at once.")
    return reply_json({"one_time_keys": await service.keys.claim(wanted), "failures": {}})


async def changes(service: Service, request: Request) -> Reply:
    """Whose devices changed between two tokens; those up to now are told as well."""
    text = request.query.get("from")
    if not text:
        raise MatrixError(400, "M_MISSING_PARAM", "from is missing.")
    since = parse_position(text).snapshot
    return reply_json({"changed": await service.keys.changed(request.session, since), "left": []})


ROUTES = [
    Route("POST", f"{_CLIENT}/keys/upload", upload),
    Route("POST", f"{_CLIENT}/keys/query", query),
    Route("POST", f"{_CLIENT}/keys/claim", claim),
    Route("GET", f"{_CLIENT}/keys/changes", changes),
]

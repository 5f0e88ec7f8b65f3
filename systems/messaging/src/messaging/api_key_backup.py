"""Endpoints of the backups of room keys."""

from __future__ import annotations

from typing import Any

import msgspec

from messaging.errors import bad_json, invalid_param, missing_param, not_found, too_large
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.key_backup import BackedUpKey, Place
from messaging.service import Route, Service

__all__ = ["ROUTES"]

_VERSION = "/_matrix/client/v3/room_keys/version"
_KEYS = "/_matrix/client/v3/room_keys/keys"
_AUTH_BYTES_MAX = 16_384
_SESSION_BYTES_MAX = 8_192
_ID_MAX = 255
_INDEX_MAX = 2**53 - 1


def _described(body: dict[str, Any]) -> tuple[str, bytes]:
    algorithm, auth_data = body.get("algorithm"), body.get("auth_data")
    if algorithm is None or auth_data is None:
        raise missing_param("expected algorithm and auth_data")
    if not isinstance(algorithm, str) or not isinstance(auth_data, dict):
        raise bad_json("expected a text as algorithm, and an object as auth_data")
    if not 0 < len(algorithm) <= _ID_MAX or "\0" in algorithm:
        raise invalid_param(f"algorithm: expected 1 to {_ID_MAX} characters, without NUL")
    encoded = msgspec.json.encode(auth_data)
    if len(encoded) > _AUTH_BYTES_MAX:
        raise too_large(f"auth_data: at most {_AUTH_BYTES_MAX} bytes")
    return algorithm, encoded


async def create(service: Service, request: Request) -> Reply:
    """A new backup, which is written from now on."""
    algorithm, auth_data = _described(await request.object())
    version = await service.backups.create(request.session.user_no, algorithm, auth_data)
    return reply_json({"version": version})


async def find(service: Service, request: Request) -> Reply:
    """A backup: the newest, or that of a version."""
    version = request.args[0] if request.args else None
    return reply_json(await service.backups.find(request.session.user_no, version))


async def change(service: Service, request: Request) -> Reply:
    """Other data of a backup, of the same algorithm."""
    body = await request.object()
    version = request.args[0]
    if body.get("version", version) != version:
        raise invalid_param("version: it is not that of the path")
    await service.backups.change(request.session.user_no, version, *_described(body))
    return EMPTY


async def end(service: Service, request: Request) -> Reply:
    """Delete a backup and all its keys."""
    await service.backups.end(request.session.user_no, request.args[0])
    return EMPTY


def _version(request: Request) -> str:
    version = request.query.get("version")
    if version is None:
        raise missing_param("version is missing.")
    return version


def _place(request: Request) -> Place:
    return Place(*request.args)


def _number(given: dict[str, Any], name: str) -> int:
    found = given.get(name)
    if type(found) is not int or not 0 <= found <= _INDEX_MAX:
        raise bad_json(f"{name}: expected a whole number from 0 on")
    return found


def _key(room_id: str, session_id: str, given: object) -> BackedUpKey:
    if not isinstance(given, dict):
        raise bad_json("expected the key of a session as an object")
    index, forwarded = (_number(given, name) for name in ("first_message_index", "forwarded_count"))
    is_verified, data = given.get("is_verified"), given.get("session_data")
    if not isinstance(is_verified, bool) or not isinstance(data, dict):
        raise bad_json("expected true or false as is_verified, and an object as session_data")
    for name in (room_id, session_id):
        if not 0 < len(name) <= _ID_MAX or "\0" in name:
            raise invalid_param(f"an id has 1 to {_ID_MAX} characters, without NUL")
    encoded = msgspec.json.encode(data)
    if len(encoded) > _SESSION_BYTES_MAX:
        raise too_large(f"session_data: at most {_SESSION_BYTES_MAX} bytes")
    return BackedUpKey(room_id, session_id, index, forwarded, is_verified, encoded)


def _within(body: dict[str, Any], name: str) -> dict[str, Any]:
    found = body.get(name)
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise bad_json(f"{name}: expected objects by ids")
    return found


async def put(service: Service, request: Request) -> Reply:
    """Keep keys that are better than those there are."""
    body = await request.object()
    place = _place(request)
    rooms: dict[Any, Any]
    if place.session_id is not None:
        rooms = {place.room_id: {"sessions": {place.session_id: body}}}
    elif place.room_id is not None:
        rooms = {place.room_id: body}
    else:
        rooms = _within(body, "rooms")
    keys = [
        _key(room_id, session_id, given)
        for room_id, room in rooms.items()
        for session_id, given in _within(room, "sessions").items()
    ]
    return reply_json(await service.backups.put(request.session.user_no, _version(request), keys))


async def get(service: Service, request: Request) -> Reply:
    """Keys of a backup."""
    place = _place(request)
    found = await service.backups.keys(request.session.user_no, _version(request), place)
    if place.room_id is None:
        rooms = {room_id: {"sessions": sessions} for room_id, sessions in found.items()}
        return reply_json({"rooms": rooms})
    sessions = found.get(place.room_id, {})
    if place.session_id is None:
        return reply_json({"sessions": sessions})
    if place.session_id not in sessions:
        raise not_found("There is no such key in this backup.")
    return reply_json(sessions[place.session_id])


async def delete(service: Service, request: Request) -> Reply:
    """Delete keys of a backup."""
    user_no = request.session.user_no
    return reply_json(await service.backups.delete(user_no, _version(request), _place(request)))


ROUTES = [
    Route("POST", _VERSION, create),
    Route("GET", _VERSION, find),
    Route("GET", f"{_VERSION}/{{}}", find),
    Route("PUT", f"{_VERSION}/{{}}", change),
    Route("DELETE", f"{_VERSION}/{{}}", end),
    *(
        Route(method, f"{_KEYS}{depth}", handler)
        for depth in ("", "/{}", "/{}/{}")
        for method, handler in (("PUT", put), ("GET", get), ("DELETE", delete))
    ),
]

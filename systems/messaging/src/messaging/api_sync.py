"""Endpoints of delivery: /sync, receipts, typing, account data and tags, messages to devices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from systems_common.contention import tried_again
from systems_common.database import transaction

from messaging.account_data import READ_DATA, STORE_DATA
from messaging.errors import bad_json, forbidden, invalid_param, not_found, too_large
from messaging.events import encoded_content, maybe_seq_of_event
from messaging.filters import Filter, parse_filter
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.presence_store import RANKS
from messaging.push_rules import DATA_TYPE, rules_json
from messaging.service import Route, Service
from messaging.sessions import Session
from messaging.snapshots import Position, parse_position
from messaging.sync import TIMEOUT_MAX_S
from messaging.visibility import sees

__all__ = ["ROUTES", "Asked", "asked_of"]

_CLIENT = "/_matrix/client/v3"
_RECEIPTS = ("m.read", "m.read.private", "m.fully_read")
_KEPT_BY_SERVER = ("m.fully_read", DATA_TYPE)
_TO_DEVICE_TARGETS_MAX = 10_000
_TYPE = re.compile(r"[^\0]{1,255}")
_THREAD = re.compile(r"main|\$[!-~]{1,254}")


class Asked(msgspec.Struct, frozen=True):
    """What a client wants of /sync."""

    since: Position | None
    wanted: Filter
    presence: str
    full_state: bool


async def asked_of(service: Service, session: Session, query: Mapping[str, str]) -> Asked:
    """What the query of a request asks for. Raises `MatrixError`."""
    wanted = Filter()
    if text := query.get("filter"):
        if text.startswith("{"):
            wanted = parse_filter(text.encode("utf-8", "replace"))
        else:
            wanted = await service.filter(session.user_no, text)
    presence = query.get("set_presence", "online")
    if presence not in RANKS:
        raise invalid_param(f"set_presence: expected one of {', '.join(RANKS)}")
    since = parse_position(query["since"]) if query.get("since") else None
    return Asked(since, wanted, presence, _flag(query, "full_state"))


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise invalid_param(f"{name}: expected true or false")
    return text == "true"


async def sync(service: Service, request: Request) -> Reply:
    """What is new for this device; waits for it up to `timeout` milliseconds."""
    session = request.session
    asked = await asked_of(service, session, request.query)
    timeout_s = min(request.integer("timeout", 0) / 1000, TIMEOUT_MAX_S)
    service.presence.polled(session, asked.presence, timeout_s)
    body, _ = await service.sync.answer(
        session, asked.since, asked.wanted, timeout_s=timeout_s, full_state=asked.full_state
    )
    return Reply(body)


async def _mark_read(
    service: Service, session: Session, room_id: str, kind: str, event_id: object, thread: str
) -> None:
    room_no, rights, allowed = await service.rooms.readable(room_id, session.user_id)
    if rights.membership != "join":
        raise forbidden("You are not in this room.")
    seq = maybe_seq_of_event(room_id, event_id)
    if seq is None or not sees(allowed, seq):
        raise not_found("There is no such event in this room.")
    if kind == "m.fully_read":
        content = msgspec.json.encode({"event_id": event_id})
        await _store_data(service, session, room_no, kind, content)
    else:
        await service.receipts.add(room_no, session.user_id, kind, thread, seq)


async def receipt(service: Service, request: Request) -> Reply:
    """The user read up to an event."""
    room_id, kind, event_id = request.args
    if kind not in _RECEIPTS:
        raise invalid_param(f"Expected one of {', '.join(_RECEIPTS)}.")
    body = await request.object(optional=True)
    thread = body.get("thread_id", "")
    if thread != "" and (not isinstance(thread, str) or not _THREAD.fullmatch(thread)):
        raise invalid_param("thread_id: expected main or the id of an event")
    await _mark_read(service, request.session, room_id, kind, event_id, thread)
    return EMPTY


async def read_markers(service: Service, request: Request) -> Reply:
    """Several marks of how far the user read."""
    body = await request.object()
    given = {kind: body[kind] for kind in _RECEIPTS if body.get(kind) is not None}
    if not given:
        await service.rooms.inside(request.args[0], request.session.user_id)
    for kind, event_id in given.items():
        await _mark_read(service, request.session, request.args[0], kind, event_id, "")
    return EMPTY


async def typing(service: Service, request: Request) -> Reply:
    """The user types, or does not any more."""
    room_id, user_id = request.args
    session = request.session
    if user_id != session.user_id:
        raise forbidden("Nobody types for another.")
    body = await request.object()
    timeout_ms = body.get("timeout", 30_000)
    if not isinstance(body.get("typing"), bool) or type(timeout_ms) is not int:
        raise bad_json("Expected typing: true or false, timeout: milliseconds.")
    room_no = await service.rooms.inside(room_id, session.user_id)
    lasts_ms = max(1, timeout_ms) if body["typing"] else 0
    if await service.typing.set(room_no, user_id, lasts_ms):
        service.wake.typed(room_no)
    return EMPTY


def _own(request: Request) -> None:
    if request.args[0] != request.session.user_id:
        raise forbidden("That is another user's.")


@tried_again
async def _store_data(
    service: Service, session: Session, room_no: int, kind: str, content: bytes | None
) -> None:
    async with transaction(service.database) as connection:
        await service.changes.touch(connection, [session.user_id])
        await connection.execute(STORE_DATA, session.user_no, room_no, kind, content)
    service.wake.touched(session.user_no)


async def _data_room(service: Service, request: Request) -> tuple[int, str]:
    """The room (0: none) and the type of account data, from its path."""
    _own(request)
    if len(request.args) == 2:
        return 0, request.args[1]
    room_no = await service.rooms.number(request.args[1])
    if room_no is None:
        raise forbidden("You are not in this room.")
    rights = await service.rooms.rights(room_no, request.session.user_id)
    if rights.membership not in ("join", "invite", "leave"):
        raise forbidden("You are not in this room.")
    return room_no, request.args[2]


async def put_data(service: Service, request: Request) -> Reply:
    """Keep something for the user's other devices."""
    room_no, kind = await _data_room(service, request)
    if kind in _KEPT_BY_SERVER:
        raise invalid_param(f"{kind} is kept by the server.")
    if not _TYPE.fullmatch(kind):
        raise invalid_param("A type has 1 to 255 characters.")
    content = encoded_content(await request.object())
    await _store_data(service, request.session, room_no, kind, content)
    return EMPTY


async def get_data(service: Service, request: Request) -> Reply:
    """What was kept."""
    room_no, kind = await _data_room(service, request)
    content = await _data(service, request.session, room_no, kind)
    if kind == DATA_TYPE and not room_no:
        return reply_json(rules_json(request.session.user_id, content))
    if content is None:
        raise not_found("There is no such account data.")
    return Reply(content)


async def _data(service: Service, session: Session, room_no: int, kind: str) -> bytes | None:
    content: bytes | None = await service.database.fetchval(
        READ_DATA, session.user_no, room_no, kind
    )
    return content


async def _tags(service: Service, request: Request) -> tuple[int, dict[str, Any]]:
    _own(request)
    room_no = await service.rooms.inside(request.args[1], request.session.user_id)
    content = await _data(service, request.session, room_no, "m.tag")
    kept = msgspec.json.decode(content) if content else {}
    tags = kept.get("tags")
    return room_no, tags if isinstance(tags, dict) else {}


async def tags(service: Service, request: Request) -> Reply:
    """The tags of a room."""
    _, found = await _tags(service, request)
    return reply_json({"tags": found})


async def put_tag(service: Service, request: Request) -> Reply:
    """Tag a room."""
    body = await request.object(optional=True)
    room_no, found = await _tags(service, request)
    order = body.get("order")
    if order is not None and (isinstance(order, bool) or not isinstance(order, int | float)):
        raise bad_json("order: expected a number from 0 to 1")
    content = msgspec.json.encode({"tags": {**found, request.args[2]: body}})
    if len(content) > 60_000:
        raise too_large("There are too many tags.")
    await _store_data(service, request.session, room_no, "m.tag", content)
    return EMPTY


async def delete_tag(service: Service, request: Request) -> Reply:
    """Take a tag away."""
    room_no, found = await _tags(service, request)
    kept = {name: value for name, value in found.items() if name != request.args[2]}
    content = msgspec.json.encode({"tags": kept})
    await _store_data(service, request.session, room_no, "m.tag", content)
    return EMPTY


_TARGETS = """
SELECT a.user_id, d.device_id, d.no FROM account AS a JOIN device AS d ON d.user_no = a.no
WHERE a.user_id = ANY($1::text[])"""
_ONCE = """
INSERT INTO to_device_txn (device_no, txn, type) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING true"""
_GIVE = """
INSERT INTO to_device (device_no, no, sender, type, content)
SELECT device_no, nextval('to_device_no'), $3, $4, content
FROM unnest($1::bigint[], $2::bytea[]) AS g(device_no, content)"""


async def send_to_device(service: Service, request: Request) -> Reply:
    """Messages to devices, past the rooms; the same transaction id sends them once."""
    kind, txn = request.args
    if not _TYPE.fullmatch(kind) or not _TYPE.fullmatch(txn):
        raise invalid_param("A type and a transaction id have 1 to 255 characters.")
    body = await request.object()
    given = body.get("messages")
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise bad_json("messages: expected devices by users")
    encoded: dict[tuple[str, str], bytes] = {}
    for user, devices in given.items():
        for device, content in devices.items():
            if not isinstance(content, dict):
                raise bad_json("messages: expected objects")
            encoded[user, device] = encoded_content(content)
    if len(encoded) > _TO_DEVICE_TARGETS_MAX:
        raise too_large(f"At most {_TO_DEVICE_TARGETS_MAX} messages at once.")
    await _give(service, request.session, kind, txn, list(given), encoded)
    return EMPTY


@tried_again
async def _give(
    service: Service,
    session: Session,
    kind: str,
    txn: str,
    users: list[str],
    encoded: dict[tuple[str, str], bytes],
) -> None:
    async with transaction(service.database) as connection:
        if not await connection.fetchval(_ONCE, session.device_no, txn, kind):
            return
        known = [user for user in users if "\0" not in user]
        # Its lock orders the numbers that are taken behind it, for each receiver.
        touched = await service.changes.touch(connection, known)
        numbers, contents = [], []
        for row in await connection.fetch(_TARGETS, known):
            content = encoded.get((row["user_id"], row["device_id"]))
            content = content or encoded.get((row["user_id"], "*"))
            if content is not None:
                numbers.append(row["no"])
                contents.append(content)
        await connection.execute(_GIVE, numbers, contents, session.user_id, kind)
    for user_no in touched:
        service.wake.touched(user_no)


ROUTES = [
    Route("GET", f"{_CLIENT}/sync", sync),
    Route("POST", f"{_CLIENT}/rooms/{{}}/receipt/{{}}/{{}}", receipt),
    Route("POST", f"{_CLIENT}/rooms/{{}}/read_markers", read_markers),
    Route("PUT", f"{_CLIENT}/rooms/{{}}/typing/{{}}", typing),
    Route("PUT", f"{_CLIENT}/user/{{}}/account_data/{{}}", put_data),
    Route("GET", f"{_CLIENT}/user/{{}}/account_data/{{}}", get_data),
    Route("PUT", f"{_CLIENT}/user/{{}}/rooms/{{}}/account_data/{{}}", put_data),
    Route("GET", f"{_CLIENT}/user/{{}}/rooms/{{}}/account_data/{{}}", get_data),
    Route("GET", f"{_CLIENT}/user/{{}}/rooms/{{}}/tags", tags),
    Route("PUT", f"{_CLIENT}/user/{{}}/rooms/{{}}/tags/{{}}", put_tag),
    Route("DELETE", f"{_CLIENT}/user/{{}}/rooms/{{}}/tags/{{}}", delete_tag),
    Route("PUT", f"{_CLIENT}/sendToDevice/{{}}/{{}}", send_to_device),
]

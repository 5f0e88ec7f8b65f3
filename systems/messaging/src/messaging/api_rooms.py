"""Endpoints of rooms: making, joining, leaving, their state, and where they are found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec

from messaging.accounts import is_user_id
from messaging.creation import NewRoom
from messaging.errors import MatrixError, bad_json, forbidden, invalid_param, not_found
from messaging.events import check_type, event_id_of, event_json
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.rooms import decoded
from messaging.service import Route, Service
from messaging.visibility import Stretch

__all__ = ["ROUTES", "reason_of"]

_CLIENT = "/_matrix/client/v3"
_ALIAS = re.compile(r"#[^\s:#\0]{1,200}:[A-Za-z0-9.\-:]{1,200}")
_END = 2**62


async def create_room(service: Service, request: Request) -> Reply:
    """Make a room."""
    wanted = await request.read(NewRoom, optional=True)
    return reply_json({"room_id": await service.creator.create(request.session.user_id, wanted)})


async def _room_of(service: Service, text: str) -> tuple[str, int]:
    """A room by its id or an alias."""
    if text.startswith("#"):
        row = await service.database.fetchrow(
            "SELECT r.no, r.room_id FROM alias AS a JOIN room AS r ON r.no = a.room_no"
            " WHERE a.alias = $1",
            text,
        )
        if row is None:
            raise not_found("There is no room of that alias.")
        return row["room_id"], row["no"]
    if not text.startswith("!"):
        raise invalid_param("Expected a room id or an alias.")
    return text, await service.rooms.existing(text)


def reason_of(body: Mapping[str, Any]) -> str | None:
    """Why, if somebody says so. Raises M_BAD_JSON."""
    reason = body.get("reason")
    if not isinstance(reason, str | None):
        raise bad_json("reason: expected a text")
    return reason


async def join(service: Service, request: Request) -> Reply:
    """Join a room by its id or alias."""
    body = await request.object(optional=True)
    reason = reason_of(body)
    room_id, room_no = await _room_of(service, request.args[0])
    user_id = request.session.user_id
    await service.memberships.set(room_no, user_id, user_id, "join", reason=reason)
    return reply_json({"room_id": room_id})


async def knock(service: Service, request: Request) -> Reply:
    """Ask to be let into a room."""
    reason = reason_of(await request.object(optional=True))
    room_id, room_no = await _room_of(service, request.args[0])
    user_id = request.session.user_id
    await service.memberships.set(room_no, user_id, user_id, "knock", reason=reason)
    return reply_json({"room_id": room_id})


def _moving(membership: str, *of: str, own: bool = False) -> Any:
    """The handler that gives somebody a membership; `of`: what it has to be before."""

    async def move(service: Service, request: Request) -> Reply:
        body = await request.object(optional=own)
        user_id = request.session.user_id
        target, reason = user_id if own else body.get("user_id"), reason_of(body)
        if not is_user_id(target):
            raise (
                bad_json("user_id: expected a user id")
                if target is not None
                else MatrixError(400, "M_MISSING_PARAM", "user_id is missing.")
            )
        room_no = await service.rooms.number(request.args[0])
        if room_no is None or (target == user_id and not own):
            raise forbidden("You are not in this room, or mean yourself.")
        await service.memberships.set(
            room_no, user_id, str(target), membership, reason=reason, of=of
        )
        return EMPTY

    move.__doc__ = f"Make it {membership}."
    return move


async def forget(service: Service, request: Request) -> Reply:
    """See nothing more of a room that was left."""
    room_no = await service.rooms.number(request.args[0])
    if room_no is None:
        raise forbidden("You never were in this room.")
    await service.memberships.forget(room_no, request.session.user_id)
    return EMPTY


async def joined_rooms(service: Service, request: Request) -> Reply:
    """The rooms that the user is in."""
    rows = await service.database.fetch(
        "SELECT r.room_id FROM member AS m JOIN room AS r ON r.no = m.room_no"
        " WHERE m.user_id = $1 AND m.membership = 'join' ORDER BY r.no",
        request.session.user_id,
    )
    return reply_json({"joined_rooms": [row["room_id"] for row in rows]})


async def joined_members(service: Service, request: Request) -> Reply:
    """Who is in a room."""
    room_no = await service.rooms.inside(request.args[0], request.session.user_id)
    rows = await service.database.fetch(
        "SELECT m.user_id, e.content FROM member AS m JOIN event AS e USING (room_no, seq)"
        " WHERE m.room_no = $1 AND m.membership = 'join' ORDER BY m.user_id",
        room_no,
    )
    joined = {}
    for row in rows:
        content = decoded(row["content"])
        joined[row["user_id"]] = {
            "display_name": content.get("displayname"),
            "avatar_url": content.get("avatar_url"),
        }
    return reply_json({"joined": joined})


async def _state_view(service: Service, request: Request) -> tuple[int, int | None]:
    """A room whose state the user may see, and behind which event; None: now."""
    user_id = request.session.user_id
    room_no, rights, allowed = await service.rooms.readable(request.args[0], user_id)
    return room_no, None if rights.membership == "join" else state_end(allowed)


def state_end(allowed: tuple[Stretch, ...]) -> int | None:
    """Behind which event one sees the state who is not in the room; None: now."""
    last = allowed[-1][1]
    return None if last >= _END else last


async def members(service: Service, request: Request) -> Reply:
    """The memberships of a room."""
    room_no, at = await _state_view(service, request)
    if (text := request.query.get("at")) is not None:
        moment = await service.seq_of_token(room_no, text)
        at = moment if at is None else min(at, moment)
    events = await service.reading.state(room_no, kind="m.room.member", at=at)
    wanted, unwanted = request.query.get("membership"), request.query.get("not_membership")
    chunk = []
    for event in events:
        membership = decoded(event.content).get("membership")
        if (wanted is None or membership == wanted) and membership != unwanted:
            chunk.append(msgspec.Raw(event_json(event, request.args[0], with_room=True)))
    return reply_json({"chunk": chunk})


async def state(service: Service, request: Request) -> Reply:
    """The whole state of a room."""
    room_no, at = await _state_view(service, request)
    events = await service.reading.state(room_no, at=at)
    room_id = request.args[0]
    return reply_json([msgspec.Raw(event_json(e, room_id, with_room=True)) for e in events])


async def get_state(service: Service, request: Request) -> Reply:
    """One piece of state."""
    room_id, kind, *rest = request.args
    room_no, at = await _state_view(service, request)
    key = rest[0] if rest else ""
    events = await service.reading.state(room_no, kind=kind, state_key=key, at=at)
    if not events:
        raise not_found("There is no such state.")
    if request.query.get("format") == "event":
        return Reply(event_json(events[0], room_id, with_room=True))
    return Reply(events[0].content)


async def put_state(service: Service, request: Request) -> Reply:
    """Set one piece of state."""
    room_id, kind, *rest = request.args
    key = rest[0] if rest else ""
    check_type(kind, key)
    content = await request.object()
    room_no = await service.rooms.number(room_id)
    if room_no is None:
        raise forbidden("You are not in this room.")
    if kind == "m.room.canonical_alias":
        await _check_aliases(service, room_no, content)
    seq = await service.changes.put_state(room_no, request.session.user_id, kind, key, content)
    return reply_json({"event_id": event_id_of(room_id, seq)})


async def _check_aliases(service: Service, room_no: int, content: dict[str, Any]) -> None:
    named = [content.get("alias"), *(content.get("alt_aliases") or [])]
    for alias in filter(None, named):
        if not isinstance(alias, str) or not _ALIAS.fullmatch(alias):
            raise invalid_param("That is no alias.")
        found = await service.database.fetchval("SELECT room_no FROM alias WHERE alias = $1", alias)
        if found != room_no:
            raise MatrixError(400, "M_BAD_ALIAS", f"{alias} does not lead to this room.")


async def get_alias(service: Service, request: Request) -> Reply:
    """The room of an alias."""
    room_id, _ = await _room_of(service, _alias(request.args[0]))
    return reply_json({"room_id": room_id, "servers": [service.settings.server_name]})


def _alias(text: str) -> str:
    if not _ALIAS.fullmatch(text):
        raise invalid_param("That is no alias.")
    return text


async def put_alias(service: Service, request: Request) -> Reply:
    """A new alias, for a room that the user is in."""
    alias = _alias(request.args[0])
    if alias.partition(":")[2] != service.settings.server_name:
        raise invalid_param("The alias is of another server.")
    room_id = (await request.object()).get("room_id")
    if not isinstance(room_id, str):
        raise bad_json("room_id: expected a text")
    room_no = await service.rooms.inside(room_id, request.session.user_id)
    try:
        await service.database.fetch(
            "INSERT INTO alias (alias, room_no, creator) VALUES ($1, $2, $3)",
            alias,
            room_no,
            request.session.user_id,
        )
    except asyncpg.UniqueViolationError:
        raise MatrixError(409, "M_UNKNOWN", "That alias is taken.") from None
    return EMPTY


async def delete_alias(service: Service, request: Request) -> Reply:
    """Take an alias away: by who made it, or who may change the room's aliases."""
    alias = _alias(request.args[0])
    row = await service.database.fetchrow(
        "SELECT room_no, creator FROM alias WHERE alias = $1", alias
    )
    if row is None:
        raise not_found("There is no room of that alias.")
    user_id = request.session.user_id
    if row["creator"] != user_id:
        rights = await service.rooms.rights(row["room_no"], user_id)
        needed = rights.power.to_send("m.room.canonical_alias", is_state=True)
        if rights.membership != "join" or rights.level < needed:
            raise forbidden("That alias is another user's.")
    await service.database.fetch("DELETE FROM alias WHERE alias = $1", alias)
    return EMPTY


async def aliases(service: Service, request: Request) -> Reply:
    """The aliases of a room."""
    room_no, _, _ = await service.rooms.readable(request.args[0], request.session.user_id)
    rows = await service.database.fetch(
        "SELECT alias FROM alias WHERE room_no = $1 ORDER BY alias", room_no
    )
    return reply_json({"aliases": [row["alias"] for row in rows]})


ROUTES = [
    Route("POST", f"{_CLIENT}/createRoom", create_room),
    Route("POST", f"{_CLIENT}/join/{{}}", join),
    Route("POST", f"{_CLIENT}/rooms/{{}}/join", join),
    Route("POST", f"{_CLIENT}/knock/{{}}", knock),
    Route("POST", f"{_CLIENT}/rooms/{{}}/invite", _moving("invite")),
    Route("POST", f"{_CLIENT}/rooms/{{}}/leave", _moving("leave", own=True)),
    Route("POST", f"{_CLIENT}/rooms/{{}}/kick", _moving("leave", "join", "invite", "knock")),
    Route("POST", f"{_CLIENT}/rooms/{{}}/ban", _moving("ban")),
    Route("POST", f"{_CLIENT}/rooms/{{}}/unban", _moving("leave", "ban")),
    Route("POST", f"{_CLIENT}/rooms/{{}}/forget", forget),
    Route("GET", f"{_CLIENT}/joined_rooms", joined_rooms),
    Route("GET", f"{_CLIENT}/rooms/{{}}/joined_members", joined_members),
    Route("GET", f"{_CLIENT}/rooms/{{}}/members", members),
    Route("GET", f"{_CLIENT}/rooms/{{}}/state", state),
    Route("GET", f"{_CLIENT}/rooms/{{}}/state/{{}}", get_state),
    Route("GET", f"{_CLIENT}/rooms/{{}}/state/{{}}/{{}}", get_state),
    Route("PUT", f"{_CLIENT}/rooms/{{}}/state/{{}}", put_state),
    Route("PUT", f"{_CLIENT}/rooms/{{}}/state/{{}}/{{}}", put_state),
    Route("GET", f"{_CLIENT}/rooms/{{}}/aliases", aliases),
    Route("GET", f"{_CLIENT}/directory/room/{{}}", get_alias, public=True),
    Route("PUT", f"{_CLIENT}/directory/room/{{}}", put_alias),
    Route("DELETE", f"{_CLIENT}/directory/room/{{}}", delete_alias),
]

"""Endpoints of presence."""

from __future__ import annotations

import time

from messaging.errors import bad_json, forbidden, invalid_param
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.presence_store import RANKS
from messaging.service import Route, Service

__all__ = ["ROUTES"]

_STATUS = "/_matrix/client/v3/presence/{}/status"
_MESSAGE_MAX = 1_000


async def get_status(service: Service, request: Request) -> Reply:
    """Whether a user is there, for who shares a room with them."""
    [user_id] = request.args
    own = request.session.user_id
    if user_id != own and not await service.presence.shares(own, user_id):
        raise forbidden("You share no room with this user.")
    state = await service.presence.of(user_id)
    return reply_json(state.content(time.time() * 1000))


async def put_status(service: Service, request: Request) -> Reply:
    """Say whether one is there."""
    if request.args[0] != request.session.user_id:
        raise forbidden("Nobody is present for another.")
    body = await request.object()
    presence, message = body.get("presence"), body.get("status_msg")
    if not isinstance(presence, str) or presence not in RANKS:
        raise invalid_param(f"presence: expected one of {', '.join(RANKS)}")
    if not isinstance(message, str | None):
        raise bad_json("status_msg: expected a text")
    if message is not None and len(message) > _MESSAGE_MAX:
        raise invalid_param(f"status_msg: expected at most {_MESSAGE_MAX} characters")
    await service.presence.set(request.session, presence, message or "")
    return EMPTY


ROUTES = [Route("GET", _STATUS, get_status), Route("PUT", _STATUS, put_status)]

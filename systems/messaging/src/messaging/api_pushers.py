"""Endpoints of pushers, and of what users were notified of."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from systems_common.hosts import clean_host, is_local_name, is_public, literal_address

from messaging.errors import bad_json, invalid_param, missing_param, too_large
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.pushers import Pusher
from messaging.service import Route, Service

__all__ = ["ROUTES"]

_CLIENT = "/_matrix/client/v3"
_PATH = "/_matrix/push/v1/notify"
_PUSHKEY_BYTES_MAX = 512
_APP_ID_MAX = 64
_TEXT_MAX = 255
_DATA_BYTES_MAX = 8_192
_LIMIT_MAX = 100


async def pushers(service: Service, request: Request) -> Reply:
    """The user's pushers."""
    return reply_json({"pushers": await service.pushers.of(request.session.user_no)})


def _text(body: dict[str, Any], name: str, length_max: int) -> str:
    value = body.get(name)
    if value is None:
        raise missing_param(f"{name} is missing.")
    if not isinstance(value, str):
        raise bad_json(f"{name}: expected a text")
    if not value or len(value.encode("utf-8", "replace")) > length_max or "\0" in value:
        raise invalid_param(f"{name}: expected 1 to {length_max} bytes, without NUL")
    return value


def _checked_url(url: object, *, public_only: bool) -> None:
    """Raises M_INVALID_PARAM. Where a name leads is looked at when it is asked for."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        host = None if parts is None or parts.port == 0 else clean_host(parts.hostname or "")
    except ValueError:
        parts, host = None, None
    schemes = ("https",) if public_only else ("https", "http")
    if parts is None or host is None or parts.scheme not in schemes or parts.path != _PATH:
        raise invalid_param(f"data.url: expected a gateway, https://…{_PATH}")
    address = literal_address(host)
    if public_only and (is_local_name(host) or (address is not None and not is_public(address))):
        raise invalid_param("data.url: expected a public address")


def _data(body: dict[str, Any], *, public_only: bool) -> dict[str, Any]:
    data = body.get("data")
    if data is None:
        raise missing_param("data is missing.")
    if not isinstance(data, dict):
        raise bad_json("data: expected an object")
    if data.get("url") is None:
        raise missing_param("data.url is missing.")
    if data.get("format", "event_id_only") != "event_id_only":
        raise invalid_param("data.format: expected event_id_only, or none")
    if len(msgspec.json.encode(data)) > _DATA_BYTES_MAX:
        raise too_large(f"data: at most {_DATA_BYTES_MAX} bytes")
    _checked_url(data["url"], public_only=public_only)
    return data


async def set_pusher(service: Service, request: Request) -> Reply:
    """Make a pusher or change it; with no kind, take it away."""
    body = await request.object()
    app_id = _text(body, "app_id", _APP_ID_MAX)
    pushkey = _text(body, "pushkey", _PUSHKEY_BYTES_MAX)
    if "kind" not in body:
        raise missing_param("kind is missing.")
    if body["kind"] is None:
        await service.pushers.remove(request.session, app_id, pushkey)
        return EMPTY
    if body["kind"] != "http":
        raise invalid_param("kind: expected http, or null")
    append = body.get("append", False)
    if not isinstance(append, bool):
        raise bad_json("append: expected true or false")
    tag = None if body.get("profile_tag") is None else _text(body, "profile_tag", _TEXT_MAX)
    pusher = Pusher(
        app_id=app_id,
        pushkey=pushkey,
        kind="http",
        app_display_name=_text(body, "app_display_name", _TEXT_MAX),
        device_display_name=_text(body, "device_display_name", _TEXT_MAX),
        lang=_text(body, "lang", _TEXT_MAX),
        data=_data(body, public_only=service.settings.push_gateways == "public"),
        profile_tag=tag,
    )
    await service.pushers.put(request.session, pusher, append=append)
    return EMPTY


async def notifications(service: Service, request: Request) -> Reply:
    """What the user was notified of, the newest first."""
    limit = request.integer("limit", 20, least=1, most=_LIMIT_MAX)
    return reply_json(
        await service.notifications.page(
            request.session,
            behind=request.query.get("from"),
            limit=limit,
            highlights="highlight" in request.query.get("only", ""),
        )
    )


ROUTES = [
    Route("GET", f"{_CLIENT}/pushers", pushers),
    Route("POST", f"{_CLIENT}/pushers/set", set_pusher),
    Route("GET", f"{_CLIENT}/notifications", notifications),
]

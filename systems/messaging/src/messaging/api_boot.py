"""Endpoints that clients ask when they start, of what this server has little to say about."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

from messaging.errors import missing_param
from messaging.http import Reply, Request, reply_json
from messaging.interactive import is_token
from messaging.service import Route, Service

__all__ = ["ROUTES"]

_CLIENT = "/_matrix/client/v3"
_TTL_S = 86_400


async def turn_server(service: Service, request: Request) -> Reply:
    """Where calls find a TURN server, with credentials for a day; nothing when there is none."""
    settings = service.settings
    if not settings.turn_uris:
        return reply_json({})
    # What TURN servers take who share a secret with this one (the TURN REST API).
    username = f"{int(time.time()) + _TTL_S}:{request.session.user_id}"
    mac = hmac.new(settings.turn_secret.encode(), username.encode(), hashlib.sha1)
    return reply_json(
        {
            "username": username,
            "password": base64.b64encode(mac.digest()).decode(),
            "uris": settings.turn_addresses,
            "ttl": _TTL_S,
        }
    )


async def protocols(service: Service, request: Request) -> Reply:
    """The networks that are bridged to: none."""
    return reply_json({})


async def third_party_ids(service: Service, request: Request) -> Reply:
    """The user's mail addresses and telephone numbers: none are kept."""
    return reply_json({"threepids": []})


async def token_validity(service: Service, request: Request) -> Reply:
    """Whether that is the registration token."""
    token = request.query.get("token")
    if token is None:
        raise missing_param("token is missing.")
    settings = service.settings
    is_asked = settings.registration == "token"
    is_valid = is_asked and is_token({"token": token}, settings.registration_token)
    return reply_json({"valid": is_valid})


ROUTES = [
    Route("GET", f"{_CLIENT}/voip/turnServer", turn_server),
    Route("GET", f"{_CLIENT}/thirdparty/protocols", protocols),
    Route("GET", f"{_CLIENT}/account/3pid", third_party_ids),
    Route(
        "GET",
        "/_matrix/client/v1/register/m.login.registration_token/validity",
        token_validity,
        public=True,
    ),
]

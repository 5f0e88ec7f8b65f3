"""Endpoints of signing up, in and out, of devices, profiles and filters."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import msgspec
from systems_common.passwords import PASSWORD_LENGTH_MAX

from messaging import interactive
from messaging.accounts import Account, device_json, is_user_id, user_id_of
from messaging.closing import close_account
from messaging.creation import ROOM_VERSION
from messaging.errors import MatrixError, bad_json, forbidden, invalid_param, not_found
from messaging.filters import FILTER_BYTES_MAX, parse_filter
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.memberships import profile_of
from messaging.service import Route, Service

__all__ = ["ROUTES"]

_VERSIONS = ["v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10"]
_FILTERS_MAX = 1_000
_TEXT_MAX = 1_000
_CLIENT = "/_matrix/client/v3"


# Each half in the order of an index, so that neither reads more than it shows.
_USERS_FOUND = """
SELECT user_id, display_name, avatar_url FROM (
    (SELECT user_id, display_name, avatar_url FROM account
     WHERE user_id COLLATE "C" LIKE '@' || $1 || '%' AND closed_at IS NULL
     ORDER BY user_id COLLATE "C" LIMIT $2)
    UNION
    (SELECT user_id, display_name, avatar_url FROM account
     WHERE lower(display_name) COLLATE "C" LIKE $1 || '%'
     ORDER BY lower(display_name) COLLATE "C" LIMIT $2)
) AS found ORDER BY user_id LIMIT $2"""


async def versions(service: Service, request: Request) -> Reply:
    """The versions of the specification that are spoken."""
    return reply_json(
        {"versions": [*_VERSIONS, "v1.11"], "unstable_features": {"org.loadpath.gateway": True}}
    )


async def well_known(service: Service, request: Request) -> Reply:
    """Where clients of this server name find it."""
    if not service.settings.base_url:
        raise not_found("BASE_URL is not set.")
    return reply_json({"m.homeserver": {"base_url": service.settings.base_url}})


async def capabilities(service: Service, request: Request) -> Reply:
    """What may be done here."""
    return reply_json(
        {
            "capabilities": {
                "m.change_password": {"enabled": True},
                "m.room_versions": {"default": ROOM_VERSION, "available": {ROOM_VERSION: "stable"}},
                "m.set_displayname": {"enabled": True},
                "m.set_avatar_url": {"enabled": True},
                "m.3pid_changes": {"enabled": False},
                "m.get_login_token": {"enabled": False},
            }
        }
    )


async def login_flows(service: Service, request: Request) -> Reply:
    """How to sign in."""
    return reply_json({"flows": [{"type": interactive.PASSWORD}]})


def _text(body: dict[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise bad_json(f"{key}: expected a text")
    if len(value) > _TEXT_MAX or "\0" in value:
        raise invalid_param(f"{key}: expected at most {_TEXT_MAX} characters, without NUL")
    return value


def _flag(body: dict[str, Any], key: str, *, default: bool = False) -> bool:
    value = body.get(key, default)
    if not isinstance(value, bool):
        raise bad_json(f"{key}: expected true or false")
    return value


def _password(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise MatrixError(400, "M_MISSING_PARAM", f"{key} is missing.")
    if not 1 <= len(value) <= PASSWORD_LENGTH_MAX:
        raise MatrixError(
            400, "M_WEAK_PASSWORD", f"A password has 1 to {PASSWORD_LENGTH_MAX} characters."
        )
    return value


async def _signed_in(service: Service, account: Account, body: dict[str, Any]) -> Reply:
    device_id = _text(body, "device_id")
    refresh = _flag(body, "refresh_token")
    device_id, tokens = await service.accounts.sign_in(
        account, device_id, _text(body, "initial_device_display_name"), refresh=refresh
    )
    answer: dict[str, Any] = {
        "user_id": account.user_id,
        "home_server": service.settings.server_name,
        "access_token": tokens.access,
        "device_id": device_id,
    }
    if tokens.refresh is not None:
        answer["refresh_token"] = tokens.refresh
        answer["expires_in_ms"] = service.accounts.lifetime_ms
    return reply_json(answer)


async def register(service: Service, request: Request) -> Reply:
    """A new account, after the stage that REGISTRATION asks for."""
    settings = service.settings
    if request.query.get("kind", "user") != "user":
        raise MatrixError(403, "M_GUEST_ACCESS_FORBIDDEN", "There are no guests here.")
    if settings.registration == "closed":
        raise forbidden("Registration is closed.")
    body = await request.object()
    name, no_login = _text(body, "username"), _flag(body, "inhibit_login")
    if name is None:
        name = f"user-{secrets.token_hex(6)}"
    user_id = user_id_of(name, settings.server_name)
    if await service.accounts.find(user_id) is not None:
        raise MatrixError(400, "M_USER_IN_USE", "That user name is taken.")
    if settings.registration == "token":
        auth = interactive.given(body, interactive.TOKEN)
        if not interactive.is_token(auth, settings.registration_token):
            raise interactive.challenge(
                interactive.TOKEN, auth, "M_UNAUTHORIZED", "That is not the token."
            )
    else:
        interactive.given(body, interactive.DUMMY)
    digest = await service.passwords.hash(_password(body, "password"))
    account = await service.accounts.create(user_id, digest)
    if no_login:
        return reply_json({"user_id": user_id, "home_server": settings.server_name})
    return await _signed_in(service, account, body)


async def username_available(service: Service, request: Request) -> Reply:
    """Whether a name is free."""
    name = request.query.get("username", "")
    if await service.accounts.find(user_id_of(name, service.settings.server_name)) is not None:
        raise MatrixError(400, "M_USER_IN_USE", "That user name is taken.")
    return reply_json({"available": True})


async def login(service: Service, request: Request) -> Reply:
    """Sign in with a password."""
    body = await request.object()
    if body.get("type") != interactive.PASSWORD:
        raise MatrixError(400, "M_UNKNOWN", f"Expected the login type {interactive.PASSWORD}.")
    named = body.get("identifier")
    if isinstance(named, dict):
        if named.get("type") != "m.id.user":
            raise MatrixError(400, "M_UNKNOWN", "Expected an identifier of type m.id.user.")
        user = _text(named, "user")
    else:
        user = _text(body, "user")
    if not user:
        raise MatrixError(400, "M_MISSING_PARAM", "The user is missing.")
    user_id = user if user.startswith("@") else f"@{user}:{service.settings.server_name}"
    account = await service.checked(user_id, _password(body, "password"))
    return await _signed_in(service, account, body)


async def refresh(service: Service, request: Request) -> Reply:
    """New tokens for a refresh token."""
    token = _text(await request.object(), "refresh_token")
    if token is None:
        raise MatrixError(400, "M_MISSING_PARAM", "refresh_token is missing.")
    tokens, lifetime_ms = await service.accounts.refresh(token)
    return reply_json(
        {
            "access_token": tokens.access,
            "refresh_token": tokens.refresh,
            "expires_in_ms": lifetime_ms,
        }
    )


async def logout(service: Service, request: Request) -> Reply:
    """End this device."""
    await service.accounts.sign_out(request.session)
    return EMPTY


async def logout_all(service: Service, request: Request) -> Reply:
    """End every device of the user."""
    await service.accounts.delete_devices(request.session.user_no, None)
    return EMPTY


async def whoami(service: Service, request: Request) -> Reply:
    """Whose token this is."""
    session = request.session
    return reply_json(
        {"user_id": session.user_id, "device_id": session.device_id, "is_guest": False}
    )


async def change_password(service: Service, request: Request) -> Reply:
    """A new password, after the old one."""
    body = await request.object()
    new = _password(body, "new_password")
    end_others = _flag(body, "logout_devices", default=True)
    await interactive.confirmed(request.session, body, service.checked)
    digest = await service.passwords.hash(new)
    await service.accounts.change_password(request.session, digest, end_others=end_others)
    return EMPTY


async def deactivate(service: Service, request: Request) -> Reply:
    """Close the account for good, after the password."""
    body = await request.object(optional=True)
    _flag(body, "erase")
    session = request.session
    await interactive.confirmed(session, body, service.checked)
    # With a password that nobody knows, so that nobody can tell it from a wrong one.
    digest = await service.passwords.hash(secrets.token_urlsafe(32))
    await close_account(service.database, service.accounts, service.memberships, session, digest)
    return reply_json({"id_server_unbind_result": "no-support"})


async def devices(service: Service, request: Request) -> Reply:
    """The user's devices."""
    rows = await service.database.fetch(
        "SELECT device_id, display_name FROM device WHERE user_no = $1 ORDER BY no",
        request.session.user_no,
    )
    return reply_json({"devices": [device_json(row) for row in rows]})


async def device(service: Service, request: Request) -> Reply:
    """One of the user's devices."""
    row = await service.database.fetchrow(
        "SELECT device_id, display_name FROM device WHERE user_no = $1 AND device_id = $2",
        request.session.user_no,
        request.args[0],
    )
    if row is None:
        raise not_found("There is no such device.")
    return reply_json(device_json(row))


async def rename_device(service: Service, request: Request) -> Reply:
    """Give a device another display name."""
    name = _text(await request.object(), "display_name")
    no = await service.database.fetchval(
        "UPDATE device SET display_name = coalesce($3, display_name)"
        " WHERE user_no = $1 AND device_id = $2 RETURNING no",
        request.session.user_no,
        request.args[0],
        name,
    )
    if no is None:
        raise not_found("There is no such device.")
    return EMPTY


async def delete_device(service: Service, request: Request) -> Reply:
    """End one device, after the password."""
    body = await request.object(optional=True)
    await interactive.confirmed(request.session, body, service.checked)
    await service.accounts.delete_devices(request.session.user_no, [request.args[0]])
    return EMPTY


async def delete_devices(service: Service, request: Request) -> Reply:
    """End several devices, after the password."""
    body = await request.object()
    named = body.get("devices")
    if not isinstance(named, list) or not all(
        isinstance(one, str) and "\0" not in one for one in named
    ):
        raise bad_json("devices: expected a list of device ids")
    await interactive.confirmed(request.session, body, service.checked)
    await service.accounts.delete_devices(request.session.user_no, named)
    return EMPTY


def _own(request: Request) -> None:
    if request.args[0] != request.session.user_id:
        raise forbidden("That is another user's.")


async def add_filter(service: Service, request: Request) -> Reply:
    """Keep a filter; the same one gets the same id."""
    _own(request)
    body = await request.body(FILTER_BYTES_MAX)
    content = await request.object()
    parse_filter(content)
    digest = hashlib.sha256(body).digest()
    no = await service.database.fetchval(
        "INSERT INTO filter (user_no, no, digest, content)"
        " SELECT $1, coalesce(max(no) + 1, 0), $2, $3 FROM filter WHERE user_no = $1"
        " HAVING count(*) < $4"
        " ON CONFLICT (user_no, digest) DO UPDATE SET digest = excluded.digest RETURNING no",
        request.session.user_no,
        digest,
        msgspec.json.encode(content),
        _FILTERS_MAX,
    )
    if no is None:
        raise MatrixError(403, "M_FORBIDDEN", f"A user has at most {_FILTERS_MAX} filters.")
    return reply_json({"filter_id": str(no)})


async def get_filter(service: Service, request: Request) -> Reply:
    """A filter that was kept."""
    _own(request)
    content = await service.filter_content(request.session.user_no, request.args[1])
    return Reply(content)


async def profile(service: Service, request: Request) -> Reply:
    """Name and picture of a user."""
    account = await service.accounts.find(request.args[0])
    if account is None:
        raise not_found("There is no such user.")
    shown = profile_of(account)
    if len(request.args) > 1:
        field = request.args[1]
        if field not in ("displayname", "avatar_url"):
            raise invalid_param("Expected displayname or avatar_url.")
        shown = {key: value for key, value in shown.items() if key == field}
    return reply_json(shown)


async def set_profile(service: Service, request: Request) -> Reply:
    """Change the own name or picture, in every room as well."""
    _own(request)
    field = request.args[1]
    columns = {"displayname": "display_name", "avatar_url": "avatar_url"}
    if field not in columns:
        raise invalid_param("Expected displayname or avatar_url.")
    body = await request.object()
    value = {key: _text(body, key) for key in columns}[field] or None
    session = request.session
    await service.database.fetch(
        f"UPDATE account SET {columns[field]} = $2 WHERE no = $1", session.user_no, value
    )
    shown = profile_of(await service.accounts.find(session.user_id))
    rows = await service.database.fetch(
        "SELECT room_no FROM member WHERE user_id = $1 AND membership = 'join'", session.user_id
    )
    for row in rows:
        await service.memberships.update_profile(row["room_no"], session.user_id, shown)
    return EMPTY


async def search_users(service: Service, request: Request) -> Reply:
    """Users whose id or name begins with a text."""
    body = await request.object()
    term = _text(body, "search_term")
    if term is None:
        raise MatrixError(400, "M_MISSING_PARAM", "search_term is missing.")
    limit = body.get("limit", 10)
    if type(limit) is not int:
        raise bad_json("limit: expected a whole number")
    limit = min(50, max(1, limit))
    start = term.lower().lstrip("@").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = await service.database.fetch(_USERS_FOUND, start, limit + 1)
    results = [
        {
            key: value
            for key, value in (
                ("user_id", row["user_id"]),
                ("display_name", row["display_name"]),
                ("avatar_url", row["avatar_url"]),
            )
            if value is not None
        }
        for row in rows[:limit]
        if is_user_id(row["user_id"])
    ]
    return reply_json({"results": results, "limited": len(rows) > limit})


ROUTES = [
    Route("GET", "/_matrix/client/versions", versions, public=True),
    Route("GET", "/.well-known/matrix/client", well_known, public=True),
    Route("GET", f"{_CLIENT}/capabilities", capabilities),
    Route("GET", f"{_CLIENT}/login", login_flows, public=True),
    Route("POST", f"{_CLIENT}/login", login, public=True),
    Route("POST", f"{_CLIENT}/register", register, public=True),
    Route("GET", f"{_CLIENT}/register/available", username_available, public=True),
    Route("POST", f"{_CLIENT}/refresh", refresh, public=True),
    Route("POST", f"{_CLIENT}/logout", logout),
    Route("POST", f"{_CLIENT}/logout/all", logout_all),
    Route("GET", f"{_CLIENT}/account/whoami", whoami),
    Route("POST", f"{_CLIENT}/account/password", change_password),
    Route("POST", f"{_CLIENT}/account/deactivate", deactivate),
    Route("GET", f"{_CLIENT}/devices", devices),
    Route("GET", f"{_CLIENT}/devices/{{}}", device),
    Route("PUT", f"{_CLIENT}/devices/{{}}", rename_device),
    Route("DELETE", f"{_CLIENT}/devices/{{}}", delete_device),
    Route("POST", f"{_CLIENT}/delete_devices", delete_devices),
    Route("POST", f"{_CLIENT}/user/{{}}/filter", add_filter),
    Route("GET", f"{_CLIENT}/user/{{}}/filter/{{}}", get_filter),
    Route("GET", f"{_CLIENT}/profile/{{}}", profile, public=True),
    Route("GET", f"{_CLIENT}/profile/{{}}/{{}}", profile, public=True),
    Route("PUT", f"{_CLIENT}/profile/{{}}/{{}}", set_profile),
    Route("POST", f"{_CLIENT}/user_directory/search", search_users),
]

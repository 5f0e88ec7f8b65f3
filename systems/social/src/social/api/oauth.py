"""OAuth 2: the consent page, tokens, revocation (RFC 6749, 7009, 7636)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from systems_common.limits import Limit, LocalLimiter

from social.api.apps import OUT_OF_BAND
from social.api.consent import code_page, consent_page
from social.entities import Token
from social.entities_server import AuthorizationServer
from social.errors import ApiError, oauth_error
from social.registration import issue_token, signed_in
from social.service import Service
from social.tokens import digest_of, new_secret, scopes_of
from social.web.routing import Answer, Call, Empty, Endpoints

__all__ = ["endpoints"]

endpoints = Endpoints()

_CODE_LIFE = timedelta(minutes=10)
_TRIES = Limit(10, 300.0)
# In each process: with n processes somebody has n times the tries, which is still few.
_tries = LocalLimiter()


class Authorize(msgspec.Struct, frozen=True, kw_only=True):
    """What an app asks for, and who answers."""

    client_id: str = ""
    redirect_uri: str = ""
    response_type: str = "code"
    scope: str = "read"
    state: str = ""
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    username: str = ""
    password: str = ""
    decision: str = ""


async def _app_of(service: Service, client_id: str) -> Any:
    row = await service.database.fetchrow("SELECT * FROM app WHERE client_id = $1", client_id)
    if row is None:
        raise oauth_error(401, "invalid_client", "Client authentication failed: unknown client.")
    return row


async def _asked(service: Service, asked: Authorize) -> tuple[Any, str]:
    """The app and the scopes asked for. Raises what may not be answered with a redirect."""
    app = await _app_of(service, asked.client_id)
    if asked.redirect_uri not in app["redirect_uris"]:
        raise oauth_error(400, "invalid_redirect_uri", "The redirect uri included is not valid.")
    if asked.response_type != "code":
        raise oauth_error(400, "unsupported_response_type", "Only the response type code is known.")
    scopes = scopes_of(asked.scope)
    if not scopes or not _within(scopes, app["scopes"]):
        raise oauth_error(400, "invalid_scope", "The requested scope is invalid or unknown.")
    if asked.code_challenge is not None and asked.code_challenge_method != "S256":
        raise oauth_error(400, "invalid_request", "The code challenge method must be S256.")
    return app, " ".join(sorted(scopes))


def _within(scopes: frozenset[str], granted: str) -> bool:
    of_app = frozenset(granted.split())
    return all(one in of_app or one.partition(":")[0] in of_app for one in scopes)


@endpoints.add("GET", "/oauth/authorize", Authorize, who="anyone", media_types=("text/html",))
async def show_consent(call: Call, asked: Authorize) -> Answer:
    """The page on which somebody signs in and lets an app act for them."""
    app, scopes = await _asked(call.service, asked)
    return consent_page(app["name"], scopes, _hidden(asked))


def _hidden(asked: Authorize) -> dict[str, str]:
    names = ("client_id", "redirect_uri", "response_type", "scope", "state")
    kept = {name: getattr(asked, name) for name in names}
    if asked.code_challenge is not None:
        kept |= {"code_challenge": asked.code_challenge, "code_challenge_method": "S256"}
    return kept


@endpoints.add(
    "POST", "/oauth/authorize", Authorize, who="anyone", media_types=("text/html",), redirects=True
)
async def decide(call: Call, asked: Authorize) -> Answer:
    """What was decided on the page: a redirect with the code, or the code to be copied."""
    service = call.service
    app, scopes = await _asked(service, asked)
    if asked.decision == "deny":
        return _redirect(asked, error="access_denied", error_description="It was denied.")
    if not _tries.take(asked.username.lower(), _TRIES).allowed:
        return consent_page(
            app["name"], scopes, _hidden(asked), problem="Too many tries; wait a while.", status=429
        )
    account = await signed_in(service.database, service.passwords, asked.username, asked.password)
    if account is None:
        return consent_page(
            app["name"], scopes, _hidden(asked), problem="Wrong name or password.", status=401
        )
    code = new_secret()
    now = datetime.now(UTC)
    await service.database.fetch("DELETE FROM authorization_code WHERE expires_at < $1", now)
    await service.database.fetch(
        """INSERT INTO authorization_code
               (digest, app_id, account_id, redirect_uri, scopes, challenge, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        digest_of(code),
        app["id"],
        account,
        asked.redirect_uri,
        scopes,
        asked.code_challenge,
        now + _CODE_LIFE,
    )
    if asked.redirect_uri == OUT_OF_BAND:
        return code_page(code)
    return _redirect(asked, code=code)


def _redirect(asked: Authorize, **members: str) -> Answer:
    if asked.redirect_uri == OUT_OF_BAND:
        raise oauth_error(400, members["error"], members["error_description"])
    if asked.state:
        members["state"] = asked.state
    joint = "&" if "?" in asked.redirect_uri else "?"
    where = f"{asked.redirect_uri}{joint}{urlencode(members)}"
    headers = ((b"location", where.encode()), (b"cache-control", b"no-store"))
    return Answer(b"", 302, "text/plain", headers)


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is asked for with."""

    grant_type: str = ""
    client_id: str = ""
    client_secret: str = ""
    redirect_uri: str = ""
    code: str = ""
    code_verifier: str = ""
    scope: str = ""
    username: str = ""
    password: str = ""


@endpoints.add("POST", "/oauth/token", TokenRequest, who="anyone")
async def create_token(call: Call, asked: TokenRequest) -> Token:
    """Get a token for a code, for the app itself or, where enabled, for a password."""
    service = call.service
    app = await _authenticated(call, asked.client_id, asked.client_secret)
    account: int | None
    match asked.grant_type:
        case "authorization_code":
            account, scopes = await _redeem(service, app, asked)
        case "client_credentials":
            account, scopes = None, _scopes(asked, app)
        case "password" if service.settings.password_grant:
            scopes = _scopes(asked, app)
            allowed = _tries.take(asked.username.lower(), _TRIES).allowed
            account = (
                await signed_in(service.database, service.passwords, asked.username, asked.password)
                if allowed
                else None
            )
            if account is None:
                raise oauth_error(400, "invalid_grant", "The name or the password is wrong.")
        case _:
            raise oauth_error(
                400, "unsupported_grant_type", "The authorization grant type is not supported."
            )
    text = await issue_token(
        service.database, service.ids, app=app["id"], account=account, scopes=scopes
    )
    return Token(text, "Bearer", scopes, int(datetime.now(UTC).timestamp()))


async def _authenticated(call: Call, client_id: str, secret: str) -> Any:
    given = call.headers.get(b"authorization", b"").decode("latin-1")
    if not client_id and given.lower().startswith("basic "):
        try:
            decoded = base64.b64decode(given[6:], validate=True).decode()
        except ValueError:
            decoded = ""
        client_id, _, secret = decoded.partition(":")
    app = await _app_of(call.service, client_id)
    if not hmac.compare_digest(app["secret_digest"], digest_of(secret)):
        raise oauth_error(401, "invalid_client", "Client authentication failed.")
    return app


def _scopes(asked: TokenRequest, app: Any) -> str:
    scopes = scopes_of(asked.scope or "read")
    if not scopes or not _within(scopes, app["scopes"]):
        raise oauth_error(400, "invalid_scope", "The requested scope is invalid or unknown.")
    return " ".join(sorted(scopes))


async def _redeem(service: Service, app: Any, asked: TokenRequest) -> tuple[int, str]:
    # Deleted by the statement that reads it: a code is good once.
    row = await service.database.fetchrow(
        """DELETE FROM authorization_code WHERE digest = $1
           RETURNING app_id, account_id, redirect_uri, scopes, challenge, expires_at > now()""",
        digest_of(asked.code),
    )
    good = (
        row is not None
        and row[0] == app["id"]
        and row[2] == asked.redirect_uri
        and row[5]
        and (row[4] is None or _meets(asked.code_verifier, row[4]))
    )
    if not good:
        raise oauth_error(
            400, "invalid_grant", "The code is wrong, was used, has expired or is not of this app."
        )
    return row[1], row[3]


def _meets(verifier: str, challenge: str) -> bool:
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return hmac.compare_digest(made, challenge.encode("utf-8", "surrogatepass"))


class Revoke(msgspec.Struct, frozen=True, kw_only=True):
    """The token that is to end, and whose it is."""

    client_id: str = ""
    client_secret: str = ""
    token: str = ""


@endpoints.add("POST", "/oauth/revoke", Revoke, who="anyone")
async def revoke_token(call: Call, asked: Revoke) -> dict[str, str]:
    """End a token. One that is not there has ended already."""
    app = await _authenticated(call, asked.client_id, asked.client_secret)
    digest = digest_of(asked.token)
    row = await call.service.database.fetchrow("SELECT app_id FROM token WHERE digest = $1", digest)
    if row is not None:
        if row["app_id"] != app["id"]:
            raise ApiError(
                403,
                "unauthorized_client",
                error_description="You are not authorized to revoke this token",
            )
        await call.service.database.fetch("DELETE FROM token WHERE digest = $1", digest)
        call.service.tokens.forget(digest.hex())
    return {}


@endpoints.add("GET", "/.well-known/oauth-authorization-server", Empty, who="anyone")
async def metadata(call: Call, _: Empty) -> AuthorizationServer:
    """What there is of OAuth, and where (RFC 8414)."""
    base = call.service.base_url
    grants = ["authorization_code", "client_credentials"]
    if call.service.settings.password_grant:
        grants.append("password")
    return AuthorizationServer(
        issuer=base,
        authorization_endpoint=f"{base}/oauth/authorize",
        token_endpoint=f"{base}/oauth/token",
        revocation_endpoint=f"{base}/oauth/revoke",
        app_registration_endpoint=f"{base}/api/v1/apps",
        scopes_supported=["read", "write", "follow", "push", "profile"],
        response_types_supported=["code"],
        response_modes_supported=["query"],
        grant_types_supported=grants,
        token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
        code_challenge_methods_supported=["S256"],
    )

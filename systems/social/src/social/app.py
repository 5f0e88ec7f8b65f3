"""The ASGI application: `granian --interface asgi social.app:app`."""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from systems_common import logs
from systems_common.batching import OverloadedError
from systems_common.blobs import BlobStoreError, Spool
from systems_common.clients import client_address
from systems_common.database import DatabaseUnavailableError
from systems_common.event_stream import EventStream
from systems_common.limits import Verdict
from systems_common.settings import SettingsError

from social import __version__
from social.api import endpoints_with
from social.entities import encode, timestamp
from social.errors import ApiError, forbidden, no_room, not_found, unauthorized, unavailable
from social.service import NotMigratedError, Service, open_service
from social.settings import Settings, read_settings
from social.tokens import Token, allows
from social.web.parameters import BODY_BYTES_MAX, convert, parse
from social.web.routing import Answer, Call, Empty, Endpoint, Router
from social.web.socket import STREAMING, deny, talk, token_of
from social.web.uploads import read_form

__all__ = ["app", "create_app"]

log = logging.getLogger(__name__)

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
_HEALTH = ("/health", "/health/live", "/health/ready")
_CORS = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Link, X-RateLimit-Reset, X-RateLimit-Limit, X-RateLimit-Remaining",
    ),
)
_PREFLIGHT = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, Idempotency-Key"),
    (b"access-control-max-age", b"86400"),
)


def create_app(settings: Settings) -> Asgi:
    """The application for these settings; it connects when the server starts it."""
    router = Router(
        endpoint for endpoint in endpoints_with(settings) if _has(settings.roles, endpoint.path)
    )
    service: Service | None = None

    async def live(receive: Any, send: Any) -> None:
        nonlocal service
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                service = await stack.enter_async_context(open_service(settings))
            except (DatabaseUnavailableError, NotMigratedError) as error:
                log.critical("cannot start", extra={"error": str(error)})
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            # What is alive now lives as long as the process; the collector need not look.
            gc.collect()
            gc.freeze()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["type"] == "http" and service is not None:
            answer = await respond(service, router, scope, receive)
            if isinstance(answer, EventStream):
                await answer(scope, receive, send)
                return
            content = answer.content
            size = len(answer.body) if content is None else content.size
            headers = [
                (b"content-type", answer.content_type.encode()),
                (b"content-length", b"%d" % size),
                *_CORS,
                *answer.headers,
            ]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            body = b"" if scope["method"] == "HEAD" else answer.body
            if content is not None:
                async with contextlib.aclosing(content.parts) as parts:
                    if scope["method"] != "HEAD":
                        async for part in parts:
                            message = {"type": "http.response.body", "body": part}
                            await send({**message, "more_body": True})
            await send({"type": "http.response.body", "body": body})
        elif scope["type"] == "websocket" and service is not None:
            await converse(service, router, scope, receive, send)

    return dispatch


def _has(role: str, path: str) -> bool:
    return (
        role in ("all", "web")
        or path in _HEALTH
        or (role == "streaming" and path.startswith(STREAMING))
    )


async def converse(service: Service, router: Router, scope: Any, receive: Any, send: Any) -> None:
    """A WebSocket: what is asked of its handshake is asked of the stream with the same path."""
    try:
        endpoint, _ = router.find("GET", scope["path"])
        if endpoint.path != STREAMING:
            raise not_found()
        token = await _token(service, endpoint, scope, dict(scope["headers"]))
        _authorize(endpoint, token)
        await _limit(service, endpoint, scope, token)
        assert token is not None
        await talk(service.hub, token, scope, receive, send)
    except Exception as error:  # noqa: BLE001 - each becomes an answer; what is unexpected is logged
        await deny(send, _as_api_error(error, scope))


async def respond(
    service: Service, router: Router, scope: Any, receive: Any
) -> Answer | EventStream:
    """The answer to one request, whatever happens; files that it carried are gone afterwards."""
    async with contextlib.AsyncExitStack() as stack:
        return await _respond(service, router, scope, receive, stack)


async def _respond(
    service: Service,
    router: Router,
    scope: Any,
    receive: Any,
    stack: contextlib.AsyncExitStack,
) -> Answer | EventStream:
    limits: tuple[tuple[bytes, bytes], ...] = ()
    try:
        method: str = scope["method"]
        if method == "OPTIONS":
            return Answer(b"", 204, headers=_PREFLIGHT)
        endpoint, varying = router.find("GET" if method == "HEAD" else method, scope["path"])
        headers = dict(scope["headers"])
        token = await _token(service, endpoint, scope, headers)
        _authorize(endpoint, token)
        limits = await _limit(service, endpoint, scope, token)
        files: dict[str, Spool] = {}
        body: bytes | list[tuple[str, str]] = b""
        if (
            endpoint.files
            and headers.get(b"content-type", b"")[:19].lower() == b"multipart/form-data"
        ):
            form = await read_form(
                receive,
                headers,
                stack,
                lambda: service.media.blobs,
                wanted=endpoint.files,
                file_bytes_max=service.settings.media_bytes_max,
            )
            body, files = form.pairs, form.files
        elif method not in ("GET", "HEAD"):
            body = await _body(headers, receive)
        query: bytes = scope["query_string"]
        params: Any = _EMPTY
        if endpoint.params is not Empty:
            kind = headers.get(b"content-type", b"").decode("latin-1")
            params = convert(parse(query, body, kind), endpoint.params)
        call = Call(service, token, varying, headers, scope["path"], query.decode("latin-1"))
        call.files = files
        found = await endpoint.handler(call, params)
        if isinstance(found, EventStream):
            if method == "GET":
                return found.with_headers(*_CORS, *limits)
            await found.aclose()
            found = Answer(b"", content_type="text/event-stream")
        answer = found if isinstance(found, Answer) else Answer(encode(found))
    except Exception as error:  # noqa: BLE001 - each becomes an answer; what is unexpected is logged
        answer = _failed(error, scope)
    if limits:
        answer = msgspec.structs.replace(answer, headers=(*answer.headers, *limits))
    return answer


_EMPTY = Empty()


async def _token(
    service: Service, endpoint: Endpoint, scope: Any, headers: dict[bytes, bytes]
) -> Token | None:
    given = headers.get(b"authorization")
    text: str | None = None
    if given is not None:
        kind, _, secret = given.decode("latin-1").partition(" ")
        text = secret.strip() if kind.lower() == "bearer" else None
    elif endpoint.path.startswith(STREAMING):
        text = token_of(scope)
    if not text:
        return None
    token = await service.tokens.find(text)
    if token is None:
        raise unauthorized()
    return token


def _authorize(endpoint: Endpoint, token: Token | None) -> None:
    if token is None:
        if endpoint.who != "anyone":
            raise unauthorized()
        return
    if endpoint.scope and not allows(token.scopes, endpoint.scope):
        raise forbidden("This action is outside the authorized scopes")
    if endpoint.who == "user" and token.account_id is None:
        raise ApiError(422, "This method requires an authenticated user")


async def _limit(
    service: Service, endpoint: Endpoint, scope: Any, token: Token | None
) -> tuple[tuple[bytes, bytes], ...]:
    if service.limit is None or service.limiter is None or endpoint.path.startswith("/health"):
        return ()
    if token is not None and token.account_id is not None:
        caller = f"account:{token.account_id}"
    else:
        caller = f"address:{client_address(scope, service.trusted)}"
    verdict = await service.limiter.take(caller, service.limit)
    if verdict is None:
        return ()
    headers = _rate_headers(verdict)
    if not verdict.allowed:
        raise ApiError(
            429,
            "Too many requests",
            headers={name.decode(): text.decode() for name, text in headers},
        )
    return headers


def _rate_headers(verdict: Verdict) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-ratelimit-limit", b"%d" % verdict.limit),
        (b"x-ratelimit-remaining", b"%d" % verdict.remaining),
        (b"x-ratelimit-reset", timestamp(time.time() + verdict.reset_s).encode()),
    )


async def _body(headers: dict[bytes, bytes], receive: Any) -> bytes:
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > BODY_BYTES_MAX:
        raise ApiError(413, f"Expected at most {BODY_BYTES_MAX} bytes")
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise ApiError(413, f"Expected at most {BODY_BYTES_MAX} bytes")
    return body


def _failed(error: Exception, scope: Any) -> Answer:
    error = _as_api_error(error, scope)
    headers = tuple((name.lower().encode(), text.encode()) for name, text in error.headers.items())
    return Answer(error.body(), error.status, headers=headers)


def _as_api_error(error: Exception, scope: Any) -> ApiError:
    if isinstance(error, DatabaseUnavailableError | OverloadedError):
        error = unavailable()
    if isinstance(error, BlobStoreError):
        log.error("pictures cannot be stored or read", extra={"error": str(error)})
        error = no_room() if error.is_full else unavailable()
    if not isinstance(error, ApiError):
        log.error(
            "a request failed",
            exc_info=error,
            extra={"http.request.method": scope.get("method"), "url.path": scope["path"]},
        )
        error = ApiError(500, "The service failed to answer this request")
    return error


def _from_environment() -> Asgi:
    try:
        settings = read_settings()
    except SettingsError as error:
        print(f"social: {error}", file=sys.stderr)
        raise SystemExit(78) from None
    logs.configure("social", __version__, settings.log_level)
    return create_app(settings)


app = _from_environment()

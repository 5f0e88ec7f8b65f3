"""The ASGI application: `granian --interface asgi messaging.app:app`.

Plain ASGI: the paths of Matrix hold encoded ids, its errors and headers are its own, and a
framework between would cost more than most of its requests do (DECISIONS 1).
"""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from systems_common import logs
from systems_common.batching import OverloadedError
from systems_common.blobs import BlobStoreError
from systems_common.database import DatabaseUnavailableError
from systems_common.settings import SettingsError

from messaging import __version__
from messaging.endpoints import router
from messaging.errors import MatrixError, no_room, unavailable
from messaging.gateway import serve_gateway
from messaging.http import EMPTY, Receive, Reply, Request, Send, query_of, send_reply
from messaging.routing import Router
from messaging.service import NotMigratedError, Route, Service, open_service
from messaging.sessions import Session
from messaging.settings import Settings, read_settings

__all__ = ["app", "create_app"]

log = logging.getLogger(__name__)

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def create_app(settings: Settings) -> Asgi:
    """The application for these settings; it connects when the server starts it."""
    routes = router(with_page=settings.web_page == "on")
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

    async def dispatch(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and service is not None:
            reply = await _answer(service, routes, scope, receive)
            await send_reply(send, reply, head=scope["method"] == "HEAD")
        elif scope["type"] == "websocket" and service is not None:
            await serve_gateway(service, scope, receive, send, _token(scope))
        elif scope["type"] == "lifespan":
            await live(receive, send)

    return dispatch


async def _answer(service: Service, routes: Router[Route], scope: Any, receive: Receive) -> Reply:
    method: str = scope["method"]
    if method == "OPTIONS":
        return EMPTY
    try:
        path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        route, args = routes.find("GET" if method == "HEAD" else method, path.decode("latin-1"))
        token = _token(scope)
        session: Session | None = None
        if token is not None and not route.public:
            session = await service.sessions.find(token)
        elif not route.public:
            raise MatrixError(401, "M_MISSING_TOKEN", "Missing access token")
        return await route.handler(service, Request(scope, receive, args, session))
    except MatrixError as error:
        return _failure(error)
    except (DatabaseUnavailableError, OverloadedError):
        return _failure(unavailable())
    except BlobStoreError as error:
        log.error("files cannot be stored or read", extra={"error": str(error)})
        return _failure(no_room() if error.is_full else unavailable())
    except Exception:
        log.exception(
            "a request failed",
            extra={
                "http.request.method": method,
                "url.path": scope["path"],
                **logs.trace_of(_header(scope, b"traceparent")),
            },
        )
        return _failure(MatrixError(500, "M_UNKNOWN", "The service failed to answer this request."))


def _failure(error: MatrixError) -> Reply:
    return Reply(error.body(), error.status, error.headers)


def _header(scope: Any, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value).decode("latin-1")
    return None


def _token(scope: Any) -> str | None:
    given = _header(scope, b"authorization")
    if given is not None:
        kind, _, token = given.partition(" ")
        if kind.lower() == "bearer" and token:
            return token
    if b"access_token=" in scope["query_string"]:
        return query_of(scope).get("access_token")
    return None


def _from_environment() -> Asgi:
    try:
        settings = read_settings()
    except SettingsError as error:
        print(f"messaging: {error}", file=sys.stderr)
        raise SystemExit(78) from None
    logs.configure("messaging", __version__, settings.log_level)
    return create_app(settings)


app = _from_environment()

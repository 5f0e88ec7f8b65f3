"""The ASGI application: `granian --interface asgi shortener.app:app`."""

from __future__ import annotations

import contextlib
import gc
import logging
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Litestar, Request
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.response import Response
from systems_common import logs
from systems_common.batching import OverloadedError
from systems_common.database import DatabaseUnavailableError
from systems_common.problems import PROBLEM_JSON, ProblemError
from systems_common.settings import SettingsError

from shortener import __version__, problems
from shortener.api import health, rest
from shortener.codes import RESERVED
from shortener.page import page
from shortener.public import public
from shortener.redirect import Redirector
from shortener.service import NotMigratedError, open_service
from shortener.settings import Settings, read_settings
from shortener.throttle import Throttle

__all__ = ["app", "create_app"]

log = logging.getLogger(__name__)

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
# What hangs below a code, and below the root, is the API's; all other paths are visitors'.
_BELOW_A_CODE = ("/track", "/qr-code")
# "/" and "/-/…"; no code is a dash.
_PAGE = ("", "-")
_BODY_BYTES_MAX = 64 * 1024


def create_app(settings: Settings) -> Asgi:
    """The application for these settings; it connects when the server starts it."""
    redirector: Redirector | None = None
    throttle: Throttle | None = None

    api = Litestar(
        [rest, health, *public, *(page if settings.web_page else ())],
        exception_handlers={Exception: _answer_exception},
        openapi_config=OpenAPIConfig(
            title="Link shortener",
            version=__version__,
            path="/rest/v3/docs",
            components=Components(
                security_schemes={
                    "ApiKey": SecurityScheme(
                        type="apiKey", name="X-Api-Key", security_scheme_in="header"
                    )
                }
            ),
        ),
        logging_config=None,
        request_max_body_size=_BODY_BYTES_MAX,
    )

    async def live(receive: Any, send: Any) -> None:
        # Not left to the framework, whose answer to a start that fails is 100 lines of traceback.
        nonlocal redirector, throttle
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                service = await stack.enter_async_context(open_service(settings))
                await stack.enter_async_context(api.lifespan())
            except (DatabaseUnavailableError, NotMigratedError) as error:
                log.critical("cannot start", extra={"error": str(error)})
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            api.state.service = service
            redirector = service.redirector
            throttle = service.throttle if service.throttle.watches else None
            # What is alive now lives as long as the process; the collector need not look.
            gc.collect()
            gc.freeze()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and redirector is not None:
            path: str = scope["path"]
            if throttle is not None and not path.startswith("/health"):
                send = await throttle.admit(scope, send)
                if send is None:
                    return
            name, slash, _ = path[1:].partition("/")
            if name not in RESERVED and scope["method"] in ("GET", "HEAD", "POST"):
                if name and not slash:
                    await redirector(scope, receive, send)
                    return
                if not path.endswith(_BELOW_A_CODE) and not (
                    settings.web_page and name in _PAGE and not redirector.leaves_the_root(scope)
                ):
                    await redirector.elsewhere(scope, receive, send)
                    return
        if scope["type"] == "lifespan":
            await live(receive, send)
        else:
            await api(scope, receive, send)

    return dispatch


def _answer_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    problem = _problem_of(error)
    if problem is None:
        log.error(
            "a request failed",
            exc_info=error,
            extra={
                "http.request.method": request.method,
                "url.path": request.url.path,
                **logs.trace_of(request.headers.get("traceparent")),
            },
        )
        problem = ProblemError(
            500, "about:blank", "Unexpected error", "The service failed to answer this request."
        )
    return Response(
        problem.body(),
        status_code=problem.status,
        media_type=PROBLEM_JSON,
        headers=problem.headers,
    )


def _problem_of(error: Exception) -> ProblemError | None:
    match error:
        case ProblemError():
            return error
        case DatabaseUnavailableError() | OverloadedError():
            return problems.unavailable()
        case ValidationException():
            return _invalid(error)
        case NotFoundException():
            return problems.not_found()
        case MethodNotAllowedException():
            return ProblemError(
                405, "about:blank", "Method not allowed", error.detail, headers=error.headers
            )
        case HTTPException() if error.status_code < 500:
            return ProblemError(error.status_code, "about:blank", "Bad request", error.detail)
    return None


def _invalid(error: ValidationException) -> ProblemError:
    found = error.extra if isinstance(error.extra, list) else []
    elements: list[str] = []
    reasons: list[str] = []
    for item in found:
        if isinstance(item, dict):
            message = str(item.get("message", ""))
            missing = re.search(r"missing required field `(\w+)`", message)
            name = missing[1] if missing else _camel(str(item.get("key", "")) or "body")
            elements.append(name)
            reasons.append(f"{name}: {message}")
    detail = "; ".join(reasons) or error.detail
    return problems.invalid_data(elements, f"Provided data is not valid. {detail}")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _from_environment() -> Asgi:
    try:
        settings = read_settings()
    except SettingsError as error:
        print(f"shortener: {error}", file=sys.stderr)
        raise SystemExit(78) from None
    logs.configure("shortener", __version__, settings.log_level)
    return create_app(settings)


app = _from_environment()

"""What anybody may ask for beside the redirect: pixel, QR code, robots.txt, health."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from typing import Any, cast
from urllib.parse import quote

from litestar import Request, get
from litestar.response import Response
from systems_common.health import examine
from systems_common.problems import ProblemError

from shortener import __version__
from shortener.domains import Domain
from shortener.links import crawlable_codes, find_link
from shortener.qr import image_of, options_of
from shortener.schemas import short_url
from shortener.service import Service

__all__ = ["public"]

_Request = Request[Any, Any, Any]

# 1 × 1, transparent.
_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_ROBOTS_BYTES_MAX = 500 * 1024
"""What crawlers read of it, at most (RFC 9309, 2.5)."""
_ROBOTS_REMEMBERED_S = 60.0


def _service(request: _Request) -> Service:
    service: Service = request.app.state.service
    return service


def _domain(service: Service, request: _Request) -> Domain:
    host = request.headers.get("host")
    return service.domains.chosen(
        request.query_params.get("domain"), host.encode("latin-1") if host else None
    )


@get("/{code:str}/track", include_in_schema=False)
async def track(request: _Request, code: str) -> Response[bytes]:
    """A pixel for mails and pages that counts a visit; a pixel also when there is no such link."""
    service = _service(request)
    try:
        await service.redirector.track(
            cast("dict[str, Any]", request.scope), code, _domain(service, request)
        )
    except ProblemError as problem:
        if problem.status != 404:
            raise
    return Response(
        _PIXEL, media_type="image/gif", headers={"cache-control": "no-store, max-age=0"}
    )


@get("/{code:str}/qr-code", include_in_schema=False)
async def qr_code(request: _Request, code: str) -> Response[bytes]:
    """The QR code of a link."""
    service = _service(request)
    domain = _domain(service, request)
    try:
        row = await find_link(service.database, code, domain.name)
    except ProblemError:
        # As for a redirect: a domain has all codes of the default one, unless it has its own.
        if not domain.name:
            raise
        row = await find_link(service.database, code)
    options = options_of(request.query_params)
    text = short_url(row, service.base_url).short_url
    media_type = "image/svg+xml" if options.kind == "svg" else "image/png"
    tag = f'"{hashlib.sha256(f"{text} {options}".encode()).hexdigest()[:24]}"'
    # An hour and not for ever: a link may be deleted.
    headers = {"cache-control": "public, max-age=3600", "etag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, media_type=media_type, headers=headers)
    # One at a time, in a thread: making one takes 10 ms of CPU that redirects would wait for.
    async with _TURN:
        image = await asyncio.to_thread(image_of, text, options)
    return Response(
        image, media_type=media_type, headers={**headers, "x-content-type-options": "nosniff"}
    )


_TURN = asyncio.Semaphore(1)


@get("/robots.txt", include_in_schema=False)
async def robots(request: _Request) -> Response[str]:
    """Nothing may be crawled but the links that say so."""
    state = request.app.state
    text, until_s = getattr(state, "robots", ("", 0.0))
    if time.monotonic() >= until_s:
        lines = [
            "# Only links that say so may be crawled. https://www.robotstxt.org/",
            "User-agent: *",
        ]
        length = 0
        for code in await crawlable_codes(_service(request).database, _ROBOTS_BYTES_MAX // 16):
            lines.append(f"Allow: /{quote(code)}")
            length += len(lines[-1]) + 1
            if length > _ROBOTS_BYTES_MAX - 1_024:
                break
        text = "\n".join([*lines, "Disallow: /", ""])
        state.robots = (text, time.monotonic() + _ROBOTS_REMEMBERED_S)
    return Response(text, media_type="text/plain")


@get("/health/live", include_in_schema=False)
async def live() -> dict[str, str]:
    """Whether the process answers at all. Not whether it can work: a restart mends no database."""
    return {"status": "pass", "version": __version__}


@get("/health/ready", include_in_schema=False)
async def ready(request: _Request) -> Response[dict[str, Any]]:
    """Whether requests should be sent here now."""
    found = await examine(_service(request).checks)
    return Response(
        {"status": "pass" if found.passes else "fail", "checks": found.checks},
        status_code=200 if found.passes else 503,
        headers={"cache-control": "no-store"},
    )


public = (track, qr_code, robots, live, ready)

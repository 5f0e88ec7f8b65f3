"""Every endpoint there is."""

from __future__ import annotations

from systems_common.health import examine

from messaging import (
    __version__,
    api_account,
    api_boot,
    api_cross_signing,
    api_directory,
    api_events,
    api_key_backup,
    api_keys,
    api_media,
    api_messages,
    api_presence,
    api_push,
    api_pushers,
    api_rooms,
    api_search,
    api_sync,
)
from messaging.described import SHAPES
from messaging.http import Reply, Request, reply_json
from messaging.openapi import openapi
from messaging.page import PAGE_ROUTES
from messaging.routing import Router
from messaging.service import Route, Service

__all__ = ["ROUTES", "router"]


async def _health(service: Service, request: Request) -> Reply:
    """Whether what the service needs answers."""
    health = await examine(service.checks)
    answer = {
        "status": "pass" if health.passes else "fail",
        "checks": health.checks,
        "waiting": service.sync.waiting,
    }
    return reply_json(answer, 200 if health.passes else 503)


async def _live(service: Service, request: Request) -> Reply:
    """Whether the process answers."""
    return reply_json({"status": "pass"})


async def _described(service: Service, request: Request) -> Reply:
    """Every endpoint, as an OpenAPI document."""
    return _DOCUMENT


_MODULES = (
    api_account,
    api_boot,
    api_rooms,
    api_directory,
    api_messages,
    api_events,
    api_sync,
    api_keys,
    api_cross_signing,
    api_key_backup,
    api_media,
    api_presence,
    api_push,
    api_pushers,
    api_search,
)
ROUTES: tuple[Route, ...] = (
    Route("GET", "/health", _health, public=True),
    Route("GET", "/health/live", _live, public=True),
    Route("GET", "/health/ready", _health, public=True),
    Route("GET", "/openapi.json", _described, public=True),
    *(route for module in _MODULES for route in module.ROUTES),
)
_DOCUMENT = reply_json(openapi(ROUTES, SHAPES, version=__version__))


def router(*, with_page: bool = False) -> Router[Route]:
    """Finds every endpoint there is; `with_page`: and the web page."""
    found: Router[Route] = Router()
    for route in (*ROUTES, *(PAGE_ROUTES if with_page else ())):
        found.add(route.method, route.pattern, route)
    return found

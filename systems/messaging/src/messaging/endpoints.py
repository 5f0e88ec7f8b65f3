"""Every endpoint there is."""

from __future__ import annotations

from systems_common.health import examine

from messaging import (
    api_account,
    api_directory,
    api_keys,
    api_messages,
    api_presence,
    api_push,
    api_rooms,
    api_search,
    api_sync,
)
from messaging.http import Reply, Request, reply_json
from messaging.routing import Router
from messaging.service import Route, Service

__all__ = ["router"]


async def _health(service: Service, request: Request) -> Reply:
    health = await examine(service.checks)
    answer = {
        "status": "pass" if health.passes else "fail",
        "checks": health.checks,
        "waiting": service.sync.waiting,
    }
    return reply_json(answer, 200 if health.passes else 503)


async def _live(service: Service, request: Request) -> Reply:
    return reply_json({"status": "pass"})


_HEALTH = [
    Route("GET", "/health", _health, public=True),
    Route("GET", "/health/live", _live, public=True),
    Route("GET", "/health/ready", _health, public=True),
]

_MODULES = (
    api_account,
    api_rooms,
    api_directory,
    api_messages,
    api_sync,
    api_keys,
    api_presence,
    api_push,
    api_search,
)


def router() -> Router[Route]:
    """Every endpoint there is."""
    found: Router[Route] = Router()
    for module in _MODULES:
        for route in module.ROUTES:
            found.add(route.method, route.pattern, route)
    for route in _HEALTH:
        found.add(route.method, route.pattern, route)
    return found

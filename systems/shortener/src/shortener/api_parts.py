"""What the handlers of the REST API share: parameters, documented problems, the key."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from systems_common.problems import PROBLEM_JSON

from shortener import problems
from shortener.drafts import domain_name, moment_of
from shortener.service import Service
from shortener.visit_lists import VisitFilter

__all__ = [
    "AnyRequest",
    "DomainQuery",
    "EndDate",
    "ExcludeBots",
    "ItemsPerPage",
    "PageNumber",
    "Problem",
    "SearchTerm",
    "StartDate",
    "answers",
    "check_text",
    "domain_of",
    "moments",
    "require_key",
    "service_of",
    "visit_filter",
]

AnyRequest = Request[Any, Any, Any]
PageNumber = Annotated[int | None, Parameter(query="page", description="From 1")]
ItemsPerPage = Annotated[
    int | None, Parameter(query="itemsPerPage", description="At most 5,000; -1 is as many")
]
StartDate = Annotated[str | None, Parameter(query="startDate", description="ISO 8601")]
EndDate = Annotated[str | None, Parameter(query="endDate", description="ISO 8601")]
ExcludeBots = Annotated[bool, Parameter(query="excludeBots")]
SearchTerm = Annotated[str | None, Parameter(query="searchTerm")]
DomainQuery = Annotated[
    str | None, Parameter(query="domain", description="DEFAULT or none for the default one")
]


class Problem(msgspec.Struct, frozen=True):
    """An error (RFC 9457); some have further members."""

    type: str
    title: str
    detail: str
    status: int


_ALWAYS = {
    400: "A parameter or the body is not what it can be",
    401: "No API key, or one that is not valid",
    429: "More requests than a limit allows; Retry-After says when to come again",
    503: "Something that the service needs does not answer",
}


def answers(**problems_by_status: str) -> dict[int, ResponseSpec]:
    """The problems an operation answers with, documented; `_404="…"` is one."""
    described = _ALWAYS | {int(name[1:]): text for name, text in problems_by_status.items()}
    return {
        status: ResponseSpec(
            data_container=Problem,
            generate_examples=False,
            description=text,
            media_type=PROBLEM_JSON,
        )
        for status, text in described.items()
    }


async def require_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let only requests with a valid API key pass."""
    key = connection.headers.get("x-api-key")
    if not key:
        raise problems.missing_key()
    service = service_of(connection)
    owner = await service.keys.owner(key)
    if owner is None:
        raise problems.invalid_key()
    connection.state.api_key_id = owner
    await service.throttle.count_key(cast("dict[str, Any]", connection.scope), owner)


def service_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Service:
    """The running service."""
    service: Service = connection.app.state.service
    return service


def moments(**texts: str | None) -> list[datetime | None]:
    """Dates from a query. Raises the problem that names those that are none."""
    found = {name: moment_of(text) if text else None for name, text in texts.items()}
    wrong = [name for name, text in texts.items() if text and found[name] is None]
    if wrong:
        raise problems.invalid_data(wrong, f"Not an ISO 8601 date: {', '.join(wrong)}.")
    return list(found.values())


def visit_filter(start: str | None, end: str | None, *, exclude_bots: bool) -> VisitFilter:
    """Which visits a query asks for."""
    since, until = moments(startDate=start, endDate=end)
    return VisitFilter(since, until, exclude_bots)


def check_text(**texts: str | list[str] | None) -> None:
    """Refuse what PostgreSQL cannot hold. Raises the problem that names it."""
    wrong = [name for name, text in texts.items() if text and "\0" in "".join(text)]
    if wrong:
        raise problems.invalid_data(wrong, f"A NUL in {', '.join(wrong)}.")


def domain_of(service: Service, text: str | None) -> str | None:
    """The domain a query names, "" the default one; None when no link can have it."""
    return domain_name(text or "", default_domain=service.default_domain)

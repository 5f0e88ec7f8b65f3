"""The REST API under /rest/v3, in Litestar."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Router, get, post
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.params import Parameter
from litestar.response import Response
from systems_common.health import examine

from shortener import __version__, problems
from shortener.links import Author, LinkFilter, Order, create_link, find_link, list_links
from shortener.schemas import (
    PAGE_ITEMS_MAX,
    CreateShortUrl,
    ShortUrl,
    ShortUrlList,
    VisitList,
    draft_of,
    link_list,
    moment_of,
    paging,
    short_url,
    visit_list,
)
from shortener.service import Service
from shortener.visits import page_of_visits

__all__ = ["health", "rest"]

_IDEMPOTENCY_KEY_MAX = 255
_LINKS_A_PAGE = 10

_Request = Request[Any, Any, Any]
_Tags = Annotated[list[str] | None, Parameter(query="tags[]")]
_StartDate = Annotated[str | None, Parameter(query="startDate", description="ISO 8601")]
_EndDate = Annotated[str | None, Parameter(query="endDate", description="ISO 8601")]


async def _require_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    key = connection.headers.get("x-api-key")
    if not key:
        raise problems.missing_key()
    owner = await _service(connection).keys.owner(key)
    if owner is None:
        raise problems.invalid_key()
    connection.state.api_key_id = owner


def _service(connection: ASGIConnection[Any, Any, Any, Any]) -> Service:
    service: Service = connection.app.state.service
    return service


def _moments(**texts: str | None) -> list[Any]:
    moments = {name: moment_of(text) if text else None for name, text in texts.items()}
    wrong = [name for name, text in texts.items() if text and moments[name] is None]
    if wrong:
        raise problems.invalid_data(wrong, f"Not an ISO 8601 date: {', '.join(wrong)}.")
    return list(moments.values())


@get("/short-urls", name="listShortUrls")
async def list_short_urls(
    request: _Request,
    *,
    page: int | None = None,
    items_per_page: Annotated[int | None, Parameter(query="itemsPerPage")] = None,
    search_term: Annotated[str | None, Parameter(query="searchTerm")] = None,
    tags: _Tags = None,
    tags_mode: Annotated[Literal["any", "all"], Parameter(query="tagsMode")] = "any",
    order_by: Annotated[Order, Parameter(query="orderBy")] = "dateCreated-DESC",
    start_date: _StartDate = None,
    end_date: _EndDate = None,
) -> ShortUrlList:
    """List links, newest first unless ordered otherwise."""
    service = _service(request)
    number, length = paging(page, items_per_page, default_items=_LINKS_A_PAGE)
    since, until = _moments(startDate=start_date, endDate=end_date)
    if search_term is not None and "\0" in search_term:
        raise problems.invalid_data(["searchTerm"], "A search term holds no NUL.")
    if any("\0" in tag for tag in tags or ()):
        raise problems.invalid_data(["tags"], "A tag holds no NUL.")
    wanted = LinkFilter(
        search=search_term,
        tags=tuple(tags or ()),
        all_tags=tags_mode == "all",
        since=since,
        until=until,
        order=order_by,
    )
    rows, of_all = await list_links(
        service.database, wanted, offset=(number - 1) * length, limit=length
    )
    return link_list(rows, of_all, number, length, service.base_url)


@post("/short-urls", name="createShortUrl", status_code=200)
async def create_short_url(
    request: _Request,
    data: CreateShortUrl,
    idempotency_key: Annotated[
        str | None, Parameter(header="Idempotency-Key", max_length=_IDEMPOTENCY_KEY_MAX)
    ] = None,
) -> ShortUrl:
    """Make a link. The same Idempotency-Key and body again returns the link made before."""
    service = _service(request)
    draft = draft_of(data, default_domain=service.default_domain)
    author = Author(request.state.api_key_id, idempotency_key or None)
    return short_url(await create_link(service.database, draft, author), service.base_url)


@get("/short-urls/{code:str}", name="getShortUrl")
async def get_short_url(request: _Request, code: str, domain: str | None = None) -> ShortUrl:
    """One link and its visit counts."""
    service = _service(request)
    _check_domain(service, code, domain)
    return short_url(await find_link(service.database, code), service.base_url)


@get("/short-urls/{code:str}/visits", name="getShortUrlVisits")
async def get_visits(
    request: _Request,
    code: str,
    *,
    domain: str | None = None,
    page: int | None = None,
    items_per_page: Annotated[int | None, Parameter(query="itemsPerPage")] = None,
    start_date: _StartDate = None,
    end_date: _EndDate = None,
    exclude_bots: Annotated[bool, Parameter(query="excludeBots")] = False,
) -> VisitList:
    """Visits of a link, newest first."""
    service = _service(request)
    _check_domain(service, code, domain)
    since, until = _moments(startDate=start_date, endDate=end_date)
    number, length = paging(page, items_per_page, default_items=PAGE_ITEMS_MAX)
    link = await find_link(service.database, code)
    rows, of_all = await page_of_visits(
        service.database,
        link["id"],
        offset=(number - 1) * length,
        limit=length,
        since=since,
        until=until,
        exclude_bots=exclude_bots,
    )
    plain_url = short_url(link, service.base_url).short_url
    return visit_list(rows, of_all, number, length, plain_url)


def _check_domain(service: Service, code: str, domain: str | None) -> None:
    if domain and domain.lower() not in (service.default_domain.lower(), "default"):
        raise problems.link_not_found(code)


@get("/health", name="health")
async def health(request: _Request) -> Response[dict[str, Any]]:
    """Whether the service can do its work; 503 when it cannot."""
    found = await examine(_service(request).checks)
    return Response(
        {
            "status": "pass" if found.passes else "fail",
            "version": __version__,
            "links": {"about": "https://shlink.io/documentation/api-docs/"},
            "checks": msgspec.to_builtins(found.checks),
        },
        status_code=200 if found.passes else 503,
    )


rest = Router(
    "/rest/v3",
    route_handlers=[
        health,
        Router(
            "/",
            route_handlers=[list_short_urls, create_short_url, get_short_url, get_visits],
            guards=[_require_key],
        ),
    ],
)

"""The REST API under /rest/v3, in Litestar: links and their rules; api_*.py have the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from litestar import Router, delete, get, patch, post, route
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.response import Response
from systems_common.health import examine

from shortener import __version__, problems
from shortener.api_domains import DOMAIN_HANDLERS
from shortener.api_live import LIVE_HANDLERS
from shortener.api_parts import (
    AnyRequest,
    DomainQuery,
    EndDate,
    ItemsPerPage,
    PageNumber,
    SearchTerm,
    StartDate,
    answers,
    check_text,
    domain_of,
    moments,
    require_key,
    service_of,
)
from shortener.api_tags import TAG_HANDLERS
from shortener.api_visits import VISIT_HANDLERS
from shortener.drafts import (
    CreateShortUrl,
    EditShortUrl,
    SetRedirectRules,
    draft_of,
    edit_of,
    rules_of,
)
from shortener.link_lists import LinkFilter, Order, list_links
from shortener.link_rules import list_rules, set_rules
from shortener.links import Author, create_link, delete_link, edit_link, find_link
from shortener.schemas import (
    RedirectRules,
    ShortUrl,
    ShortUrlList,
    link_list,
    paging,
    redirect_rules,
    short_url,
)

__all__ = ["health", "rest"]

_IDEMPOTENCY_KEY_MAX = 255
_LINKS_A_PAGE = 10

_Tags = Annotated[list[str] | None, Parameter(query="tags[]")]
_TagsMode = Annotated[Literal["any", "all"], Parameter(query="tagsMode")]


@get(
    "/short-urls",
    operation_id="listShortUrls",
    tags=["Short URLs"],
    responses=answers(),
)
async def list_short_urls(
    request: AnyRequest,
    *,
    page: PageNumber = None,
    items_per_page: ItemsPerPage = None,
    search_term: SearchTerm = None,
    tags: _Tags = None,
    tags_mode: _TagsMode = "any",
    exclude_tags: Annotated[list[str] | None, Parameter(query="excludeTags[]")] = None,
    exclude_tags_mode: Annotated[Literal["any", "all"], Parameter(query="excludeTagsMode")] = "any",
    order_by: Annotated[Order, Parameter(query="orderBy")] = "dateCreated-DESC",
    start_date: StartDate = None,
    end_date: EndDate = None,
    exclude_max_visits_reached: Annotated[bool, Parameter(query="excludeMaxVisitsReached")] = False,
    exclude_past_valid_until: Annotated[bool, Parameter(query="excludePastValidUntil")] = False,
    domain: DomainQuery = None,
    api_key_name: Annotated[str | None, Parameter(query="apiKeyName")] = None,
) -> ShortUrlList:
    """List links, newest first unless ordered otherwise."""
    service = service_of(request)
    number, length = paging(page, items_per_page, default_items=_LINKS_A_PAGE)
    since, until = moments(startDate=start_date, endDate=end_date)
    check_text(searchTerm=search_term, tags=tags, excludeTags=exclude_tags, apiKeyName=api_key_name)
    on_domain = domain_of(service, domain) if domain else None
    if domain and on_domain is None:
        return link_list([], 0, number, length, service.base_url)
    wanted = LinkFilter(
        search=search_term or None,
        tags=tuple(tags or ()),
        all_tags=tags_mode == "all",
        exclude_tags=tuple(exclude_tags or ()),
        exclude_all_tags=exclude_tags_mode == "all",
        since=since,
        until=until,
        domain=on_domain,
        api_key_name=api_key_name or None,
        exclude_max_visits_reached=exclude_max_visits_reached,
        exclude_past_valid_until=exclude_past_valid_until,
        order=order_by,
    )
    rows, of_all = await list_links(
        service.database, wanted, offset=(number - 1) * length, limit=length
    )
    return link_list(rows, of_all, number, length, service.base_url)


@post(
    "/short-urls",
    operation_id="createShortUrl",
    tags=["Short URLs"],
    status_code=200,
    responses=answers(
        _400="Some of the data does not fit, or the slug is taken",
        _413="The body is longer than 64 KiB",
        _422="The Idempotency-Key was used before with another body",
    ),
)
async def create_short_url(
    request: AnyRequest,
    data: CreateShortUrl,
    idempotency_key: Annotated[
        str | None, Parameter(header="Idempotency-Key", max_length=_IDEMPOTENCY_KEY_MAX)
    ] = None,
) -> ShortUrl:
    """Make a link. The same Idempotency-Key and body again returns the link made before."""
    service = service_of(request)
    draft = draft_of(data, default_domain=service.default_domain)
    author = Author(request.state.api_key_id, idempotency_key or None)
    await service.guard.check(draft.long_url)
    password = None
    if draft.password:
        password = await service.passwords.keep(draft.password, author.idempotency)
    row = await create_link(service.database, service.codes, draft, author, password)
    await service.new_links.tell(row["domain"], row["code"])
    if row.get("fresh"):
        service.live.link(row["id"])
    return short_url(row, service.base_url)


_NOT_FOUND = "No link has this code"


@get(
    "/short-urls/{code:str}",
    operation_id="getShortUrl",
    tags=["Short URLs"],
    responses=answers(_404=_NOT_FOUND),
)
async def get_short_url(request: AnyRequest, code: str, domain: DomainQuery = None) -> ShortUrl:
    """One link and its visit counts."""
    service = service_of(request)
    row = await find_link(service.database, code, _domain(request, code, domain))
    return short_url(row, service.base_url)


@patch(
    "/short-urls/{code:str}",
    operation_id="editShortUrl",
    tags=["Short URLs"],
    responses=answers(
        _400="Some of the data does not fit",
        _404=_NOT_FOUND,
        _413="The body is longer than 64 KiB",
    ),
)
async def edit_short_url(
    request: AnyRequest, code: str, data: EditShortUrl, domain: DomainQuery = None
) -> ShortUrl:
    """Change what is given of a link."""
    service = service_of(request)
    edit = edit_of(data)
    if "long_url" in edit.columns:
        await service.guard.check(edit.columns["long_url"])
    if edit.password is not msgspec.UNSET:
        kept = await service.passwords.hash(edit.password) if edit.password else None
        edit.columns["password_digest"] = kept
    row = await edit_link(service.database, code, _domain(request, code, domain), edit)
    return short_url(row, service.base_url)


@delete(
    "/short-urls/{code:str}",
    operation_id="deleteShortUrl",
    tags=["Short URLs"],
    responses=answers(_404=_NOT_FOUND, _422="The link has too many visits to be deleted"),
)
async def delete_short_url(request: AnyRequest, code: str, domain: DomainQuery = None) -> None:
    """Delete a link and its visits."""
    service = service_of(request)
    on_domain = _domain(request, code, domain)
    await delete_link(
        service.database, code, on_domain, visits_max=service.delete_visits_max or None
    )


@get(
    "/short-urls/{code:str}/redirect-rules",
    operation_id="listShortUrlRedirectRules",
    tags=["Redirect rules"],
    responses=answers(_404=_NOT_FOUND),
)
async def get_rules(request: AnyRequest, code: str, domain: DomainQuery = None) -> RedirectRules:
    """The redirect rules of a link, in the order in which they are tried."""
    database = service_of(request).database
    link = await find_link(database, code, _domain(request, code, domain))
    return redirect_rules(link, await list_rules(database, link["id"]))


@post(
    "/short-urls/{code:str}/redirect-rules",
    operation_id="setShortUrlRedirectRules",
    tags=["Redirect rules"],
    status_code=200,
    responses=answers(
        _400="A rule that cannot be", _404=_NOT_FOUND, _413="The body is longer than 64 KiB"
    ),
)
async def post_rules(
    request: AnyRequest, code: str, data: SetRedirectRules, domain: DomainQuery = None
) -> RedirectRules:
    """Put these rules in place of those there are; they are tried in this order."""
    service = service_of(request)
    database = service.database
    rules = rules_of(data)
    for long_url in {rule.long_url for rule in rules}:
        await service.guard.check(long_url)
    link = await find_link(database, code, _domain(request, code, domain))
    await set_rules(database, link, rules)
    return redirect_rules(link, await list_rules(database, link["id"]))


def _domain(request: AnyRequest, code: str, domain: str | None) -> str:
    found = domain_of(service_of(request), domain)
    if found is None:
        raise problems.link_not_found(code, domain or "")
    return found


@get(
    "/mercure-info",
    operation_id="mercureInfo",
    tags=["Integrations"],
    status_code=200,
    responses=answers(_501="There is no Mercure hub"),
)
async def mercure_info(request: AnyRequest) -> None:
    """Always 501: there is no Mercure hub."""
    raise problems.no_mercure()


class Health(msgspec.Struct, frozen=True):
    """Whether the service can do its work, and each of what it depends on."""

    status: Literal["pass", "fail"]
    version: str
    links: dict[str, str]
    checks: dict[str, str]


@get(
    "/health",
    tags=["Monitoring"],
    responses={
        503: ResponseSpec(data_container=Health, description="Something needed does not answer")
    },
)
async def health(request: AnyRequest) -> Response[Health]:
    """Whether the service can do its work; 503 when it cannot."""
    found = await examine(service_of(request).checks)
    return Response(
        Health(
            "pass" if found.passes else "fail",
            __version__,
            {"about": "https://shlink.io/documentation/api-docs/"},
            found.checks,
        ),
        status_code=200 if found.passes else 503,
    )


_HANDLERS: list[Any] = [
    *LIVE_HANDLERS,
    list_short_urls,
    create_short_url,
    get_short_url,
    edit_short_url,
    delete_short_url,
    get_rules,
    post_rules,
    mercure_info,
    *VISIT_HANDLERS,
    *TAG_HANDLERS,
    *DOMAIN_HANDLERS,
]


def _options(handlers: list[Any]) -> Iterator[Any]:
    """Handlers of OPTIONS that name every method of a path; the framework's name the first."""
    methods: dict[str, set[str]] = {}
    for handler in handlers:
        for path in handler.paths:
            methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
    for path, allowed in methods.items():
        yield _options_of(path, ", ".join(sorted(allowed)))


def _options_of(path: str, allowed: str) -> Any:
    @route(path, http_method="OPTIONS", status_code=204, include_in_schema=False)
    async def options() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": allowed})

    return options


rest = Router(
    "/rest/v3",
    route_handlers=[
        health,
        *_options(_HANDLERS),
        Router("/", route_handlers=_HANDLERS, guards=[require_key], security=[{"ApiKey": []}]),
    ],
)

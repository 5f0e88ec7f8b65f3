"""The REST API: visits of a link, of a tag, of a domain, of all links, and orphan ones."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import delete, get
from litestar.params import Parameter

from shortener import problems
from shortener.api_parts import (
    AnyRequest,
    DomainQuery,
    EndDate,
    ExcludeBots,
    ItemsPerPage,
    PageNumber,
    StartDate,
    answers,
    domain_of,
    service_of,
    visit_filter,
)
from shortener.domain_settings import find_domain
from shortener.links import delete_visits_of, find_link
from shortener.orphans import OrphanType, delete_orphans
from shortener.schemas import (
    PAGE_ITEMS_MAX,
    DeletedVisits,
    OrphanVisitList,
    VisitList,
    VisitsOverview,
    orphan_list,
    paging,
    visit_list,
    visits_overview,
)
from shortener.tags import find_tag
from shortener.visit_lists import (
    VisitFilter,
    VisitSource,
    all_visits,
    domain_visits,
    link_visits,
    list_visits,
    orphan_visits,
    overview,
    tag_visits,
)

__all__ = ["VISIT_HANDLERS"]

_NO_LINK = "No link has this code"


@get(
    "/short-urls/{code:str}/visits",
    operation_id="getShortUrlVisits",
    tags=["Visits"],
    responses=answers(_404=_NO_LINK),
)
async def get_short_url_visits(
    request: AnyRequest,
    code: str,
    *,
    domain: DomainQuery = None,
    page: PageNumber = None,
    items_per_page: ItemsPerPage = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    exclude_bots: ExcludeBots = False,
) -> VisitList:
    """Visits of a link, newest first."""
    wanted = visit_filter(start_date, end_date, exclude_bots=exclude_bots)
    link = await _find_link(request, code, domain)
    return await _page(request, link_visits(link["id"]), wanted, page, items_per_page)


@delete(
    "/short-urls/{code:str}/visits",
    operation_id="deleteShortUrlVisits",
    tags=["Visits"],
    status_code=200,
    responses=answers(_404=_NO_LINK),
)
async def delete_short_url_visits(
    request: AnyRequest, code: str, domain: DomainQuery = None
) -> DeletedVisits:
    """Delete the visits of a link."""
    link = await _find_link(request, code, domain)
    return DeletedVisits(await delete_visits_of(service_of(request).database, link["id"]))


@get(
    "/tags/{tag:str}/visits",
    operation_id="getTagVisits",
    tags=["Visits"],
    responses=answers(_404="There is no such tag"),
)
async def get_tag_visits(
    request: AnyRequest,
    tag: str,
    *,
    domain: DomainQuery = None,
    page: PageNumber = None,
    items_per_page: ItemsPerPage = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    exclude_bots: ExcludeBots = False,
) -> VisitList:
    """Visits of the links with a tag, newest first."""
    wanted = visit_filter(start_date, end_date, exclude_bots=exclude_bots)
    tag_id = await find_tag(service_of(request).database, tag)
    source = tag_visits(tag_id, _asked_domain(request, domain))
    return await _page(request, source, wanted, page, items_per_page)


@get(
    "/domains/{domain:str}/visits",
    operation_id="getDomainVisits",
    tags=["Visits"],
    responses=answers(_404="There is no such domain"),
)
async def get_domain_visits(
    request: AnyRequest,
    domain: Annotated[str, Parameter(description="DEFAULT is the default one")],
    *,
    page: PageNumber = None,
    items_per_page: ItemsPerPage = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    exclude_bots: ExcludeBots = False,
) -> VisitList:
    """Visits of the links of a domain, newest first."""
    wanted = visit_filter(start_date, end_date, exclude_bots=exclude_bots)
    service = service_of(request)
    name = domain_of(service, domain)
    if name is None:
        raise problems.domain_not_found(domain)
    await find_domain(service.database, name)
    return await _page(request, domain_visits(name), wanted, page, items_per_page)


@get(
    "/visits",
    operation_id="getGlobalVisits",
    tags=["Visits"],
    responses=answers(),
)
async def get_visits(request: AnyRequest) -> VisitsOverview:
    """How many visits there are, of links and orphan ones."""
    return visits_overview(await overview(service_of(request).database))


@get(
    "/visits/non-orphan",
    operation_id="getNonOrphanVisits",
    tags=["Visits"],
    responses=answers(),
)
async def get_non_orphan_visits(
    request: AnyRequest,
    *,
    domain: DomainQuery = None,
    page: PageNumber = None,
    items_per_page: ItemsPerPage = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    exclude_bots: ExcludeBots = False,
) -> VisitList:
    """Visits of all links, newest first."""
    wanted = visit_filter(start_date, end_date, exclude_bots=exclude_bots)
    name = _asked_domain(request, domain)
    source = all_visits() if name is None else domain_visits(name)
    return await _page(request, source, wanted, page, items_per_page)


@get(
    "/visits/orphan",
    operation_id="getOrphanVisits",
    tags=["Visits"],
    responses=answers(),
)
async def get_orphan_visits(
    request: AnyRequest,
    *,
    kind: Annotated[OrphanType | None, Parameter(query="type")] = None,
    domain: DomainQuery = None,
    page: PageNumber = None,
    items_per_page: ItemsPerPage = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    exclude_bots: ExcludeBots = False,
) -> OrphanVisitList:
    """Visits of the base URL, of unknown codes and of other paths, newest first."""
    wanted = visit_filter(start_date, end_date, exclude_bots=exclude_bots)
    number, length = paging(page, items_per_page, default_items=PAGE_ITEMS_MAX)
    rows, of_all = await list_visits(
        service_of(request).database,
        orphan_visits(kind, _asked_domain(request, domain)),
        wanted,
        offset=(number - 1) * length,
        limit=length,
    )
    return orphan_list(rows, of_all, number, length)


@delete(
    "/visits/orphan",
    operation_id="deleteOrphanVisits",
    tags=["Visits"],
    status_code=200,
    responses=answers(),
)
async def delete_orphan_visits(request: AnyRequest) -> DeletedVisits:
    """Delete all orphan visits."""
    return DeletedVisits(await delete_orphans(service_of(request).database))


async def _find_link(request: AnyRequest, code: str, domain: str | None) -> Any:
    service = service_of(request)
    name = domain_of(service, domain)
    if name is None:
        raise problems.link_not_found(code, domain or "")
    return await find_link(service.database, code, name)


def _asked_domain(request: AnyRequest, domain: str | None) -> str | None:
    """The domain to keep to, None for any. One that no link can have has no visits either."""
    if not domain:
        return None
    name = domain_of(service_of(request), domain)
    return "." if name is None else name


async def _page(
    request: AnyRequest,
    source: VisitSource,
    wanted: VisitFilter,
    page: int | None,
    items_per_page: int | None,
) -> VisitList:
    service = service_of(request)
    number, length = paging(page, items_per_page, default_items=PAGE_ITEMS_MAX)
    rows, of_all = await list_visits(
        service.database, source, wanted, offset=(number - 1) * length, limit=length
    )
    return visit_list(rows, of_all, number, length, service.base_url)


VISIT_HANDLERS = [
    get_short_url_visits,
    delete_short_url_visits,
    get_tag_visits,
    get_domain_visits,
    get_visits,
    get_non_orphan_visits,
    get_orphan_visits,
    delete_orphan_visits,
]

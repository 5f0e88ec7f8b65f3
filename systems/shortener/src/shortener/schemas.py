"""The JSON that goes out, in Shlink's shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from systems_common.ids import time_of_id_s

from shortener.drafts import RedirectCondition
from shortener.orphans import OrphanType
from shortener.visit_lists import Overview
from shortener.visits import Visit

__all__ = [
    "PAGE_ITEMS_MAX",
    "DeletedVisits",
    "DomainList",
    "DomainRedirects",
    "OrphanVisitList",
    "RedirectRules",
    "ShortUrl",
    "ShortUrlList",
    "TagList",
    "TagStatsList",
    "VisitList",
    "VisitsOverview",
    "clicked_visit",
    "domain_list",
    "domain_redirects",
    "link_list",
    "orphan_list",
    "page_of",
    "paging",
    "redirect_rules",
    "short_url",
    "short_url_of",
    "tag_stats_list",
    "visit_list",
    "visits_overview",
]

PAGE_ITEMS_MAX = 5_000
"""No page is longer, whatever is asked for; -1, all of them, means this many."""
_PAGE_MAX = 1_000_000
_PATH_SAFE = "-._~!$&'()*+,;=:@"

T = TypeVar("T")


class VisitsSummary(msgspec.Struct, frozen=True, rename="camel"):
    """Counted visits."""

    total: int
    non_bots: int
    bots: int


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """When a link is valid."""

    valid_since: str | None
    valid_until: str | None
    max_visits: int | None


class ShortUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A link; `domain` is null for the default one. `has_password`, which Shlink does not have, is
    there only when it is true.
    """

    short_code: str
    short_url: str
    long_url: str
    date_created: str
    visits_summary: VisitsSummary
    tags: list[str]
    meta: Meta
    domain: str | None
    title: str | None
    crawlable: bool
    forward_query: bool
    has_redirect_rules: bool
    has_password: bool | msgspec.UnsetType = msgspec.UNSET


class Pagination(msgspec.Struct, frozen=True, rename="camel"):
    """Where a page stands; pages count from 1."""

    current_page: int
    pages_count: int
    items_per_page: int
    items_in_current_page: int
    total_items: int


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list."""

    data: list[T]
    pagination: Pagination


class ShortUrlList(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of GET /short-urls."""

    short_urls: Page[ShortUrl]


class RegularVisit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A visit. Where the visitor was is not looked up, so `visit_location` is null."""

    referer: str
    date: str
    user_agent: str
    visit_location: None
    potential_bot: bool
    visited_url: str
    redirect_url: str | None


class OrphanVisit(RegularVisit, frozen=True, kw_only=True, rename="camel"):
    """A visit that found no link."""

    type: OrphanType


class VisitList(msgspec.Struct, frozen=True):
    """The answer of the lists of visits."""

    visits: Page[RegularVisit]


class OrphanVisitList(msgspec.Struct, frozen=True):
    """The answer of GET /visits/orphan."""

    visits: Page[OrphanVisit]


class DeletedVisits(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of deleting visits."""

    deleted_visits: int


class VisitsSums(msgspec.Struct, frozen=True, rename="camel"):
    """All visits; the two counts are what older clients read."""

    non_orphan_visits: VisitsSummary
    orphan_visits: VisitsSummary
    visits_count: int
    orphan_visits_count: int


class VisitsOverview(msgspec.Struct, frozen=True):
    """The answer of GET /visits."""

    visits: VisitsSums


class TagList(msgspec.Struct, frozen=True):
    """The answer of GET /tags."""

    tags: Page[str]


class TagStats(msgspec.Struct, frozen=True, rename="camel"):
    """A tag, and how many links and visits it has."""

    tag: str
    short_urls_count: int
    visits_summary: VisitsSummary


class TagStatsList(msgspec.Struct, frozen=True):
    """The answer of GET /tags/stats."""

    tags: Page[TagStats]


class DomainRedirects(msgspec.Struct, frozen=True):
    """Where visitors of a domain go who find no link; null: nowhere, they get a 404."""

    base_url_redirect: str | None = msgspec.field(name="baseUrlRedirect")
    regular_404_redirect: str | None = msgspec.field(name="regular404Redirect")
    invalid_short_url_redirect: str | None = msgspec.field(name="invalidShortUrlRedirect")


class Domain(msgspec.Struct, frozen=True, rename="camel"):
    """A domain."""

    domain: str
    is_default: bool
    redirects: DomainRedirects


class Domains(msgspec.Struct, frozen=True, rename="camel"):
    """All domains."""

    data: list[Domain]
    default_redirects: DomainRedirects


class DomainList(msgspec.Struct, frozen=True):
    """The answer of GET /domains."""

    domains: Domains


class RedirectRule(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A redirect rule; the lowest priority is tried first."""

    priority: int
    long_url: str
    conditions: list[RedirectCondition]


class RedirectRules(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of GET and POST /short-urls/{code}/redirect-rules."""

    default_long_url: str
    redirect_rules: list[RedirectRule]


def paging(page: int | None, items: int | None, *, default_items: int) -> tuple[int, int]:
    """The page (from 1) and its length, within bounds."""
    length = default_items if items is None else items
    if length < 1:
        length = PAGE_ITEMS_MAX
    return min(max(page or 1, 1), _PAGE_MAX), min(length, PAGE_ITEMS_MAX)


def page_of(
    rows: Sequence[Any], shown: Callable[[Any], T], of_all: int, page: int, length: int
) -> Page[T]:
    """A page of a list of `of_all` as the API shows it."""
    data = [shown(row) for row in rows]
    return Page(data, Pagination(page, -(-of_all // length), length, len(data), of_all))


def _date(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _summary(row: Any) -> VisitsSummary:
    return VisitsSummary(row["total"], row["total"] - row["bots"], row["bots"])


def short_url_of(code: str, domain: str, base_url: str) -> str:
    """The address of a link; `domain` "" is that of the base URL."""
    base = urlsplit(base_url)._replace(netloc=domain).geturl() if domain else base_url
    return f"{base}/{quote(code, safe=_PATH_SAFE)}"


def short_url(row: Any, base_url: str) -> ShortUrl:
    """A link as the API shows it."""
    since, until = row["valid_since"], row["valid_until"]
    return ShortUrl(
        short_code=row["code"],
        short_url=short_url_of(row["code"], row["domain"], base_url),
        long_url=row["long_url"],
        date_created=_date(row["created_at"]),
        visits_summary=_summary(row),
        tags=row["tags"],
        meta=Meta(since and _date(since), until and _date(until), row["max_visits"]),
        domain=row["domain"] or None,
        title=row["title"],
        crawlable=row["crawlable"],
        forward_query=row["forward_query"],
        has_redirect_rules=row["has_redirect_rules"],
        has_password=row["has_password"] or msgspec.UNSET,
    )


def link_list(rows: list[Any], of_all: int, page: int, length: int, base_url: str) -> ShortUrlList:
    """A page of links as the API shows it."""
    return ShortUrlList(page_of(rows, lambda row: short_url(row, base_url), of_all, page, length))


def clicked_visit(visit: Visit, plain_url: str) -> RegularVisit:
    """A visit that just happened as the API will show it."""
    return RegularVisit(
        referer=visit.referer or "",
        date=_date(datetime.fromtimestamp(time_of_id_s(visit.id), UTC)),
        user_agent=visit.user_agent or "",
        visit_location=None,
        potential_bot=visit.bot,
        visited_url=visit.visited_url or plain_url,
        redirect_url=visit.redirect_url,
    )


def visit_list(rows: list[Any], of_all: int, page: int, length: int, base_url: str) -> VisitList:
    """A page of visits as the API shows it."""

    def shown(row: Any) -> RegularVisit:
        # A link may be deleted while its visits are read; they go with it.
        plain_url = short_url_of(row["code"] or "", row["domain"] or "", base_url)
        return RegularVisit(
            referer=row["referer"] or "",
            date=_date(row["visited_at"]),
            user_agent=row["user_agent"] or "",
            visit_location=None,
            potential_bot=row["bot"],
            visited_url=row["visited_url"] or plain_url,
            redirect_url=row["redirect_url"],
        )

    return VisitList(page_of(rows, shown, of_all, page, length))


def orphan_list(rows: list[Any], of_all: int, page: int, length: int) -> OrphanVisitList:
    """A page of orphan visits as the API shows it."""

    def shown(row: Any) -> OrphanVisit:
        return OrphanVisit(
            referer=row["referer"] or "",
            date=_date(row["visited_at"]),
            user_agent=row["user_agent"] or "",
            visit_location=None,
            potential_bot=row["bot"],
            visited_url=row["visited_url"],
            redirect_url=row["redirect_url"],
            type=row["type"],
        )

    return OrphanVisitList(page_of(rows, shown, of_all, page, length))


def visits_overview(sums: Overview) -> VisitsOverview:
    """All visits as the API shows them."""
    orphans = sums.orphan_total - sums.orphan_bots
    return VisitsOverview(
        VisitsSums(
            VisitsSummary(sums.total, sums.total - sums.bots, sums.bots),
            VisitsSummary(sums.orphan_total, orphans, sums.orphan_bots),
            sums.total,
            sums.orphan_total,
        )
    )


def tag_stats_list(rows: list[Any], of_all: int, page: int, length: int) -> TagStatsList:
    """A page of tags with their counts as the API shows it."""

    def shown(row: Any) -> TagStats:
        return TagStats(row["name"], row["links"], _summary(row))

    return TagStatsList(page_of(rows, shown, of_all, page, length))


def domain_redirects(row: Any) -> DomainRedirects:
    """The redirects of a domain as the API shows them."""
    return DomainRedirects(
        row["base_url_redirect"], row["regular_404_redirect"], row["invalid_short_url_redirect"]
    )


def domain_list(rows: list[Any], default_domain: str) -> DomainList:
    """The domains as the API shows them; the first row is the default one."""
    shown = [
        Domain(row["name"] or default_domain, not row["name"], domain_redirects(row))
        for row in rows
    ]
    return DomainList(Domains(shown, shown[0].redirects))


def redirect_rules(link: Any, rules: list[Any]) -> RedirectRules:
    """The rules of a link as the API shows them."""
    return RedirectRules(
        link["long_url"],
        [
            RedirectRule(
                priority=rule["priority"],
                long_url=rule["long_url"],
                conditions=_conditions(rule["conditions"]),
            )
            for rule in rules
        ],
    )


_conditions = msgspec.json.Decoder(list[RedirectCondition]).decode

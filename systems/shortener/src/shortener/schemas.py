"""The JSON that goes in and out, in Shlink's shapes, and how a request becomes a draft."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from shortener import problems
from shortener.addresses import check_long_url
from shortener.codes import CODE_LENGTH, CODE_LENGTH_MAX, CODE_LENGTH_MIN, clean_slug
from shortener.links import LinkDraft

__all__ = [
    "PAGE_ITEMS_MAX",
    "CreateShortUrl",
    "ShortUrl",
    "ShortUrlList",
    "VisitList",
    "draft_of",
    "link_list",
    "moment_of",
    "paging",
    "short_url",
    "visit_list",
]

PAGE_ITEMS_MAX = 5_000
"""No page is longer, whatever is asked for; -1, all of them, means this many."""
_PAGE_MAX = 1_000_000
_TITLE_MAX = 512
_TAGS_MAX = 100
_TAG_LENGTH_MAX = 256
_VISITS_MAX = 2**31 - 1


class CreateShortUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of POST /short-urls; members that are not here are ignored, as Shlink does."""

    long_url: str
    custom_slug: str | None = None
    short_code_length: int | None = None
    domain: str | None = None
    find_if_exists: bool = False
    title: str | None = None
    tags: list[str] = []
    valid_since: str | None = None
    valid_until: str | None = None
    max_visits: int | None = None
    crawlable: bool = False
    forward_query: bool = True


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
    """A link."""

    short_code: str
    short_url: str
    long_url: str
    date_created: str
    visits_summary: VisitsSummary
    tags: list[str]
    meta: Meta
    domain: str | None = None
    title: str | None
    crawlable: bool
    forward_query: bool
    has_redirect_rules: bool = False


class Pagination(msgspec.Struct, frozen=True, rename="camel"):
    """Where a page stands; pages count from 1."""

    current_page: int
    pages_count: int
    items_per_page: int
    items_in_current_page: int
    total_items: int


class ShortUrlPage(msgspec.Struct, frozen=True):
    """A page of links."""

    data: list[ShortUrl]
    pagination: Pagination


class ShortUrlList(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of GET /short-urls."""

    short_urls: ShortUrlPage


class ClickedVisit(msgspec.Struct, frozen=True, rename="camel"):
    """A visit. Where the visitor was is not looked up, so `visit_location` is null."""

    referer: str
    date: str
    user_agent: str
    visit_location: None
    potential_bot: bool
    visited_url: str


class VisitPage(msgspec.Struct, frozen=True):
    """A page of visits."""

    data: list[ClickedVisit]
    pagination: Pagination


class VisitList(msgspec.Struct, frozen=True):
    """The answer of GET /short-urls/{code}/visits."""

    visits: VisitPage


def draft_of(wanted: CreateShortUrl, *, default_domain: str) -> LinkDraft:
    """The checked draft of a request. Raises the problem that names every element that is wrong."""
    wrong: list[str] = []
    long_url = check_long_url(wanted.long_url)
    if long_url is None:
        wrong.append("longUrl")
    slug = None
    if wanted.custom_slug:
        slug = clean_slug(wanted.custom_slug)
        if slug is None:
            wrong.append("customSlug")
    length = CODE_LENGTH if wanted.short_code_length is None else wanted.short_code_length
    if not CODE_LENGTH_MIN <= length <= CODE_LENGTH_MAX:
        wrong.append("shortCodeLength")
    # Links of other domains are refused rather than silently made on this one.
    if (wanted.domain or default_domain).lower() != default_domain.lower():
        wrong.append("domain")
    if wanted.max_visits is not None and not 1 <= wanted.max_visits <= _VISITS_MAX:
        wrong.append("maxVisits")
    title = None if wanted.title is None else wanted.title.strip() or None
    if title is not None and (len(title) > _TITLE_MAX or "\0" in title):
        wrong.append("title")
    tags = tuple(dict.fromkeys(_tag(tag) for tag in wanted.tags))
    if len(tags) > _TAGS_MAX or any(not _is_tag(tag) for tag in tags):
        wrong.append("tags")
    moments: dict[str, datetime | None] = {}
    for name, text in (("validSince", wanted.valid_since), ("validUntil", wanted.valid_until)):
        moments[name] = moment_of(text) if text else None
        if text and moments[name] is None:
            wrong.append(name)
    if wrong or long_url is None:
        raise problems.invalid_data(wrong, f"Provided data is not valid: {', '.join(wrong)}.")
    return LinkDraft(
        long_url=long_url,
        slug=slug,
        code_length=length,
        title=title,
        tags=tags,
        valid_since=moments["validSince"],
        valid_until=moments["validUntil"],
        max_visits=wanted.max_visits,
        crawlable=wanted.crawlable,
        forward_query=wanted.forward_query,
        find_if_exists=wanted.find_if_exists,
    )


def _tag(text: str) -> str:
    return re.sub(r"\s+", "-", text.strip().lower())


def _is_tag(tag: str) -> bool:
    return 0 < len(tag) <= _TAG_LENGTH_MAX and tag.isprintable()


def moment_of(text: str) -> datetime | None:
    """An ISO 8601 date or time, in UTC unless it says otherwise; None when it is neither.

    A `+` that a query string turned into a blank is put back.
    """
    try:
        moment = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip()))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def paging(page: int | None, items: int | None, *, default_items: int) -> tuple[int, int]:
    """The page (from 1) and its length, within bounds."""
    length = default_items if items is None else items
    if length < 1:
        length = PAGE_ITEMS_MAX
    return min(max(page or 1, 1), _PAGE_MAX), min(length, PAGE_ITEMS_MAX)


def _date(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def short_url(row: Any, base_url: str) -> ShortUrl:
    """A link as the API shows it."""
    since, until = row["valid_since"], row["valid_until"]
    return ShortUrl(
        short_code=row["code"],
        short_url=f"{base_url}/{quote(row['code'], safe=_PATH_SAFE)}",
        long_url=row["long_url"],
        date_created=_date(row["created_at"]),
        visits_summary=VisitsSummary(row["total"], row["total"] - row["bots"], row["bots"]),
        tags=row["tags"],
        meta=Meta(since and _date(since), until and _date(until), row["max_visits"]),
        title=row["title"],
        crawlable=row["crawlable"],
        forward_query=row["forward_query"],
    )


_PATH_SAFE = "-._~!$&'()*+,;=:@"


def _pagination(page: int, length: int, on_page: int, of_all: int) -> Pagination:
    return Pagination(page, -(-of_all // length), length, on_page, of_all)


def link_list(rows: list[Any], of_all: int, page: int, length: int, base_url: str) -> ShortUrlList:
    """A page of links as the API shows it."""
    links = [short_url(row, base_url) for row in rows]
    return ShortUrlList(ShortUrlPage(links, _pagination(page, length, len(rows), of_all)))


def visit_list(rows: list[Any], of_all: int, page: int, length: int, plain_url: str) -> VisitList:
    """A page of visits as the API shows it; `plain_url` is the link's own short URL."""
    visits = [
        ClickedVisit(
            referer=row["referer"] or "",
            date=_date(row["visited_at"]),
            user_agent=row["user_agent"] or "",
            visit_location=None,
            potential_bot=row["bot"],
            visited_url=row["visited_url"] or plain_url,
        )
        for row in rows
    ]
    return VisitList(VisitPage(visits, _pagination(page, length, len(rows), of_all)))

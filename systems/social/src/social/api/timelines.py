"""Timelines: home, public, by hashtag; bookmarks and favourites."""

from __future__ import annotations

from social.api.parts import json_list, listed, statuses_answer
from social.entities_status import Status
from social.errors import invalid
from social.pages import PageQuery, Paging, page_of, paged
from social.text import hashtags_of
from social.visibility import IN_PUBLIC
from social.web.routing import Answer, Call, Endpoints

__all__ = ["PUBLIC", "TAG", "WITH_MEDIA", "endpoints"]

endpoints = Endpoints()


class PublicQuery(PageQuery, frozen=True, kw_only=True):
    """There are only local statuses, so `local` changes nothing and `remote` leaves none."""

    local: bool = False
    remote: bool = False
    only_media: bool = False


class TagQuery(PublicQuery, frozen=True, kw_only=True):
    """Further hashtags: `any` of them as well, `all` of them besides, `none` of them."""

    any: list[str] = []
    all: list[str] = []
    none: list[str] = []


PUBLIC = f"FROM status AS s WHERE {IN_PUBLIC}"

WITH_MEDIA = " AND s.has_media"

TAG = """FROM status_tag AS t JOIN status AS s ON s.id = t.status_id
WHERE t.name = $5 AND s.visibility = 0
  AND NOT EXISTS (SELECT FROM unnest($6::text[]) AS x (name) WHERE NOT EXISTS (
      SELECT FROM status_tag WHERE name = x.name AND status_id = s.id))
  AND NOT EXISTS (SELECT FROM status_tag WHERE name = ANY($7::text[]) AND status_id = s.id)"""

_TAGS = """FROM status AS s
WHERE s.visibility = 0
  AND EXISTS (SELECT FROM status_tag WHERE name = ANY($5::text[]) AND status_id = s.id)
  AND NOT EXISTS (SELECT FROM unnest($6::text[]) AS x (name) WHERE NOT EXISTS (
      SELECT FROM status_tag WHERE name = x.name AND status_id = s.id))
  AND NOT EXISTS (SELECT FROM status_tag WHERE name = ANY($7::text[]) AND status_id = s.id)"""


@endpoints.add(
    "GET",
    "/api/v1/timelines/home",
    PageQuery,
    who="user",
    scope="read:statuses",
    returns=list[Status],
)
async def home(call: Call, asked: PageQuery) -> Answer:
    """What those whom one follows have written and shared."""
    return statuses_answer(call, await call.service.timelines.home(call.me, page_of(asked)))


@endpoints.add(
    "GET",
    "/api/v1/timelines/public",
    PublicQuery,
    who="anyone",
    scope="read:statuses",
    returns=list[Status],
)
async def public(call: Call, asked: PublicQuery) -> Answer:
    """What everybody has written for everybody."""
    page = page_of(asked)
    if asked.remote:
        return Answer(b"[]")
    source = PUBLIC + (WITH_MEDIA if asked.only_media else "")
    return statuses_answer(call, await call.service.timelines.statuses(call.viewer, page, source))


@endpoints.add(
    "GET",
    "/api/v1/timelines/tag/{hashtag}",
    TagQuery,
    who="anyone",
    scope="read:statuses",
    returns=list[Status],
)
async def tag(call: Call, asked: TagQuery) -> Answer:
    """What has a hashtag."""
    page = page_of(asked)
    names = _tags([call.path[0], *asked.any])
    if not names:
        raise invalid("Expected a hashtag")
    if asked.remote:
        return Answer(b"[]")
    one = len(names) == 1
    source = TAG if one else _TAGS
    found = await call.service.timelines.statuses(
        call.viewer,
        page,
        source + (WITH_MEDIA if asked.only_media else ""),
        names[0] if one else names,
        _tags(asked.all),
        _tags(asked.none),
        key="t.status_id" if one else "s.id",
    )
    return statuses_answer(call, found)


def _tags(names: list[str]) -> list[str]:
    found = [hashtags_of(f"#{name.lstrip('#')}") for name in names[:5]]
    return list(dict.fromkeys(one[0] for one in found if one))


async def _marked(call: Call, asked: PageQuery, table: str) -> Answer:
    page = page_of(asked)
    paging: Paging = call.service.settings.paging
    rows = await call.service.database.fetch(
        paged(
            "r.id, r.status_id",
            f"FROM {table} AS r WHERE r.account_id = $1",
            "r.id",
            rising=page.rising,
            paging=paging,
        ),
        call.me,
        page.upper,
        page.lower,
        page.limit,
    )
    if not rows:
        return Answer(b"[]")
    rows = sorted(rows, key=lambda row: row[0], reverse=True)
    found = await call.service.reader.by_ids(call.me, [row[1] for row in rows])
    bodies = [found[row[1]].body for row in rows if row[1] in found and found[row[1]].wanted]
    return listed(call, json_list(bodies), rows[0][0], rows[-1][0])


@endpoints.add(
    "GET", "/api/v1/bookmarks", PageQuery, who="user", scope="read:bookmarks", returns=list[Status]
)
async def bookmarks(call: Call, asked: PageQuery) -> Answer:
    """What one has bookmarked, the latest first."""
    return await _marked(call, asked, "bookmark")


@endpoints.add(
    "GET",
    "/api/v1/favourites",
    PageQuery,
    who="user",
    scope="read:favourites",
    returns=list[Status],
)
async def favourites(call: Call, asked: PageQuery) -> Answer:
    """What one has favourited, the latest first."""
    return await _marked(call, asked, "favourite")

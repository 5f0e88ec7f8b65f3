"""Search: accounts, hashtags and statuses."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from social.entities import AccountJson, StatusJson, Tag
from social.errors import invalid
from social.pages import PageQuery, page_of
from social.text import hashtags_of
from social.web.routing import Call, Endpoints, id_of

__all__ = ["FOUND", "endpoints"]

endpoints = Endpoints()

_WORDS_MAX = 200
# What is meant for everybody, and what is one's own; the rule of reading applies besides.
FOUND = """FROM status AS s
WHERE s.reblog_of_id IS NULL AND (s.visibility = 0 OR s.account_id = $1)
  AND to_tsvector('simple', s.spoiler || ' ' || s.text) @@ websearch_to_tsquery('simple', $5)
  AND ($6::bigint IS NULL OR s.account_id = $6)"""


class SearchQuery(PageQuery, frozen=True, kw_only=True):
    """What is looked for, and as what."""

    q: str = ""
    type: str | None = None
    resolve: bool = False
    following: bool = False
    account_id: str | None = None
    exclude_unreviewed: bool = False
    offset: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0


class Search(msgspec.Struct, frozen=True):
    """What was found of each kind."""

    accounts: list[AccountJson]
    statuses: list[StatusJson]
    hashtags: list[Tag]


@endpoints.add("GET", "/api/v2/search", SearchQuery, who="user", scope="read:search")
async def search(call: Call, asked: SearchQuery) -> Search:
    """Accounts by name, statuses by their words, hashtags by how they begin."""
    if asked.type not in (None, "", "accounts", "hashtags", "statuses"):
        raise invalid("Type must be accounts, hashtags or statuses")
    text = asked.q.strip()[:_WORDS_MAX]
    page = page_of(asked)
    if not text:
        return Search([], [], [])
    wanted = {asked.type} if asked.type else {"accounts", "hashtags", "statuses"}
    accounts: list[AccountJson] = []
    if "accounts" in wanted:
        accounts = await call.service.people.search(
            call.me, text, limit=page.limit, offset=asked.offset, following=asked.following
        )
    statuses: list[StatusJson] = []
    if "statuses" in wanted and not asked.offset:
        author = id_of(asked.account_id) if asked.account_id else None
        found = await call.service.timelines.statuses(call.me, page, FOUND, text, author)
        statuses = [msgspec.Raw(one.body) for one in (found.statuses if found else [])]
    hashtags = await _hashtags(call, text, page.limit) if "hashtags" in wanted else []
    return Search(accounts, statuses, hashtags)


async def _hashtags(call: Call, text: str, limit: int) -> list[Tag]:
    names = hashtags_of(f"#{text.lstrip('#')}")
    if not names:
        return []
    # Names are ordered by bytes (COLLATE "C"), so what begins alike stands together; each name is
    # found from the one before, not by reading every status that has it.
    rows: list[Any] = await call.service.database.fetch(
        """WITH RECURSIVE names AS (
               (SELECT name FROM status_tag WHERE name >= $1 ORDER BY name LIMIT 1)
               UNION ALL
               SELECT (SELECT t.name FROM status_tag AS t WHERE t.name > n.name
                       ORDER BY t.name LIMIT 1)
               FROM names AS n WHERE starts_with(n.name, $1))
           SELECT name FROM names WHERE starts_with(name, $1) LIMIT $2""",
        names[0],
        limit,
    )
    return [Tag(row[0], f"{call.service.base_url}/tags/{row[0]}") for row in rows]

"""Lists of links: filters, orders, pages, and how many there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec
from systems_common.database import Database

from shortener.links import LINK_COLUMNS, LINK_TAGS
from shortener.tags import tag_ids

__all__ = [
    "BY_COUNT_REACHED_MAX",
    "LINKS_COUNTED_MAX",
    "LINKS_REACHED_MAX",
    "LinkFilter",
    "Order",
    "Statement",
    "count_statement",
    "list_links",
    "page_statement",
    "where_statement",
]

LINKS_COUNTED_MAX = 10_000
"""Filtered links are counted up to here; more are said to be this many."""
LINKS_REACHED_MAX = 1_000_000
"""Pages behind so many links are empty."""
BY_COUNT_REACHED_MAX = 100_000
"""The same for links by visits, where each skipped one is looked at."""

Order = Literal[
    "dateCreated-ASC",
    "dateCreated-DESC",
    "longUrl-ASC",
    "longUrl-DESC",
    "nonBotVisits-ASC",
    "nonBotVisits-DESC",
    "shortCode-ASC",
    "shortCode-DESC",
    "title-ASC",
    "title-DESC",
    "visits-ASC",
    "visits-DESC",
]
# Each is what an index of 0002_rest.sql holds, and ends in what makes the order total.
_ORDER_TERMS = {
    "dateCreated": ("l.created_at {0}", "l.id {0}"),
    "longUrl": ("left(l.long_url, 512) {0}", "l.id {0}"),
    "nonBotVisits": ("c.people_band {0}", "(c.total - c.bots) {0}", "c.link_id {0}"),
    "shortCode": ("l.code {0}", "l.domain {0}"),
    "title": ("l.title {0} NULLS LAST", "l.id {0}"),
    "visits": ("c.visits_band {0}", "c.total {0}", "c.link_id {0}"),
}
_ORDERS = {
    order: ", ".join(_ORDER_TERMS[field]).format(direction)
    for order in get_args(Order)
    for field, _, direction in (order.partition("-"),)
}
_BY_COUNT = frozenset(order for order in get_args(Order) if "isits" in order)


# OFFSET 0 keeps it a lookup: a join might read all counters.
_COUNTER_OF = "SELECT * FROM link_counter WHERE link_id = {} OFFSET 0"


class LinkFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which links to list; `tags` any of them unless `all_tags`, and so for those excluded.

    `domain` "" is the default one, None any.
    """

    search: str | None = None
    tags: tuple[str, ...] = ()
    all_tags: bool = False
    exclude_tags: tuple[str, ...] = ()
    exclude_all_tags: bool = False
    since: datetime | None = None
    until: datetime | None = None
    domain: str | None = None
    api_key_name: str | None = None
    exclude_max_visits_reached: bool = False
    exclude_past_valid_until: bool = False
    order: Order = "dateCreated-DESC"


class Statement(msgspec.Struct, frozen=True):
    """SQL and its arguments."""

    sql: str
    arguments: list[Any]


async def list_links(
    database: Database, wanted: LinkFilter, *, offset: int, limit: int
) -> tuple[list[Any], int]:
    """A page of links and how many fit in all.

    The number is exact without filters, for a domain, or for one tag; otherwise up to
    `LINKS_COUNTED_MAX`. Pages behind `LINKS_REACHED_MAX` links are empty.
    """
    tags = await tag_ids(database, {*wanted.tags, *wanted.exclude_tags})
    where = where_statement(wanted, tags)
    if where is None:
        return [], 0
    count = count_statement(wanted, where, tags)
    of_all: int = await database.fetchval(count.sql, *count.arguments) or 0
    reached_max = BY_COUNT_REACHED_MAX if wanted.order in _BY_COUNT else LINKS_REACHED_MAX
    if offset >= reached_max:
        return [], of_all
    page = page_statement(wanted, where, offset=offset, limit=limit)
    return await database.fetch(page.sql, *page.arguments), of_all


def page_statement(wanted: LinkFilter, where: Statement, *, offset: int, limit: int) -> Statement:
    """What reads a page. What the page shows is looked up for the rows of the page alone."""
    return Statement(
        f"""SELECT page.*, {LINK_TAGS.format("page.id")} AS tags, c.total, c.bots
            FROM (
                SELECT {LINK_COLUMNS} FROM {_tables(wanted)} {where.sql}
                ORDER BY {_ORDERS[wanted.order]} LIMIT {int(limit)} OFFSET {int(offset)}
            ) AS page CROSS JOIN LATERAL ({_COUNTER_OF.format("page.id")}) AS c""",
        where.arguments,
    )


def count_statement(wanted: LinkFilter, where: Statement, tags: Mapping[str, int]) -> Statement:
    """What counts: the tally where it knows, otherwise the links up to the bound."""
    plain = LinkFilter(order=wanted.order, domain=wanted.domain)
    if wanted == plain and wanted.domain is not None:
        return Statement(
            """SELECT sum(links)::bigint FROM tally
               WHERE scope = (SELECT id FROM domain WHERE name = $1)""",
            [wanted.domain],
        )
    if wanted == plain:
        return Statement(
            "SELECT sum(links)::bigint FROM tally WHERE scope IN (SELECT id FROM domain)", []
        )
    only_tags = LinkFilter(order=wanted.order, tags=wanted.tags, all_tags=wanted.all_tags)
    if wanted == only_tags and len(wanted.tags) == 1:
        return Statement(
            "SELECT sum(links)::bigint FROM tally WHERE scope = $1", [tags[wanted.tags[0]]]
        )
    if wanted == only_tags and not wanted.all_tags:
        return Statement(
            f"""SELECT count(*) FROM (
                    SELECT DISTINCT link_id FROM link_tag WHERE tag_id = ANY ($1)
                    LIMIT {LINKS_COUNTED_MAX}
                ) AS some_links""",
            where.arguments,
        )
    return Statement(
        f"""SELECT count(*) FROM (
                SELECT FROM {_tables(wanted, ordered=False)} {where.sql}
                ORDER BY {_ORDERS["dateCreated-DESC"]} LIMIT {LINKS_COUNTED_MAX}
            ) AS some_links""",
        where.arguments,
    )


def _tables(wanted: LinkFilter, *, ordered: bool = True) -> str:
    if not wanted.exclude_max_visits_reached and not (ordered and wanted.order in _BY_COUNT):
        return "link AS l"
    if wanted.search or (wanted.all_tags and len(wanted.tags) > 1):
        # Few links meet these: their counters are looked up one by one.
        return f"link AS l CROSS JOIN LATERAL ({_COUNTER_OF.format('l.id')}) AS c"
    return "link AS l JOIN link_counter AS c ON c.link_id = l.id"


def where_statement(wanted: LinkFilter, tags: Mapping[str, int]) -> Statement | None:
    """The conditions; None when no link can meet them."""
    conditions: list[str] = []
    arguments: list[Any] = []

    def add(condition: str, argument: Any) -> None:
        arguments.append(argument)
        conditions.append(condition.format(f"${len(arguments)}"))

    for names, every, negate in (
        (wanted.tags, wanted.all_tags, False),
        (wanted.exclude_tags, wanted.exclude_all_tags, True),
    ):
        known = [tags[name] for name in dict.fromkeys(names) if name in tags]
        lacks = len(known) < len(set(names))
        if not names or (negate and (not known or (every and lacks))):
            continue
        if not known or (every and lacks):
            return None
        tagged = f"EXISTS (SELECT FROM link_tag AS t WHERE t.link_id = l.id AND t.tag_id {_ANY})"
        if every and len(known) > 1:
            tagged = (
                "(SELECT count(*) FROM link_tag AS t WHERE t.link_id = l.id AND t.tag_id"
                f" {_ANY}) = {len(known)}"
            )
            if not negate:
                # One that a link must have leads to the few that have them all.
                add(_ONE_TAG, known[0])
        add(f"NOT {tagged}" if negate else tagged, known)
    if wanted.search:
        pattern = re.sub(r"([\\%_])", r"\\\1", wanted.search)
        add(
            "(l.code || ' ' || l.long_url || ' ' || coalesce(l.title, '')) ILIKE {}",
            f"%{pattern}%",
        )
    if wanted.since is not None:
        add("l.created_at >= {}", wanted.since)
    if wanted.until is not None:
        add("l.created_at <= {}", wanted.until)
    if wanted.domain is not None:
        add("l.domain = {}", wanted.domain)
    if wanted.api_key_name is not None:
        add(
            "l.api_key_id = ANY (ARRAY(SELECT id FROM api_key WHERE name = {}))",
            wanted.api_key_name,
        )
    if wanted.exclude_max_visits_reached:
        conditions.append("(l.max_visits IS NULL OR c.total < l.max_visits)")
    if wanted.exclude_past_valid_until:
        conditions.append("(l.valid_until IS NULL OR l.valid_until > now())")
    return Statement(f"WHERE {' AND '.join(conditions)}" if conditions else "", arguments)


_ANY = "= ANY ({})"
_ONE_TAG = "EXISTS (SELECT FROM link_tag AS t WHERE t.link_id = l.id AND t.tag_id = {})"

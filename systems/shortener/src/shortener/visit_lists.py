"""Lists of visits, newest first, and how many there are.

The id of a visit holds its time, so dates are a range of ids, and every list is a walk down an
index that ends in the id. A page by number is found by skipping entries of that index alone; from
there the page is read by key.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import msgspec
from systems_common.database import Database
from systems_common.ids import first_id_at

from shortener.link_lists import Statement
from shortener.orphans import ORPHAN_SCOPES, OrphanType

__all__ = [
    "SCOPE_VISITS_COUNTED_MAX",
    "VISITS_COUNTED_MAX",
    "VISITS_REACHED_MAX",
    "Overview",
    "VisitFilter",
    "VisitSource",
    "all_visits",
    "count_statement",
    "domain_visits",
    "link_visits",
    "list_visits",
    "orphan_visits",
    "overview",
    "page_statement",
    "tag_visits",
]

VISITS_COUNTED_MAX = 1_000_000
"""Visits within dates are counted up to here; more are said to be this many."""
SCOPE_VISITS_COUNTED_MAX = 10_000
"""The same for visits of a tag or a domain, each of which has its link looked up."""
VISITS_REACHED_MAX = 1_000_000
"""Pages behind so many visits are empty."""
_ID_MAX = 2**63 - 1


class VisitFilter(msgspec.Struct, frozen=True):
    """Which visits of a list: from `since` to `until`, both included."""

    since: datetime | None = None
    until: datetime | None = None
    exclude_bots: bool = False


class VisitSource(msgspec.Struct, frozen=True, kw_only=True):
    """Whose visits: a table and conditions on its rows, `v`, and what knows their number.

    `arguments` are those of `conditions`; `total` is SQL for the number of all, with its own
    `total_arguments`, None when only counting tells.
    """

    table: str
    conditions: tuple[str, ...]
    arguments: tuple[Any, ...]
    columns: str
    total: str | None
    total_arguments: tuple[Any, ...]
    counted_max: int


_VISIT_COLUMNS = "v.id, v.visited_at, v.bot, v.referer, v.user_agent, v.visited_url, v.redirect_url"
_WITH_LINK = f"""{_VISIT_COLUMNS},
    (SELECT code FROM link WHERE link.id = v.link_id) AS code,
    (SELECT domain FROM link WHERE link.id = v.link_id) AS domain"""
_TAGGED = "EXISTS (SELECT FROM link_tag AS t WHERE t.link_id = v.link_id AND t.tag_id = ${})"
_OF_DOMAIN = "EXISTS (SELECT FROM link AS l WHERE l.id = v.link_id AND l.domain = ${})"
_DOMAIN_TALLY = "tally WHERE scope = (SELECT id FROM domain WHERE name = $1)"


def link_visits(link_id: int) -> VisitSource:
    """The visits of one link."""
    return VisitSource(
        table="visit",
        conditions=("v.link_id = $1",),
        arguments=(link_id,),
        columns=_WITH_LINK,
        total="link_counter WHERE link_id = $1",
        total_arguments=(link_id,),
        counted_max=VISITS_COUNTED_MAX,
    )


def all_visits() -> VisitSource:
    """The visits of all links."""
    return VisitSource(
        table="visit",
        conditions=(),
        arguments=(),
        columns=_WITH_LINK,
        total="tally WHERE scope IN (SELECT id FROM domain)",
        total_arguments=(),
        counted_max=VISITS_COUNTED_MAX,
    )


def domain_visits(domain: str) -> VisitSource:
    """The visits of the links of a domain, "" the default one."""
    return VisitSource(
        table="visit",
        conditions=(_OF_DOMAIN.format(1),),
        arguments=(domain,),
        columns=_WITH_LINK,
        total=_DOMAIN_TALLY,
        total_arguments=(domain,),
        counted_max=SCOPE_VISITS_COUNTED_MAX,
    )


def tag_visits(tag_id: int, domain: str | None = None) -> VisitSource:
    """The visits of the links with a tag, all or those of a domain."""
    everywhere = domain is None
    return VisitSource(
        table="visit",
        conditions=(_TAGGED.format(1), *(() if everywhere else (_OF_DOMAIN.format(2),))),
        arguments=(tag_id, *(() if everywhere else (domain,))),
        columns=_WITH_LINK,
        total="tally WHERE scope = $1" if everywhere else None,
        total_arguments=(tag_id,),
        counted_max=SCOPE_VISITS_COUNTED_MAX,
    )


def orphan_visits(kind: OrphanType | None, domain: str | None) -> VisitSource:
    """The visits that found no link, all or those of a type or a domain."""
    wanted = [("v.type = ${}", kind), ("v.domain = ${}", domain)]
    given = [(condition, value) for condition, value in wanted if value is not None]
    scopes = list(ORPHAN_SCOPES.values()) if kind is None else [ORPHAN_SCOPES[kind]]
    return VisitSource(
        table="orphan_visit",
        conditions=tuple(condition.format(n) for n, (condition, _) in enumerate(given, start=1)),
        arguments=tuple(value for _, value in given),
        columns=f"{_VISIT_COLUMNS}, v.type",
        total="tally WHERE scope = ANY ($1)" if domain is None else None,
        total_arguments=(scopes,),
        counted_max=VISITS_COUNTED_MAX,
    )


async def list_visits(
    database: Database, source: VisitSource, wanted: VisitFilter, *, offset: int, limit: int
) -> tuple[list[Any], int]:
    """A page of visits and how many there are in all.

    The number is exact without dates (for orphan visits of a domain and visits of a tag within
    a domain it is counted too); otherwise up to the bound of its source.
    """
    count = count_statement(source, wanted)
    of_all: int = await database.fetchval(count.sql, *count.arguments) or 0
    if not of_all or offset >= VISITS_REACHED_MAX:
        return [], of_all
    page = page_statement(source, wanted, offset=offset, limit=limit)
    return await database.fetch(page.sql, *page.arguments), of_all


def page_statement(
    source: VisitSource, wanted: VisitFilter, *, offset: int, limit: int
) -> Statement:
    """What reads a page."""
    where, arguments = _where(source, wanted)
    start = ""
    if offset:
        start = f"""{"AND" if where else "WHERE"} v.id <= (
            SELECT v.id FROM {source.table} AS v {where}
            ORDER BY v.id DESC OFFSET {int(offset)} LIMIT 1)"""
    return Statement(
        f"""SELECT {source.columns} FROM {source.table} AS v {where} {start}
            ORDER BY v.id DESC LIMIT {int(limit)}""",
        arguments,
    )


def count_statement(source: VisitSource, wanted: VisitFilter) -> Statement:
    """What counts: the counter that knows, otherwise the visits up to the bound."""
    if source.total is not None and wanted.since is None and wanted.until is None:
        counted = "total - bots" if wanted.exclude_bots else "total"
        return Statement(
            f"SELECT sum({counted})::bigint FROM {source.total}", list(source.total_arguments)
        )
    where, arguments = _where(source, wanted)
    return Statement(
        f"""SELECT count(*) FROM (
                SELECT FROM {source.table} AS v {where}
                ORDER BY v.id DESC LIMIT {source.counted_max}
            ) AS some_visits""",
        arguments,
    )


def _where(source: VisitSource, wanted: VisitFilter) -> tuple[str, list[Any]]:
    conditions = list(source.conditions)
    arguments = list(source.arguments)
    if wanted.since is not None:
        arguments.append(_first_id(wanted.since.timestamp() * 1000))
        conditions.append(f"v.id >= ${len(arguments)}")
    if wanted.until is not None:
        # Of its last millisecond too.
        arguments.append(_first_id(math.floor(wanted.until.timestamp() * 1000) + 1))
        conditions.append(f"v.id < ${len(arguments)}")
    if wanted.exclude_bots:
        conditions.append("NOT v.bot")
    return f"WHERE {' AND '.join(conditions)}" if conditions else "", arguments


def _first_id(moment_ms: float) -> int:
    return min(max(first_id_at(math.ceil(moment_ms)), 0), _ID_MAX)


class Overview(msgspec.Struct, frozen=True):
    """How many visits there are."""

    total: int
    bots: int
    orphan_total: int
    orphan_bots: int


async def overview(database: Database) -> Overview:
    """All visits there are, of links and orphans."""
    row = await database.fetchrow(
        """SELECT coalesce(sum(total) FILTER (WHERE scope > 10), 0)::bigint AS total,
                  coalesce(sum(bots) FILTER (WHERE scope > 10), 0)::bigint AS bots,
                  coalesce(sum(total) FILTER (WHERE scope <= 10), 0)::bigint AS orphan_total,
                  coalesce(sum(bots) FILTER (WHERE scope <= 10), 0)::bigint AS orphan_bots
           FROM tally WHERE scope <= 10 OR scope IN (SELECT id FROM domain)"""
    )
    return Overview(*row)

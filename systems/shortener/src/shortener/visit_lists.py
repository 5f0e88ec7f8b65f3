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
    "SCOPE_VISITS_REACHED_MAX",
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
    "tally_statement",
]

VISITS_COUNTED_MAX = 1_000_000
"""Visits within dates are counted up to here; more are said to be this many."""
SCOPE_VISITS_COUNTED_MAX = 10_000
"""The same for visits of a tag or a domain, each of which has its link looked up."""
VISITS_REACHED_MAX = 1_000_000
"""Pages behind so many visits are empty."""
SCOPE_VISITS_REACHED_MAX = 100_000
"""The same for visits of a tag or a domain, where each skipped one has its link looked up."""
_ID_MAX = 2**63 - 1


class VisitFilter(msgspec.Struct, frozen=True):
    """Which visits of a list: from `since` to `until`, both included."""

    since: datetime | None = None
    until: datetime | None = None
    exclude_bots: bool = False


class VisitSource(msgspec.Struct, frozen=True, kw_only=True):
    """Whose visits: a table and conditions on its rows, `v`, and what knows their number.

    `arguments` are those of `conditions`. `links` is SQL for the ids of the links whose visits
    they are, where there are several. `tally` is SQL for what has their number, with its own
    `tally_arguments`; it `is_exact` unless a condition more has to be met.
    """

    table: str
    conditions: tuple[str, ...]
    arguments: tuple[Any, ...]
    columns: str
    links: str | None = None
    tally: str
    tally_arguments: tuple[Any, ...]
    is_exact: bool = True
    counted_max: int = VISITS_COUNTED_MAX


_VISIT_COLUMNS = "v.id, v.visited_at, v.bot, v.referer, v.user_agent, v.visited_url, v.redirect_url"
_WITH_LINK = f"""{_VISIT_COLUMNS},
    (SELECT code FROM link WHERE link.id = v.link_id) AS code,
    (SELECT domain FROM link WHERE link.id = v.link_id) AS domain"""
# Scalar subqueries, because these stay lookups; EXISTS may become a join that reads all links.
_TAGGED = "(SELECT true FROM link_tag AS t WHERE t.link_id = v.link_id AND t.tag_id = $1)"
_OF_DOMAIN = "(SELECT l.domain FROM link AS l WHERE l.id = {}) = ${}"


def link_visits(link_id: int) -> VisitSource:
    """The visits of one link."""
    return VisitSource(
        table="visit",
        conditions=("v.link_id = $1",),
        arguments=(link_id,),
        columns=_WITH_LINK,
        tally="link_counter WHERE link_id = $1",
        tally_arguments=(link_id,),
    )


def all_visits() -> VisitSource:
    """The visits of all links."""
    return VisitSource(
        table="visit",
        conditions=(),
        arguments=(),
        columns=_WITH_LINK,
        tally="tally WHERE scope IN (SELECT id FROM domain)",
        tally_arguments=(),
    )


def domain_visits(domain: str) -> VisitSource:
    """The visits of the links of a domain, "" the default one."""
    return VisitSource(
        table="visit",
        conditions=(_OF_DOMAIN.format("v.link_id", 1),),
        arguments=(domain,),
        columns=_WITH_LINK,
        links="SELECT id FROM link WHERE domain = $1",
        tally="tally WHERE scope = (SELECT id FROM domain WHERE name = $1)",
        tally_arguments=(domain,),
        counted_max=SCOPE_VISITS_COUNTED_MAX,
    )


def tag_visits(tag_id: int, domain: str | None = None) -> VisitSource:
    """The visits of the links with a tag, all or those of a domain."""
    source = VisitSource(
        table="visit",
        conditions=(_TAGGED,),
        arguments=(tag_id,),
        columns=_WITH_LINK,
        links="SELECT link_id AS id FROM link_tag WHERE tag_id = $1",
        tally="tally WHERE scope = $1",
        tally_arguments=(tag_id,),
        counted_max=SCOPE_VISITS_COUNTED_MAX,
    )
    if domain is None:
        return source
    return msgspec.structs.replace(
        source,
        conditions=(_TAGGED, _OF_DOMAIN.format("v.link_id", 2)),
        arguments=(tag_id, domain),
        links=f"{source.links} AND {_OF_DOMAIN.format('link_id', 2)}",
        is_exact=False,
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
        tally="tally WHERE scope = ANY ($1)",
        tally_arguments=(scopes,),
        is_exact=domain is None,
    )


async def list_visits(
    database: Database, source: VisitSource, wanted: VisitFilter, *, offset: int, limit: int
) -> tuple[list[Any], int]:
    """A page of visits and how many there are in all.

    The number is exact without dates, but for orphan visits of a domain and visits of a tag within
    a domain; what has to be counted is counted up to the bound of its source.
    """
    tally = tally_statement(source)
    total, bots, links = await database.fetchrow(tally.sql, *tally.arguments)
    of_all: int = total - bots if wanted.exclude_bots else total
    reached_max = VISITS_REACHED_MAX if source.links is None else SCOPE_VISITS_REACHED_MAX
    if not of_all or offset >= reached_max:
        return [], of_all
    is_counted = not source.is_exact or wanted.since is not None or wanted.until is not None
    everything = 0
    if source.links is not None:
        everything = await database.fetchval(*_call(tally_statement(all_visits()))) or 0
    if is_counted:
        by_link = _is_cheaper_by_link(source.counted_max, total, links, everything)
        of_all = await database.fetchval(*_call(count_statement(source, wanted, by_link=by_link)))
    by_link = _is_cheaper_by_link(offset + limit, total, links, everything)
    page = page_statement(source, wanted, offset=offset, limit=limit, by_link=by_link)
    return await database.fetch(*_call(page)), of_all


def _is_cheaper_by_link(wanted: int, total: int, links: int, everything: int) -> bool:
    """Whether to gather the newest visits of each link rather than to walk down all visits.

    Gathering reads what there is. How far the walk goes is known only if these visits are spread
    evenly over time, so it must promise to be three times as short. Most visits are walked.
    """
    if 2 * total > everything:
        return False
    gathered = links + min(total, links * wanted)
    walked = wanted * everything / max(total, 1)
    return gathered < 3 * walked


def _call(statement: Statement) -> tuple[Any, ...]:
    return (statement.sql, *statement.arguments)


def tally_statement(source: VisitSource) -> Statement:
    """What knows the number of visits: total, those of bots, and links."""
    links = "0" if source.tally.startswith("link_counter") else "sum(links)"
    return Statement(
        f"""SELECT coalesce(sum(total), 0)::bigint, coalesce(sum(bots), 0)::bigint,
                   coalesce({links}, 0)::bigint FROM {source.tally}""",
        list(source.tally_arguments),
    )


def page_statement(
    source: VisitSource, wanted: VisitFilter, *, offset: int, limit: int, by_link: bool = False
) -> Statement:
    """What reads a page: down the index of the visits, or (`by_link`) of each link's visits."""
    conditions, arguments = _conditions(source, wanted)
    if by_link:
        return Statement(
            f"""SELECT {source.columns} FROM (
                    {_gathered(source, conditions, offset + limit)}
                    ORDER BY id DESC LIMIT {int(limit)} OFFSET {int(offset)}
                ) AS page CROSS JOIN LATERAL (
                    SELECT * FROM visit WHERE visit.id = page.id OFFSET 0
                ) AS v ORDER BY v.id DESC""",
            arguments,
        )
    if offset:
        # Skipped in the index alone.
        first = f"""SELECT v.id FROM {source.table} AS v {_where(conditions)}
            ORDER BY v.id DESC OFFSET {int(offset)} LIMIT 1"""
        conditions = [*conditions, f"v.id <= ({first})"]
    return Statement(
        f"""SELECT {source.columns} FROM {source.table} AS v {_where(conditions)}
            ORDER BY v.id DESC LIMIT {int(limit)}""",
        arguments,
    )


def count_statement(
    source: VisitSource, wanted: VisitFilter, *, by_link: bool = False
) -> Statement:
    """What counts visits up to the bound of their source."""
    conditions, arguments = _conditions(source, wanted)
    counted = f"SELECT FROM {source.table} AS v {_where(conditions)} ORDER BY v.id DESC"
    if by_link:
        counted = _gathered(source, conditions, source.counted_max)
    return Statement(
        f"SELECT count(*) FROM ({counted} LIMIT {source.counted_max}) AS some_visits", arguments
    )


def _gathered(source: VisitSource, conditions: list[str], most: int) -> str:
    own = _where(["v.link_id = one.id", *conditions[len(source.conditions) :]])
    return f"""SELECT newest.id FROM ({source.links}) AS one CROSS JOIN LATERAL (
        SELECT v.id FROM visit AS v {own} ORDER BY v.id DESC LIMIT {int(most)}) AS newest"""


def _where(conditions: list[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _conditions(source: VisitSource, wanted: VisitFilter) -> tuple[list[str], list[Any]]:
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
    return conditions, arguments


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

"""How PostgreSQL would run each list query, and whether that reads a growing table from end to end.

`python -m shortener.plans DATABASE_URL` says so of a database that was just seeded.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

import asyncpg
import msgspec
from systems_common.ids import EPOCH_MS

from shortener import link_lists, visit_lists
from shortener.link_lists import LinkFilter, Order, Statement
from shortener.seed import BASE_TIME
from shortener.visit_lists import VisitFilter

__all__ = ["GROWING", "Query", "add_what_is_rare", "breaches", "list_queries", "sequential_scans"]

GROWING = frozenset({"link", "link_counter", "link_tag", "visit", "orphan_visit", "redirect_rule"})
"""Tables that grow with links and visits; all others grow with tags, domains and API keys."""


class Query(msgspec.Struct, frozen=True):
    """A statement of the service, and what asks for it."""

    name: str
    statement: Statement


def sequential_scans(plan: dict[str, Any]) -> list[str]:
    """The growing tables that a plan (EXPLAIN, JSON) reads from end to end."""
    found = [plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else []
    for child in plan.get("Plans", []):
        found += sequential_scans(child)
    return [table for table in found if table in GROWING]


async def breaches(connection: asyncpg.Connection, queries: list[Query]) -> list[str]:
    """The queries whose plan has a sequential scan of a growing table."""
    found = []
    for query in queries:
        sql, arguments = query.statement.sql, query.statement.arguments
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *arguments))
        if tables := sequential_scans(plan[0]["Plan"]):
            found.append(f"{query.name}: reads all of {', '.join(tables)}")
    return found


_ORPHANS = 50_000
_MORE = f"""
INSERT INTO orphan_visit (id, type, domain, visited_at, bot, visited_url)
SELECT ms - {EPOCH_MS} << 22, (array['base_url', 'invalid_short_url', 'regular_404'])[1 + n % 3],
       CASE WHEN n % 10 = 0 THEN 'other.example' ELSE '' END, to_timestamp(ms / 1000.0), n % 5 = 0,
       'https://example.com/' || n
FROM generate_series(1, {_ORPHANS}) AS n, LATERAL (SELECT 1735689600000 + n * 600000::bigint AS ms);
INSERT INTO domain (name) VALUES ('other.example');
INSERT INTO tag (name) VALUES ('rare');
WITH made AS (
    INSERT INTO link (domain, code, long_url)
    SELECT 'other.example', 'o' || n, 'https://example.com/other/' || n
    FROM generate_series(1, 100) AS n RETURNING id
), tagged AS (
    INSERT INTO link_tag (link_id, tag_id) SELECT made.id, tag.id FROM made, tag WHERE name = 'rare'
)
INSERT INTO link_counter (link_id, scopes)
SELECT made.id, array[domain.id, tag.id] FROM made, domain, tag
WHERE domain.name = 'other.example' AND tag.name = 'rare'"""


async def add_what_is_rare(connection: asyncpg.Connection) -> None:
    """Add orphan visits, another domain and a tag that few links have, which `seed` does not."""
    await connection.execute(_MORE)
    await connection.execute("VACUUM (ANALYZE) orphan_visit, domain, tag, link, link_tag")


async def list_queries(connection: asyncpg.Connection) -> list[Query]:
    """Every list of the API: each filter and order, first pages and deep ones, and their counts."""
    tags = {row["name"]: row["id"] for row in await connection.fetch("SELECT name, id FROM tag")}
    hottest = await connection.fetchval(
        "SELECT link_id FROM link_counter ORDER BY visits_band DESC, total DESC LIMIT 1"
    )
    return [*_link_queries(tags), *_visit_queries(tags, hottest)]


_YEAR = {"since": BASE_TIME - timedelta(days=365), "until": BASE_TIME}
_DAY = {"since": BASE_TIME - timedelta(days=400), "until": BASE_TIME - timedelta(days=399)}
_FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "search": {"search": "articles/77"},
    "a tag": {"tags": ("news",)},
    "any of two tags": {"tags": ("news", "docs")},
    "both of two tags": {"tags": ("news", "docs"), "all_tags": True},
    "without a tag": {"exclude_tags": ("news",)},
    "without both tags": {"exclude_tags": ("news", "docs"), "exclude_all_tags": True},
    "a year": _YEAR,
    "a day": _DAY,
    "the default domain": {"domain": ""},
    "another domain": {"domain": "other.example"},
    "an API key": {"api_key_name": "seed"},
    "with visits left": {"exclude_max_visits_reached": True},
    "still valid": {"exclude_past_valid_until": True},
    "a tag of a day": {"tags": ("news",), **_DAY},
    "a rare tag": {"tags": ("rare",)},
    "a rare tag of a domain": {"tags": ("rare",), "domain": "other.example"},
}


def _link_queries(tags: dict[str, int]) -> Iterator[Query]:
    for (name, given), order in itertools.product(_FILTERS.items(), get_args(Order)):
        wanted = LinkFilter(order=order, **given)
        where = link_lists.where_statement(wanted, tags)
        assert where is not None, name
        for offset, limit in ((0, 10), (0, 100), (200, 100)):
            page = link_lists.page_statement(wanted, where, offset=offset, limit=limit)
            yield Query(f"links, {name}, {order}, {limit} from {offset}", page)
        if order == "dateCreated-DESC":
            yield Query(f"count of links, {name}", link_lists.count_statement(wanted, where, tags))


def _visit_queries(tags: dict[str, int], link: int) -> Iterator[Query]:
    sources = {
        "a link": visit_lists.link_visits(link),
        "all": visit_lists.all_visits(),
        "the default domain": visit_lists.domain_visits(""),
        "another domain": visit_lists.domain_visits("other.example"),
        "a tag": visit_lists.tag_visits(tags["news"]),
        "a tag of a domain": visit_lists.tag_visits(tags["news"], ""),
        "a rare tag": visit_lists.tag_visits(tags["rare"]),
        "a rare tag of a domain": visit_lists.tag_visits(tags["rare"], "other.example"),
        "orphans": visit_lists.orphan_visits(None, None),
        "orphans of a type": visit_lists.orphan_visits("base_url", None),
        "orphans of a domain": visit_lists.orphan_visits(None, ""),
        "orphans of both": visit_lists.orphan_visits("base_url", ""),
    }
    spans: dict[str, dict[str, Any]] = {
        "always": {},
        "a year": _YEAR,
        "a month": {"since": BASE_TIME - timedelta(days=30), "until": BASE_TIME},
    }
    for (name, source), (span, dates), bots in itertools.product(
        sources.items(), spans.items(), (False, True)
    ):
        wanted = VisitFilter(exclude_bots=bots, **dates)
        of = f"visits of {name}, {span}{', people' if bots else ''}"
        yield Query(f"tally of {of}", visit_lists.tally_statement(source))
        # Only rare visits are gathered link by link.
        for by_link in (False, True) if "rare" in name or "another" in name else (False,):
            how = ", by link" if by_link else ""
            for offset, limit in ((0, 20), (0, 5_000), (10_000, 5_000)):
                page = visit_lists.page_statement(
                    source, wanted, offset=offset, limit=limit, by_link=by_link
                )
                yield Query(f"{of}, {limit} from {offset}{how}", page)
            count = visit_lists.count_statement(source, wanted, by_link=by_link)
            yield Query(f"count of {of}{how}", count)


async def main(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        await add_what_is_rare(connection)
        queries = await list_queries(connection)
        found = await breaches(connection, queries)
    finally:
        await connection.close()
    print("\n".join(found) or f"{len(queries)} queries, none reads a growing table to its end")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))

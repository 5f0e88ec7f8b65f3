"""Made-up links and visits for a trial or a measurement, the same at every run.

Codes are s000000, s000001, …, so that a workload knows them. Visits are drawn by Zipf's law over
the links in a scattered order, and spread over the year before BASE_TIME.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from systems_common.ids import EPOCH_MS, IdGenerator, time_of_id_s

__all__ = ["BASE_TIME", "SeedError", "code_of", "long_url_of", "seed"]

BASE_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_YEAR_S = 365 * 86_400
_SEED = 20_260_101
_LINKS_MAX = 10**9
_TAGS = ("news", "docs", "sale", "video", "event", "blog", "partner", "mail", "print", "social")
_REFERERS = (None, None, "https://www.google.com/", "https://t.co/", "https://news.example.org/")
_BROWSERS = (
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", False),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Safari/605.1.15", False),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15", False),
    ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile", False),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
)
_LINK_COLUMNS = ("id", "code", "long_url", "title", "created_at")
_VISIT_COLUMNS = ("id", "link_id", "visited_at", "bot", "referer", "user_agent")


class SeedError(Exception):
    """The database cannot be seeded as asked."""


def code_of(number: int) -> str:
    """The code of the seeded link of that number, from 0."""
    return f"s{number:06d}"


def long_url_of(number: int) -> str:
    """Where that link leads."""
    return f"https://example.com/articles/{number}?utm_source=short"


async def seed(connection: Any, *, links: int, visits: int) -> None:
    """Fill an empty database over one asyncpg connection, in one transaction, then analyze it.

    Raises `SeedError` when there are links already, or visits are asked for without links.
    """
    if links > _LINKS_MAX or (visits and not links):
        raise SeedError(f"expected 1 to {_LINKS_MAX} links for {visits} visits, got {links}")
    if await connection.fetchval("SELECT EXISTS (SELECT FROM link)"):
        raise SeedError("the database holds links already; only an empty one is seeded")
    async with connection.transaction():
        made_later = await _drop_what_slows_loading(connection)
        await connection.copy_records_to_table("link", columns=_LINK_COLUMNS, records=_links(links))
        await connection.copy_records_to_table(
            "visit", columns=_VISIT_COLUMNS, records=_visits(links, visits)
        )
        tags = await connection.fetch(
            "INSERT INTO tag (name) SELECT unnest($1::text[]) RETURNING id", list(_TAGS)
        )
        await connection.copy_records_to_table(
            "link_tag",
            columns=("link_id", "tag_id"),
            records=_link_tags(links, [row["id"] for row in tags]),
        )
        await connection.execute("SELECT setval(pg_get_serial_sequence('link', 'id'), $1)", links)
        await connection.execute(
            """INSERT INTO link_counter (link_id, total, bots, scopes)
               SELECT link.id, count(visit.id), count(visit.id) FILTER (WHERE visit.bot),
                      (SELECT id FROM domain WHERE name = '') || ARRAY(
                          SELECT tag_id FROM link_tag WHERE link_id = link.id ORDER BY tag_id)
               FROM link LEFT JOIN visit ON visit.link_id = link.id
               GROUP BY link.id ORDER BY link.id"""
        )
        await connection.execute("DELETE FROM tally")
        await connection.execute(
            "INSERT INTO tally (scope, links, total, bots) SELECT * FROM recounted_tally()"
        )
        for statement in made_later:
            await connection.execute(statement)
    # Also sets the visibility map, without which counting links reads the table, not the index.
    await connection.execute("VACUUM (ANALYZE) link, link_counter, link_tag, tag, tally, visit")


_SLOWING = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
              pg_get_constraintdef(oid)) AS make
FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY ($1::regclass[])
UNION ALL
SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname),
       format('ALTER TABLE %s ENABLE TRIGGER %I', tgrelid::regclass, tgname)
FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY ($1::regclass[])
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index WHERE indrelid = ANY ($1::regclass[]) AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE conindid = indexrelid)"""


async def _drop_what_slows_loading(connection: Any) -> list[str]:
    """Drop foreign keys and secondary indexes; returns the statements that make them again.

    Checked row by row they take more than half of the time; made afterwards, a tenth. Triggers
    sleep meanwhile.
    """
    rows = await connection.fetch(_SLOWING, ["link", "link_counter", "link_tag", "visit"])
    for row in rows:
        await connection.execute(row["drop"])
    return [row["make"] for row in rows]


def _links(count: int) -> Iterator[tuple[Any, ...]]:
    first = BASE_TIME - timedelta(seconds=2 * _YEAR_S)
    step = timedelta(seconds=_YEAR_S / max(count, 1))
    for number in range(count):
        title = None if number % 2 else f"Article {number}"
        yield (
            number + 1,
            code_of(number),
            long_url_of(number),
            title,
            first + number * step,
        )


def _link_tags(count: int, tags: list[int]) -> Iterator[tuple[int, int]]:
    for number in range(count):
        if number % 3:
            for tag in sorted({number % 10, number // 10 % 10}):
                yield number + 1, tags[tag]


def _visits(links: int, count: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(_SEED)
    scattered = list(range(1, links + 1))
    chance.shuffle(scattered)
    cumulative = list(itertools.accumulate(1 / rank for rank in range(1, links + 1)))
    start_ms = BASE_TIME.timestamp() * 1000 - _YEAR_S * 1000
    assert start_ms >= EPOCH_MS
    moments_s = [(start_ms + _YEAR_S * 1000 * n / max(count, 1)) / 1000 for n in range(count)]
    clock = iter(moments_s)
    ids = IdGenerator(0, clock_s=lambda: next(clock))
    for _ in range(count):
        identifier = ids.next()
        rank = bisect.bisect_left(cumulative, chance.random() * cumulative[-1])
        user_agent, bot = _BROWSERS[int(chance.random() * 5)]
        yield (
            identifier,
            scattered[rank],
            datetime.fromtimestamp(time_of_id_s(identifier), UTC),
            bot,
            _REFERERS[int(chance.random() * 5)],
            user_agent,
        )

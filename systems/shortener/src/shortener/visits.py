"""Visits: what is kept of a click, and how it is stored.

Counts never drift because a counter changes in the statement that stores the visit, by what that
statement stored. A visit that is there already (a redelivery, a retry) is not stored again, so it
is not counted again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import asyncpg
import msgspec
from systems_common.contention import tried_again
from systems_common.database import Database
from systems_common.ids import time_of_id_s

from shortener.tally import TALLY_COUNTED

__all__ = [
    "COUNT_SUMS",
    "Browser",
    "Visit",
    "browser_of",
    "moment_of_id",
    "store_one",
    "store_orphans",
    "store_visits",
    "store_with",
]

_USER_AGENT_MAX = 512
_BOT = re.compile(
    r"(?<!cu)bot(?![a-z])|crawl|spider|slurp|curl/|wget/|python-|java/|go-http|okhttp|headless"
    r"|preview|monitor|scan|facebookexternalhit|embedly|whatsapp|lighthouse",
    re.IGNORECASE,
)


class Visit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One click. `id` holds its time; `visited_url` is None for the plain short URL.

    `redirect_url` is None for the link's own address. A click that found no link has an `orphan`
    type, and `domain` is whose it was.
    """

    id: int
    link_id: int
    bot: bool
    referer: str | None
    user_agent: str | None
    visited_url: str | None
    redirect_url: str | None = None
    address: str | None = None
    orphan: str | None = None
    domain: str = ""


class Browser(msgspec.Struct, frozen=True, gc=False):
    """What a User-Agent header tells."""

    user_agent: str
    bot: bool


@lru_cache(maxsize=8_192)
def browser_of(header: bytes) -> Browser:
    """Read a User-Agent header; remembered, since a few of them make most of the traffic."""
    text = header[:_USER_AGENT_MAX].decode("latin-1")
    return Browser(text, _BOT.search(text) is not None)


COUNT_SUMS = f"""
locked AS (
    SELECT link_id FROM link_counter WHERE link_id = ANY (ARRAY(SELECT link_id FROM sums))
    ORDER BY link_id FOR UPDATE
), counted AS (
    UPDATE link_counter AS c
    SET total = c.total + sums.total, bots = c.bots + sums.bots
    FROM sums JOIN locked USING (link_id)
    WHERE c.link_id = sums.link_id
    RETURNING c.scopes, sums.total, sums.bots
)
{TALLY_COUNTED}"""
"""Ends a statement whose part `sums` says how many visits of which links it has to count.

By an array, because of a set the planner assumes half the table, and would read all of it.
"""

# Who stores visits locks their links first (against deletion only, as the foreign key would), then
# counters. Who deletes a link locks it first too, so neither can wait for the other in a circle.
_STORE_MANY = f"""
WITH given AS (
    SELECT * FROM unnest(
        $1::bigint[], $2::bigint[], $3::timestamptz[], $4::boolean[], $5::text[], $6::text[],
        $7::text[], $8::text[], $9::text[]
    ) AS v (id, link_id, visited_at, bot, referer, user_agent, visited_url, redirect_url, address)
), alive AS MATERIALIZED (
    SELECT id, long_url FROM link WHERE id = ANY ($2) ORDER BY id FOR KEY SHARE
), fresh AS (
    INSERT INTO visit (
        id, link_id, visited_at, bot, referer, user_agent, visited_url, redirect_url, address
    )
    SELECT v.id, v.link_id, v.visited_at, v.bot, v.referer, v.user_agent, v.visited_url,
        coalesce(v.redirect_url, left(alive.long_url, 2048)), v.address
    FROM given AS v JOIN alive ON alive.id = v.link_id
    ORDER BY v.id
    ON CONFLICT (id) DO NOTHING
    RETURNING link_id, bot
), sums AS (
    SELECT link_id, count(*) AS total, count(*) FILTER (WHERE bot) AS bots
    FROM fresh GROUP BY link_id
), {COUNT_SUMS}"""


@tried_again
async def store_visits(database: Database, visits: Sequence[Visit]) -> None:
    """Store visits and count them, in one statement; those stored before change nothing.

    Visits of a link that is gone are left out. Rows are inserted by id and counters locked by
    link, so that two of these at the same time cannot wait for each other in a circle.
    """
    orphans = [visit for visit in visits if visit.orphan is not None]
    if orphans:
        await store_orphans(database, orphans)
        visits = [visit for visit in visits if visit.orphan is None]
    if visits:
        await database.fetch(
            _STORE_MANY,
            [visit.id for visit in visits],
            [visit.link_id for visit in visits],
            [moment_of_id(visit.id) for visit in visits],
            [visit.bot for visit in visits],
            [visit.referer for visit in visits],
            [visit.user_agent for visit in visits],
            [visit.visited_url for visit in visits],
            [visit.redirect_url for visit in visits],
            [visit.address for visit in visits],
        )


_STORE_ONE = f"""
WITH alive AS MATERIALIZED (
    SELECT id, max_visits, long_url FROM link WHERE id = $2 FOR KEY SHARE
), counted AS (
    UPDATE link_counter AS c
    SET total = c.total + 1, bots = c.bots + CASE WHEN $4::boolean THEN 1 ELSE 0 END
    FROM alive
    WHERE c.link_id = alive.id AND (alive.max_visits IS NULL OR c.total < alive.max_visits)
    RETURNING c.link_id, c.scopes, 1 AS total, CASE WHEN $4::boolean THEN 1 ELSE 0 END AS bots,
        left(alive.long_url, 2048) AS long_url
), tallied AS ({TALLY_COUNTED})
INSERT INTO visit (
    id, link_id, visited_at, bot, referer, user_agent, visited_url, redirect_url, address
)
SELECT $1, link_id, $3, $4, $5, $6, $7, coalesce($8, long_url), $9 FROM counted
RETURNING id"""


async def store_one(database: Database, visit: Visit) -> bool:
    """Store and count one visit; False when its link is gone or has had all its visits.

    The limit is exact: of two visits that compete for the last place the second waits for the
    first to commit, then finds none left. The price is that a hot link's visits queue for its row.
    """
    if visit.orphan is not None:
        await store_orphans(database, [visit])
        return True
    return await store_with(database, _STORE_ONE, visit)


async def store_with(database: Database, statement: str, visit: Visit, *more: Any) -> bool:
    """Run a statement that stores one visit and returns its id; False when it stored none."""
    try:
        row = await database.fetchrow(
            statement,
            visit.id,
            visit.link_id,
            moment_of_id(visit.id),
            visit.bot,
            visit.referer,
            visit.user_agent,
            visit.visited_url,
            visit.redirect_url,
            visit.address,
            *more,
        )
    except asyncpg.UniqueViolationError:
        # It was stored after all, by the attempt that this one repeats.
        return True
    return row is not None


_STORE_ORPHANS = """
INSERT INTO orphan_visit (
    id, type, domain, visited_at, bot, referer, user_agent, visited_url, redirect_url, address
)
SELECT * FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::boolean[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::text[]
) AS v (id) ORDER BY id
ON CONFLICT (id) DO NOTHING"""


async def store_orphans(database: Database, visits: Sequence[Visit]) -> None:
    """Store visits that found no link; those stored before change nothing."""
    await database.fetch(
        _STORE_ORPHANS,
        [visit.id for visit in visits],
        [visit.orphan for visit in visits],
        [visit.domain for visit in visits],
        [moment_of_id(visit.id) for visit in visits],
        [visit.bot for visit in visits],
        [visit.referer for visit in visits],
        [visit.user_agent for visit in visits],
        [visit.visited_url or "" for visit in visits],
        [visit.redirect_url for visit in visits],
        [visit.address for visit in visits],
    )


def moment_of_id(identifier: int) -> datetime:
    """When the click with this id was, in UTC."""
    return datetime.fromtimestamp(time_of_id_s(identifier), UTC)

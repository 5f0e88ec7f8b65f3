"""Visits: what is kept of a click, how it is stored, and how it is read.

Counts never drift because a counter changes in the statement that stores the visit, by what that
statement stored. A visit that is there already (a redelivery, a retry) is not stored again, so it
is not counted again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import asyncpg
import msgspec
from systems_common.database import Database
from systems_common.ids import time_of_id_s

from shortener.tally import TALLY_COUNTED

__all__ = ["Browser", "Visit", "browser_of", "store_one", "store_visits"]

_USER_AGENT_MAX = 512
_BOT = re.compile(
    r"(?<!cu)bot(?![a-z])|crawl|spider|slurp|curl/|wget/|python-|java/|go-http|okhttp|headless"
    r"|preview|monitor|scan|facebookexternalhit|embedly|whatsapp|lighthouse",
    re.IGNORECASE,
)


class Visit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One click. `id` holds its time; `visited_url` is None for the plain short URL."""

    id: int
    link_id: int
    bot: bool
    referer: str | None
    user_agent: str | None
    visited_url: str | None


class Browser(msgspec.Struct, frozen=True, gc=False):
    """What a User-Agent header tells."""

    user_agent: str
    bot: bool


@lru_cache(maxsize=8_192)
def browser_of(header: bytes) -> Browser:
    """Read a User-Agent header; remembered, since a few of them make most of the traffic."""
    text = header[:_USER_AGENT_MAX].decode("latin-1")
    return Browser(text, _BOT.search(text) is not None)


# Who stores visits locks their links first (against deletion only, as the foreign key would), then
# counters. Who deletes a link locks it first too, so neither can wait for the other in a circle.
_STORE_MANY = f"""
WITH given AS (
    SELECT * FROM unnest(
        $1::bigint[], $2::bigint[], $3::timestamptz[], $4::boolean[], $5::text[], $6::text[],
        $7::text[]
    ) AS v (id, link_id, visited_at, bot, referer, user_agent, visited_url)
), alive AS MATERIALIZED (
    SELECT id FROM link WHERE id IN (SELECT link_id FROM given) ORDER BY id FOR KEY SHARE
), fresh AS (
    INSERT INTO visit (id, link_id, visited_at, bot, referer, user_agent, visited_url)
    SELECT given.* FROM given JOIN alive ON alive.id = given.link_id
    ORDER BY given.id
    ON CONFLICT (id) DO NOTHING
    RETURNING link_id, bot
), sums AS (
    SELECT link_id, count(*) AS total, count(*) FILTER (WHERE bot) AS bots
    FROM fresh GROUP BY link_id
), locked AS (
    SELECT link_id FROM link_counter WHERE link_id IN (SELECT link_id FROM sums)
    ORDER BY link_id FOR UPDATE
), counted AS (
    UPDATE link_counter AS c
    SET total = c.total + sums.total, bots = c.bots + sums.bots
    FROM sums JOIN locked USING (link_id)
    WHERE c.link_id = sums.link_id
    RETURNING c.scopes, sums.total, sums.bots
)
{TALLY_COUNTED}"""


async def store_visits(database: Database, visits: Sequence[Visit]) -> None:
    """Store visits and count them, in one statement; those stored before change nothing.

    Visits of a link that is gone are left out. Rows are inserted by id and counters locked by
    link, so that two of these at the same time cannot wait for each other in a circle.
    """
    if not visits:
        return
    columns = (
        [visit.id for visit in visits],
        [visit.link_id for visit in visits],
        [datetime.fromtimestamp(time_of_id_s(visit.id), UTC) for visit in visits],
        [visit.bot for visit in visits],
        [visit.referer for visit in visits],
        [visit.user_agent for visit in visits],
        [visit.visited_url for visit in visits],
    )
    await database.fetch(_STORE_MANY, *columns)


_STORE_ONE = f"""
WITH alive AS MATERIALIZED (
    SELECT id, max_visits FROM link WHERE id = $2 FOR KEY SHARE
), counted AS (
    UPDATE link_counter AS c
    SET total = c.total + 1, bots = c.bots + CASE WHEN $4::boolean THEN 1 ELSE 0 END
    FROM alive
    WHERE c.link_id = alive.id AND (alive.max_visits IS NULL OR c.total < alive.max_visits)
    RETURNING c.link_id, c.scopes, 1 AS total, CASE WHEN $4::boolean THEN 1 ELSE 0 END AS bots
), tallied AS ({TALLY_COUNTED})
INSERT INTO visit (id, link_id, visited_at, bot, referer, user_agent, visited_url)
SELECT $1, link_id, $3, $4, $5, $6, $7 FROM counted
RETURNING id"""


async def store_one(database: Database, visit: Visit) -> bool:
    """Store and count one visit; False when its link is gone or has had all its visits.

    The limit is exact: of two visits that compete for the last place the second waits for the
    first to commit, then finds none left. The price is that a hot link's visits queue for its row.
    """
    try:
        row = await database.fetchrow(
            _STORE_ONE,
            visit.id,
            visit.link_id,
            datetime.fromtimestamp(time_of_id_s(visit.id), UTC),
            visit.bot,
            visit.referer,
            visit.user_agent,
            visit.visited_url,
        )
    except asyncpg.UniqueViolationError:
        # It was stored after all, by the attempt that this one repeats.
        return True
    return row is not None

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
from typing import Any

import asyncpg
import msgspec
from systems_common.database import Database
from systems_common.ids import time_of_id_s

__all__ = ["Browser", "Visit", "browser_of", "page_of_visits", "store_one", "store_visits"]

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


_STORE_MANY = """
WITH fresh AS (
    INSERT INTO visit (id, link_id, visited_at, bot, referer, user_agent, visited_url)
    SELECT v.* FROM unnest(
        $1::bigint[], $2::bigint[], $3::timestamptz[], $4::boolean[], $5::text[], $6::text[],
        $7::text[]
    ) AS v (id, link_id, visited_at, bot, referer, user_agent, visited_url)
    JOIN link ON link.id = v.link_id
    ORDER BY v.id
    ON CONFLICT (id) DO NOTHING
    RETURNING link_id, bot
), sums AS (
    SELECT link_id, count(*) AS total, count(*) FILTER (WHERE bot) AS bots
    FROM fresh GROUP BY link_id
), locked AS (
    SELECT link_id FROM link_counter WHERE link_id IN (SELECT link_id FROM sums)
    ORDER BY link_id FOR UPDATE
)
UPDATE link_counter AS c
SET total = c.total + sums.total, bots = c.bots + sums.bots
FROM sums JOIN locked USING (link_id)
WHERE c.link_id = sums.link_id"""


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
    async with database.connection() as connection:
        try:
            await connection.fetch(_STORE_MANY, *columns)
        except asyncpg.ForeignKeyViolationError:
            # A link went away between the join and the insert; the second look leaves it out.
            await connection.fetch(_STORE_MANY, *columns)


_STORE_ONE = """
WITH counted AS (
    UPDATE link_counter AS c
    SET total = c.total + 1, bots = c.bots + CASE WHEN $4::boolean THEN 1 ELSE 0 END
    FROM link
    WHERE c.link_id = $2 AND link.id = $2
      AND (link.max_visits IS NULL OR c.total < link.max_visits)
    RETURNING c.link_id
)
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


async def page_of_visits(
    database: Database,
    link_id: int,
    *,
    offset: int,
    limit: int,
    since: datetime | None,
    until: datetime | None,
    exclude_bots: bool,
) -> tuple[list[Any], int]:
    """A page of a link's visits, newest first, and how many there are in all.

    Without dates the number is the link's counter, which costs nothing to read.
    """
    conditions, arguments = ["link_id = $1"], [link_id]
    for comparison, moment in ((">=", since), ("<=", until)):
        if moment is not None:
            arguments.append(moment)  # type: ignore[arg-type]
            conditions.append(f"visited_at {comparison} ${len(arguments)}")
    if exclude_bots:
        conditions.append("NOT bot")
    where = " AND ".join(conditions)
    if since is None and until is None:
        counted = "total - bots" if exclude_bots else "total"
        count = f"SELECT {counted} FROM link_counter WHERE link_id = $1"
    else:
        count = f"SELECT count(*) FROM visit WHERE {where}"
    rows = await database.fetch(
        f"""SELECT ({count}) AS of_all, v.* FROM (SELECT 1) AS always LEFT JOIN LATERAL (
                SELECT id, visited_at, bot, referer, user_agent, visited_url
                FROM visit WHERE {where} ORDER BY id DESC LIMIT {int(limit)} OFFSET {int(offset)}
            ) AS v ON true""",
        *arguments,
    )
    return [row for row in rows if row["id"] is not None], rows[0]["of_all"] or 0

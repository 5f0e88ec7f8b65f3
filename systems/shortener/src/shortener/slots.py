"""VISITS=slotted: a hot link's clicks count in several rows, which are folded into its counter.

With one row a link, each click waits until the one before it is on disk. Here clicks of a link
wait only for those that drew the same slot. Readers need not know: the slots are emptied into
`link_counter` a few times a second, in one statement, so a click is in exactly one of the two.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable

from systems_common.database import Database, DatabaseUnavailableError, transaction

from shortener.visits import COUNT_SUMS, Visit, store_one, store_with

__all__ = ["SLOTS", "SlottedRecorder", "fold_slots", "keep_folding"]

log = logging.getLogger(__name__)

SLOTS = 16
FOLD_EVERY_S = 0.25
_FOLD_LOCK = 0x736C_6F74_73  # "slots" in ASCII

_STORE = """
WITH alive AS MATERIALIZED (
    SELECT id, left(long_url, 2048) AS long_url FROM link WHERE id = $2 FOR KEY SHARE
), counted AS (
    INSERT INTO link_counter_slot AS s (link_id, slot, total, bots)
    SELECT id, $10::smallint, 1, CASE WHEN $4::boolean THEN 1 ELSE 0 END FROM alive
    ON CONFLICT (link_id, slot) DO UPDATE
    SET total = s.total + excluded.total, bots = s.bots + excluded.bots
    RETURNING link_id
)
INSERT INTO visit (
    id, link_id, visited_at, bot, referer, user_agent, visited_url, redirect_url, address
)
SELECT $1, link_id, $3, $4, $5, $6, $7, coalesce($8, long_url), $9
FROM counted JOIN alive ON alive.id = counted.link_id
RETURNING id"""

# Links first, as whoever stores a visit: so it and the deletion of a link wait in one order.
# Arrays, because of a table that is empty most of the time the planner assumes thousands of rows,
# and would read all links to find theirs.
_FOLD = f"""
WITH alive AS MATERIALIZED (
    SELECT id FROM link WHERE id = ANY (ARRAY(SELECT DISTINCT link_id FROM link_counter_slot))
    ORDER BY id FOR KEY SHARE
), emptied AS (
    DELETE FROM link_counter_slot WHERE link_id = ANY (ARRAY(SELECT id FROM alive))
    RETURNING link_id, total, bots
), sums AS (
    SELECT link_id, sum(total)::bigint AS total, sum(bots)::bigint AS bots
    FROM emptied GROUP BY link_id
), {COUNT_SUMS}"""


class SlottedRecorder:
    """One statement a visit, committed before the redirect is answered; see above."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, visit: Visit) -> Awaitable[object]:
        """Store the visit and count it in one of the slots of its link."""
        if visit.orphan is not None:
            return store_one(self._database, visit)
        return store_with(self._database, _STORE, visit, random.randrange(SLOTS))

    async def drain(self) -> None:
        """Nothing waits here: slots that are left are folded by whoever runs next."""


async def fold_slots(database: Database) -> None:
    """Empty all slots into the counters; nothing when another process is at it.

    Raises `DatabaseUnavailableError`.
    """
    async with transaction(database) as connection:
        if await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _FOLD_LOCK):
            await connection.execute(_FOLD)


async def keep_folding(database: Database) -> None:
    """Fold until canceled."""
    while True:
        await asyncio.sleep(FOLD_EVERY_S)
        try:
            await fold_slots(database)
        except DatabaseUnavailableError as error:
            log.info("slots were not folded", extra={"error": str(error)})
            await asyncio.sleep(1.0)

"""VISIT_INDEX: the index that finds the visits of one link, made or dropped at start.

Without it storing a visit costs less, and reading a link's visits reads all visits there are.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

__all__ = ["VISIT_INDEX", "VisitIndex", "set_visit_index"]

log = logging.getLogger(__name__)

VisitIndex = Literal["on", "off"]
VISIT_INDEX = "visit_by_link"
_LOOK_AGAIN_S = 0.1
_LOCK = 0x7669_7369_7473  # "visits" in ASCII

_STATE = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)"
_MAKE = f"CREATE INDEX CONCURRENTLY {VISIT_INDEX} ON visit (link_id, id DESC) INCLUDE (bot)"
_DROP = f"DROP INDEX CONCURRENTLY IF EXISTS {VISIT_INDEX}"


async def set_visit_index(connection: Any, wanted: VisitIndex) -> bool:
    """Make or drop the index over one asyncpg connection of its own; True when that was to do.

    Visits can be stored meanwhile. Processes that start together wait for the one that does it.
    """
    if await _is_as(connection, wanted):
        return False
    # Asked for again and again, not waited for: who waits holds a snapshot, and to make an index
    # beside writers waits until older snapshots are gone.
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_AGAIN_S)
    try:
        if await _is_as(connection, wanted):
            return False
        log.info("changing the index of visits", extra={"wanted": wanted})
        # What an interrupted attempt left behind is there, and not valid.
        await connection.execute(_DROP)
        if wanted == "on":
            await connection.execute(_MAKE, timeout=None)
        return True
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _is_as(connection: Any, wanted: VisitIndex) -> bool:
    is_valid = await connection.fetchval(_STATE, VISIT_INDEX)
    return bool(is_valid) if wanted == "on" else is_valid is None

"""Orphan visits: of the base URL, of codes that no link has, of any other path."""

from __future__ import annotations

from typing import Literal

from systems_common.database import Database

__all__ = ["ORPHAN_SCOPES", "OrphanType", "delete_orphans"]

OrphanType = Literal["base_url", "invalid_short_url", "regular_404"]

ORPHAN_SCOPES: dict[OrphanType, int] = {
    "base_url": 1,
    "invalid_short_url": 2,
    "regular_404": 3,
}
"""What orphan visits of a type are counted for, in the table tally."""

_VISITS_A_STATEMENT = 20_000

_DELETE = """
WITH gone AS (
    DELETE FROM orphan_visit WHERE id IN (
        SELECT id FROM orphan_visit WHERE id <= $1 ORDER BY id LIMIT $2)
    RETURNING id
)
SELECT count(*) FROM gone"""


async def delete_orphans(database: Database) -> int:
    """Delete the orphan visits there are now, in statements of 20,000; returns how many.

    A trigger takes them out of the tally.
    """
    last = await database.fetchval("SELECT max(id) FROM orphan_visit")
    deleted = 0
    while last is not None:
        gone: int = await database.fetchval(_DELETE, last, _VISITS_A_STATEMENT)
        deleted += gone
        if gone < _VISITS_A_STATEMENT:
            break
    return deleted

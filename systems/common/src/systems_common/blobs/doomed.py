"""Files that are to go: named in the database before they are written, and when their row goes.

A file and the row that names it cannot be written by one transaction. So a name is doomed first,
for an hour from then; the transaction that writes the row spares it. Whatever dies in between, the
file goes when its hour has come. What is deleted is doomed by the transaction that deletes its row.

The table, in both systems: `doomed_blob (name text PRIMARY KEY, due_at timestamptz)`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import Any

from systems_common.blobs.base import Blobs, BlobStoreError
from systems_common.database import Database, DatabaseUnavailableError, transaction

__all__ = ["doom", "new_name", "spare", "sweep", "swept"]

log = logging.getLogger(__name__)

UPLOAD_S = 3600.0
_AT_ONCE = 100


def new_name(suffix: str = "") -> str:
    """A name that nobody can guess: 144 random bits."""
    return secrets.token_urlsafe(18) + suffix


async def doom(database: Database, names: Sequence[str], after_s: float = UPLOAD_S) -> None:
    """These files are to go after that time."""
    await database.fetch(
        """INSERT INTO doomed_blob (name, due_at)
           SELECT unnest($1::text[]), now() + $2::float8 * interval '1 second'
           ON CONFLICT (name) DO UPDATE SET due_at = EXCLUDED.due_at""",
        names,
        after_s,
    )


async def spare(connection: Any, names: Sequence[str]) -> None:
    """These files stay, when the transaction commits. Raises `BlobStoreError` if they are gone."""
    rows = await connection.fetch(
        "DELETE FROM doomed_blob WHERE name = ANY($1::text[]) RETURNING name", names
    )
    if len(rows) != len(names):
        raise BlobStoreError("the upload took so long that it was given up")


async def swept(database: Database, blobs: Blobs) -> int:
    """Delete files whose time has come; how many. Raises `BlobStoreError`."""
    async with transaction(database) as connection:
        rows = await connection.fetch(
            """SELECT name FROM doomed_blob WHERE due_at <= now() ORDER BY due_at LIMIT $1
               FOR UPDATE SKIP LOCKED""",
            _AT_ONCE,
        )
        names = [row[0] for row in rows]
        if names:
            await blobs.delete(names)
            await connection.execute("DELETE FROM doomed_blob WHERE name = ANY($1::text[])", names)
    return len(names)


async def sweep(database: Database, blobs: Blobs, *, every_s: float) -> None:
    """Delete what is due, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        try:
            while await swept(database, blobs) == _AT_ONCE:
                pass
        except (BlobStoreError, DatabaseUnavailableError) as error:
            log.warning("files are not deleted", extra={"error": str(error)})

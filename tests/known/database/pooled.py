"""10 ms of PostgreSQL a request, over a pool of 3 connections, as asyncpg lends them.

python pooled.py PORT WORKERS; the database is at the address in the variable DATABASE_URL.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from service import POOL_S, POOL_SLOTS, Reply, Works, run


class Database:
    """So many connections; who finds none free waits in asyncpg's own line."""

    async def connect(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=POOL_SLOTS, max_size=POOL_SLOTS
        )

    def take(self, reply: Reply) -> None:
        task = asyncio.create_task(self._ask(reply))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _ask(self, reply: Reply) -> None:
        async with self.pool.acquire() as connection:
            await connection.execute(f"SELECT pg_sleep({POOL_S})")
        reply()


def works() -> Works:
    """The work of a request, and the pool made before the first."""
    database = Database()
    return database.take, database.connect


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), works)

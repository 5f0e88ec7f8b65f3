"""Asks its database for the same rows again and again: some stay, some turn every half second, and
some are others at each read.

python rows.py PORT    python rows.py migrate
"""

from __future__ import annotations

import asyncio
import os
import sys
from urllib.parse import parse_qsl

import asyncpg
import redis.asyncio
import uvicorn

ITEMS = 10
TURNS_S = 0.5
STEADY = "SELECT name FROM item WHERE id = $1"
TURNING = (
    f"SELECT floor(extract(epoch FROM clock_timestamp()) / {TURNS_S}) AS turn "
    "FROM item WHERE id = $1"
)
MOMENT = "SELECT clock_timestamp() AS moment FROM item WHERE id = $1"
OWN = "SELECT name FROM item WHERE id = $1 AND name <> ''"
STATEMENTS = {"/steady": STEADY, "/turning": TURNING, "/moment": MOMENT}


class Service:
    """ASGI, with its connections."""

    async def open(self) -> None:
        url = os.environ["DATABASE_URL"]
        self.pool = await asyncpg.create_pool(url, min_size=2, max_size=2)
        self.valkey = redis.asyncio.from_url(os.environ["VALKEY_URL"])
        for number in range(ITEMS + 1):
            await self.valkey.set(f"item:{number}", "kept")

    async def answer(self, path: str, number: int) -> str:
        if path in STATEMENTS:
            return str(await self.pool.fetchval(STATEMENTS[path], number))
        if path == "/taken":
            # Reads what it is to change: nothing that was kept would do.
            async with self.pool.acquire() as connection, connection.transaction():
                name = await connection.fetchval(OWN, number)
                await connection.execute("UPDATE item SET taken = taken + 1 WHERE id = $1", number)
            return str(name)
        if path == "/beside":
            return str(await self.valkey.get(f"item:{number}"))
        return "ready"

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        if scope["type"] != "http":
            return
        query = dict(parse_qsl(scope["query_string"].decode()))
        body = (await self.answer(scope["path"], int(query.get("n", "0")))).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def migrate() -> None:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(
        "CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, taken int NOT NULL DEFAULT 0);"
        f"INSERT INTO item SELECT n, 'secret-' || n FROM generate_series(0, {ITEMS}) AS n"
    )
    await connection.close()


async def serve(port: int) -> None:
    service = Service()
    await service.open()
    settings = uvicorn.Config(service, port=port, log_level="warning", lifespan="off")
    await uvicorn.Server(settings).serve()


if __name__ == "__main__":
    asyncio.run(migrate() if sys.argv[1] == "migrate" else serve(int(sys.argv[1])))

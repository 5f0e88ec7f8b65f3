"""The shop as a service: `/faulty/NAME/N` and `/clean/NAME/N`, and N+1 over what grows.

python service.py PORT    needs DATABASE_URL; `python service.py seed` makes its tables and data.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

import asyncpg
import uvicorn
from planted import CLEAN, FAULTY, SCHEMA, SEED
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

URL = os.environ["DATABASE_URL"]


async def asked(request: Request) -> JSONResponse:
    """One statement, the nth time."""
    kind = FAULTY if request.path_params["kind"] == "faulty" else CLEAN
    one = kind[request.path_params["name"].replace("-", " ")]
    rows = await request.app.state.pool.fetch(one.sql, *one.values(request.path_params["n"]))
    return JSONResponse({"rows": len(rows)})


async def notes(request: Request) -> JSONResponse:
    """A user's notes with the marks of each: one statement for each note, or one for all."""
    user, bounded = request.path_params["n"] % 100 + 1, request.path_params["kind"] == "clean"
    async with request.app.state.pool.acquire() as connection:
        if bounded:
            sql = "SELECT id FROM notes WHERE user_id = $1 ORDER BY created_at DESC LIMIT 5"
            found = [row["id"] for row in await connection.fetch(sql, user)]
            await connection.fetch("SELECT body FROM marks WHERE note_id = ANY($1) LIMIT 50", found)
        else:
            sql = "SELECT id FROM notes WHERE user_id = $1"
            found = [row["id"] for row in await connection.fetch(sql, user)]
            for one in found:
                await connection.fetch("SELECT id FROM marks WHERE note_id = $1 LIMIT 9", one)
    return JSONResponse({"notes": len(found)})


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """The pool, for as long as the service runs."""
    async with asyncpg.create_pool(URL, min_size=2, max_size=4) as app.state.pool:
        yield


async def seed() -> None:
    """Make the tables and what is in them."""
    connection = await asyncpg.connect(URL)
    await connection.execute(SCHEMA + SEED)
    await connection.close()


app = Starlette(
    routes=[
        Route("/health", lambda request: JSONResponse({})),
        Route("/{kind}/notes/{n:int}", notes),
        Route("/{kind}/{name}/{n:int}", asked),
    ],
    lifespan=lifespan,
)

if __name__ == "__main__":
    if sys.argv[1] == "seed":
        asyncio.run(seed())
    else:
        uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")

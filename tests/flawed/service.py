"""A small shop with the flaws that `FLAW` names, or without any.

python service.py PORT    needs DATABASE_URL and CACHE_URL; FLAW empty: its clean twin.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

T = TypeVar("T")

FLAWS = os.environ.get("FLAW", "").split(", ")
TIMEOUT_S = 0.5
VISIT_BYTES = 1 << 18
VISITS_MAX = 40
WORK_S, WORK_TIMEOUT_S, WORK_TRIES, WORK_QUEUED_MAX = 0.008, 0.1, 5, 120

TABLES = """
CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY, token text NOT NULL);
CREATE INDEX IF NOT EXISTS orders_token ON orders (token);
CREATE TABLE IF NOT EXISTS made (token text PRIMARY KEY);
CREATE TABLE IF NOT EXISTS visits (n int NOT NULL, size int NOT NULL);
"""

GONE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
# A RuntimeError: uvloop, of a connection that ended while the client made it.
CACHE_GONE = (OSError, TimeoutError, RuntimeError, redis.exceptions.RedisError)
Work = Callable[[Any], Awaitable[T]]


class UnavailableError(Exception):
    """What is needed cannot be reached now."""


class Database:
    """A pool that gives up after a while and drops what is broken, or a flawed brother of it."""

    def __init__(self) -> None:
        self.url = os.environ["DATABASE_URL"]

    async def open(self) -> None:
        size = 1 if "no reconnect" in FLAWS else 8
        self.pool = await asyncpg.create_pool(self.url, min_size=size, max_size=size)
        async with self.pool.acquire() as connection:
            await connection.execute(TABLES)
        self.only = await asyncpg.connect(self.url) if "no reconnect" in FLAWS else None

    async def run(self, work: Work[T]) -> T:
        if "no reconnect" in FLAWS:
            async with _lock:
                return await work(self.only)
        if "unbounded retries" in FLAWS:
            while True:
                try:
                    return await self._once(work)
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await asyncio.sleep(0)
        try:
            return await self._once(work)
        except asyncpg.SerializationError:
            await asyncio.sleep(random.uniform(0.02, 0.1))
            return await self._once(work)

    async def _once(self, work: Work[T]) -> T:
        if "no timeout" in FLAWS:
            async with self.pool.acquire() as connection:
                return await work(connection)
        connection = await self.pool.acquire(timeout=TIMEOUT_S)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await work(connection)
        except (TimeoutError, OSError, asyncpg.InterfaceError):
            connection.terminate()
            raise
        finally:
            with contextlib.suppress(*GONE):
                await self.pool.release(connection)


_lock = asyncio.Lock()
database = Database()
cache = redis.asyncio.from_url(
    os.environ["CACHE_URL"], socket_timeout=0.05, socket_connect_timeout=0.05, retry=None
)
accepted: list[str] = []
visits: deque[tuple[int, bytes]] = deque(maxlen=None if "unbounded queue" in FLAWS else VISITS_MAX)
working: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue(WORK_QUEUED_MAX)


async def order(request: Request) -> Response:
    """Make an order; `Idempotency-Key` names it."""
    token = request.headers["idempotency-key"]
    if "early acknowledgement" in FLAWS:
        accepted.append(token)
        return JSONResponse({"token": token})

    async def insert(connection: Any) -> None:
        async with connection.transaction():
            if "not idempotent" not in FLAWS:
                made = await connection.fetchval(
                    "INSERT INTO made VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1", token
                )
                if made is None:
                    return
            await connection.execute("INSERT INTO orders (token) VALUES ($1)", token)

    await database.run(insert)
    return JSONResponse({"token": token})


async def count(request: Request) -> Response:
    """How many orders there are of a token."""
    token = request.query_params["token"]
    found = await database.run(
        lambda c: c.fetchval("SELECT count(*) FROM orders WHERE token = $1", token)
    )
    return JSONResponse({"count": found})


async def item(request: Request) -> Response:
    """An item, from the cache or else from the database; the visit is counted later."""
    n = int(request.path_params["n"])
    visits.append((n, os.urandom(VISIT_BYTES)))
    try:
        price = await cache.get(f"item:{n}")
    except CACHE_GONE as error:
        if "hard cache" in FLAWS:
            raise UnavailableError from error
        price = None
    if price is None:
        price = await database.run(lambda c: c.fetchval("SELECT $1::int * 3", n))
        with contextlib.suppress(*CACHE_GONE):
            await cache.set(f"item:{n}", price, ex=1)
    return JSONResponse({"n": n, "price": int(price)})


async def stock(request: Request) -> Response:
    """What only the database knows."""
    n = int(request.path_params["n"])
    found = await database.run(lambda c: c.fetchval("SELECT $1::int % 7", n))
    return JSONResponse({"n": n, "left": found})


async def report(request: Request) -> Response:
    """Dear work, one at a time; who has waited too long tries again, or is told at once."""
    for _ in range(WORK_TRIES if "retry storm" in FLAWS else 1):
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            working.put_nowait(done)
            async with asyncio.timeout(WORK_TIMEOUT_S):
                # The flaw: what nobody waits for any more is done all the same.
                await (asyncio.shield(done) if "retry storm" in FLAWS else done)
        except (TimeoutError, asyncio.QueueFull):
            if "retry storm" in FLAWS:
                await asyncio.sleep(WORK_TIMEOUT_S / 4)
            continue
        return JSONResponse({"done": True})
    raise UnavailableError


async def health(request: Request) -> Response:
    """Ready when the database answers."""
    if "lying readiness" not in FLAWS:
        await database.run(lambda c: c.fetchval("SELECT 1"))
    return JSONResponse({"ready": True})


async def write_accepted() -> None:
    """The other half of an early acknowledgement."""
    while True:
        await asyncio.sleep(0.5)
        taken, accepted[:] = list(accepted), []
        await database.run(
            lambda c, taken=taken: c.executemany(
                "INSERT INTO orders (token) VALUES ($1)", [(token,) for token in taken]
            )
        )


async def write_visits() -> None:
    while True:
        await asyncio.sleep(0.02)
        taken = [visits.popleft() for _ in range(min(len(visits), VISITS_MAX))]
        if not taken:
            continue
        rows = [(n, len(page)) for n, page in taken]
        try:
            await database.run(
                lambda c, rows=rows: c.executemany("INSERT INTO visits VALUES ($1, $2)", rows)
            )
        except GONE:
            if "unbounded queue" in FLAWS:
                visits.extendleft(reversed(taken))


async def work() -> None:
    """Does what is queued, one after the other."""
    while True:
        done = await working.get()
        if done.cancelled():
            continue
        with contextlib.suppress(*GONE):
            await database.run(lambda c: c.execute(f"SELECT pg_sleep({WORK_S})"))
            if not done.done():
                done.set_result(None)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> Any:
    await database.open()
    jobs = [write_visits(), work()]
    if "early acknowledgement" in FLAWS:
        jobs.append(write_accepted())
    tasks = [asyncio.create_task(job) for job in jobs]
    yield
    for task in tasks:
        task.cancel()


async def unavailable(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "not now"}, status_code=503)


app = Starlette(
    routes=[
        Route("/orders", order, methods=["POST"]),
        Route("/orders", count),
        Route("/items/{n}", item),
        Route("/stock/{n}", stock),
        Route("/report", report),
        Route("/health", health),
    ],
    exception_handlers=dict.fromkeys((UnavailableError, *GONE), unavailable),
    lifespan=lifespan,
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)

"""The pool: how many connections, who waits, and what happens to one that breaks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from systems_common.database import (
    Database,
    DatabaseUnavailableError,
    normalized_url,
    transaction,
)
from systems_common.testing import EmbeddedServer


def with_pool(
    server: EmbeddedServer, test: Callable[[Database], Awaitable[Any]], **options: Any
) -> None:
    async def run() -> None:
        options.setdefault("size", 3)
        database = await Database.open(server.url, options.pop("size"), name="pool", **options)
        try:
            async with asyncio.timeout(15):
                await test(database)
        finally:
            await database.close()

    asyncio.run(run())


_MINE = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool'"


def test_queries_return_what_asyncpg_returns(postgres: EmbeddedServer) -> None:
    async def test(database: Database) -> None:
        assert await database.fetchval("SELECT $1::int + 1", 1) == 2
        assert tuple(await database.fetchrow("SELECT 1 AS a, 'x' AS b")) == (1, "x")
        assert [row[0] for row in await database.fetch("SELECT generate_series(1, 3)")] == [1, 2, 3]
        assert await database.fetchrow("SELECT 1 WHERE false") is None

    with_pool(postgres, test)


def test_no_more_connections_than_asked_for(postgres: EmbeddedServer) -> None:
    async def test(database: Database) -> None:
        query = "SELECT pg_backend_pid(), pg_sleep(0.02)"
        rows = await asyncio.gather(*(database.fetchrow(query) for _ in range(30)))
        assert len({row[0] for row in rows}) == 3
        assert await database.fetchval(_MINE) == 3

    with_pool(postgres, test)


def test_who_waits_too_long_is_told(postgres: EmbeddedServer) -> None:
    async def test(database: Database) -> None:
        async with database.connection():
            with pytest.raises(DatabaseUnavailableError, match="all 1 connections were busy"):
                await database.fetchval("SELECT 1")
        assert await database.fetchval("SELECT 1") == 1

    with_pool(postgres, test, size=1, wait_timeout_s=0.1)


def test_a_query_that_takes_too_long_is_ended(postgres: EmbeddedServer) -> None:
    async def test(database: Database) -> None:
        with pytest.raises(DatabaseUnavailableError):
            await database.fetchval("SELECT pg_sleep(5)")
        # The connection whose answer is still to come is not given to anybody else.
        assert await database.fetchval("SELECT 7") == 7

    with_pool(postgres, test, size=1, query_timeout_s=0.1)


def test_a_caller_that_goes_away_leaves_a_clean_connection(postgres: EmbeddedServer) -> None:
    async def test(database: Database) -> None:
        task = asyncio.create_task(database.fetchval("SELECT pg_sleep(5)"))
        waiting = asyncio.create_task(database.fetchval("SELECT 8"))
        await asyncio.sleep(0.05)
        task.cancel()
        assert await waiting == 8
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await database.fetchval("SELECT 9") == 9

    with_pool(postgres, test, size=1)


def test_a_broken_connection_is_replaced(postgres: EmbeddedServer) -> None:
    async def test(database: Database) -> None:
        killer = await asyncpg.connect(postgres.url)
        await killer.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = 'pool'"""
        )
        await killer.close()
        await asyncio.sleep(0.05)
        results = await asyncio.gather(*(database.fetchval("SELECT 1") for _ in range(9)))
        assert results == [1] * 9
        assert await database.fetchval(_MINE) <= 3

    with_pool(postgres, test)


def test_a_server_that_says_good_bye_and_does_not_close_is_away(postgres: EmbeddedServer) -> None:
    """As every backend does when PostgreSQL is killed: for a moment its word is there alone."""

    async def run() -> None:
        async with relay_that_keeps_open(postgres) as (url, server_ended):
            database = await Database.open(url, 1, name="good-bye")
            pid = await database.fetchval("SELECT pg_backend_pid()")
            other = await asyncpg.connect(postgres.url)
            await other.execute("SELECT pg_terminate_backend($1, 5000)", pid)
            await other.close()
            await server_ended.wait()
            # What the relay wrote is in the socket; it is read within a few turns of this loop.
            await asyncio.sleep(0.05)
            with pytest.raises(DatabaseUnavailableError, match="another operation"):
                await database.fetchval("SELECT 1")
            assert await database.fetchval("SELECT 7") == 7
            await database.close()

    asyncio.run(run())


@contextlib.asynccontextmanager
async def relay_that_keeps_open(
    server: EmbeddedServer,
) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The server's address by way of a relay that passes on bytes and never an end, and whether
    the server has ended a connection."""
    address = urlsplit(server.url)
    host, port = address.hostname, address.port
    ends, server_ended = asyncio.Event(), asyncio.Event()

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ended: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        ended.set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port)
        tasks = [
            asyncio.create_task(pump(reader, back, asyncio.Event())),
            asyncio.create_task(pump(there, writer, server_ended)),
        ]
        await ends.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        back.close()

    listening = await asyncio.start_server(relay, "127.0.0.1", 0)
    own = listening.sockets[0].getsockname()[1]
    try:
        yield server.url.replace(f"{host}:{port}", f"127.0.0.1:{own}"), server_ended
    finally:
        ends.set()
        listening.close()
        await listening.wait_closed()


def test_a_wrong_statement_costs_no_connection(postgres: EmbeddedServer) -> None:
    async def test(database: Database) -> None:
        pid = await database.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await database.fetchval("SELEC 1")
        assert await database.fetchval("SELECT pg_backend_pid()") == pid

    with_pool(postgres, test, size=1)


def test_a_transaction_is_rolled_back_by_what_is_raised(postgres: EmbeddedServer) -> None:
    async def test(database: Database) -> None:
        await database.fetch("CREATE TABLE IF NOT EXISTS kept (n int)")
        with pytest.raises(ZeroDivisionError):
            async with transaction(database) as connection:
                await connection.execute("INSERT INTO kept VALUES (1)")
                raise ZeroDivisionError
        assert await database.fetchval("SELECT count(*) FROM kept") == 0

    with_pool(postgres, test)


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(DatabaseUnavailableError):
        asyncio.run(Database.open("postgresql://127.0.0.1:1/x", 2, name="pool"))


def test_the_address_may_be_sqlalchemys() -> None:
    assert normalized_url("postgresql+asyncpg://u:p@h/d") == "postgresql://u:p@h/d"
    assert normalized_url("postgresql://h/d?a=b+c") == "postgresql://h/d?a=b+c"

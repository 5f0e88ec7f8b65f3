"""What PostgreSQL says of its backends, from a real server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from loadpath.deploy import Guard
from loadpath.deploy.dependencies import Dependencies
from loadpath.errors import WouldNotRunError
from loadpath.events import discard
from loadpath.meter import Meter, PostgresActivity
from loadpath.meter.tables import Columns
from loadpath.recording.schema import POSTGRES
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload

SETUP = Setup(
    service=Service(
        name="s",
        directory=Path(),
        start=("s",),
        dependencies=(Dependency(name="database", kind="postgres", env={}),),
    ),
    workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
)


@asynccontextmanager
async def postgres() -> AsyncIterator[Dependencies]:
    """An embedded PostgreSQL, in a folder that the user it runs as may enter."""
    with tempfile.TemporaryDirectory(prefix="loadpath-test-") as folder:
        async with Guard() as guard:
            dependencies = Dependencies(SETUP, guard=guard, emit=discard, folder=Path(folder))
            try:
                await dependencies.start({})
                yield dependencies
            finally:
                await dependencies.stop()


def connection(dependencies: Dependencies) -> dict[str, Any]:
    """How to connect to it."""
    running = dependencies.running["database"]
    return {
        "host": running.host,
        "port": running.port,
        "user": running.user,
        "password": running.password,
        "database": running.name,
    }


async def until(activity: PostgresActivity, wanted: tuple[str, str, str]) -> dict[Any, int]:
    """The last sample's groups, once `wanted` (state, wait type, wait) is among them."""
    groups: dict[Any, int] = {}
    for _ in range(400):
        columns = activity.take()
        if len(columns["at_s"]):
            groups = last_sample(columns)
            if wanted in groups:
                return groups
        await asyncio.sleep(0.02)
    raise AssertionError(f"{wanted} was not seen, last {groups}")


def last_sample(columns: Columns) -> dict[Any, int]:
    """How many backends did what when the last sample was taken."""
    last = columns["at_s"] == columns["at_s"][-1]
    keys = zip(*(columns[n][last] for n in ("state", "wait_event_type", "wait_event")), strict=True)
    return dict(zip(keys, columns["backends"][last].tolist(), strict=True))


def test_backends_are_counted_by_what_they_do() -> None:
    """Two hold a transaction open, one waits for a row lock of theirs, one sleeps, one is idle."""

    async def main() -> None:
        async with postgres() as dependencies:
            options = connection(dependencies)
            clients = [await asyncpg.connect(**options) for _ in range(5)]
            holder, second, waiter, sleeper, idle = clients
            await idle.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
            async with PostgresActivity("database", interval_s=0.02, **options) as activity:
                for client in (holder, second):
                    await client.execute("BEGIN; SELECT 1")
                await holder.execute("UPDATE t SET a = 2")
                waiting = asyncio.create_task(waiter.execute("UPDATE t SET a = 3"))
                sleeping = asyncio.create_task(sleeper.execute("SELECT pg_sleep(30)"))
                groups = await until(activity, ("active", "Lock", "transactionid"))
                groups |= await until(activity, ("active", "Timeout", "PgSleep"))
                assert groups["active", "Lock", "transactionid"] == 1
                assert groups["active", "Timeout", "PgSleep"] == 1
                assert groups["idle in transaction", "Client", "ClientRead"] == 2
                assert groups["idle", "Client", "ClientRead"] == 1
                await holder.execute("COMMIT")
                await waiting
                sleeping.cancel()
                columns = activity.take()
                assert tuple(columns) == POSTGRES.column_names()
                assert set(columns["part"]) <= {"database"}
            for client in clients:
                await client.close()

    asyncio.run(main())


def test_a_server_that_goes_away_ends_sampling() -> None:
    """As it does at the end of every arm: what was sampled stays, and the reason is kept."""

    async def main() -> None:
        async with postgres() as dependencies:
            options = connection(dependencies)
            async with PostgresActivity("database", interval_s=0.02, **options) as activity:
                other = await asyncpg.connect(**options)
                await until(activity, ("idle", "Client", "ClientRead"))
                await dependencies.stop()
                for _ in range(400):
                    if activity.lost is not None:
                        break
                    await asyncio.sleep(0.02)
                assert activity.lost is not None
                other.terminate()
            with pytest.raises(WouldNotRunError, match="database: cannot watch PostgreSQL"):
                await PostgresActivity("database", **options).start()

    asyncio.run(main())


def test_postgres_processes_are_named_by_what_they_do() -> None:
    """Its processes all have one name; the CPU of the one that writes the log is told apart."""

    async def main() -> None:
        async with postgres() as dependencies:
            root = dependencies.servers["database"].child.pid
            client = await asyncpg.connect(**connection(dependencies))
            with Meter(lambda: {"database": (root,)}, interval_s=0.02) as meter:
                await client.execute("SELECT count(*) FROM generate_series(1, 1000000)")
                tables = meter.take()
            await client.close()
            of_database = tables.processes["part"] == "database"
            kinds = set(tables.processes["name"][of_database])
            assert {"postmaster", "checkpointer", "walwriter", "backend"} <= kinds
            names = tables.threads["name"][tables.threads["part"] == "database"]
            assert {"postmaster", "walwriter", "backend"} <= set(names)

    asyncio.run(main())

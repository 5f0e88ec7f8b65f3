"""One PostgreSQL for all tests of growth, and an event loop that outlives each of them."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import msgspec
import pytest

from loadpath.deploy import Guard, RunningDependency
from loadpath.deploy.dependencies import Dependencies
from loadpath.events import AnyEvent, discard
from loadpath.experiment.growth.catalog import read_schema
from loadpath.experiment.growth.clone import connect
from loadpath.experiment.growth.grower import grow, prepare
from loadpath.growing.families import families
from loadpath.growing.plan import Axis, Grown, Refusal
from loadpath.growing.schema import Schema
from loadpath.spec import Dependency, Growth, OpenArrivals, Service, Setup, Workload

T = TypeVar("T")

# A database for each test is hundreds of files, and what they hold survives no crash here anyway.
DATABASE = Dependency(name="database", kind="postgres", env={}, settings={"fsync": "off"})
SETUP = Setup(
    service=Service(name="s", directory=Path(), start=("s",), dependencies=(DATABASE,)),
    workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
)


class Server:
    """A PostgreSQL with a database for each who asks."""

    def __init__(self, runner: asyncio.Runner, running: RunningDependency) -> None:
        self._runner = runner
        self.running = running
        self.events: list[AnyEvent] = []

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Do it in the loop that the server belongs to."""
        return self._runner.run(doing)

    def database(self, sql: str) -> RunningDependency:
        """A new database made by a script."""
        return self.run(self._database(sql))

    async def _database(self, sql: str) -> RunningDependency:
        name = f"test_{secrets.token_hex(4)}"
        connection = await connect(self.running, "postgres")
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        running = msgspec.structs.replace(self.running, name=name)
        connection = await connect(running)
        await connection.execute(sql)
        await connection.close()
        return running

    def fetch(self, running: RunningDependency, sql: str) -> list[asyncpg.Record]:
        """The rows of one query."""

        async def fetched() -> list[asyncpg.Record]:
            connection = await connect(running)
            try:
                return list(await connection.fetch(sql))
            finally:
                await connection.close()

        return self.run(fetched())

    def execute(self, sql: str, running: RunningDependency | None = None) -> None:
        """Run a script, in the server's own database if in no other."""

        async def executed() -> None:
            connection = await connect(running or self.running)
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        self.run(executed())

    def verify(self, running: RunningDependency) -> None:
        """Have PostgreSQL itself look at every constraint of it."""
        self.execute(VERIFIED, running)

    def schema(self, running: RunningDependency, growth: Growth | None = None) -> Schema:
        """What is read of it."""

        async def read() -> Schema:
            connection = await connect(running)
            try:
                return await read_schema(connection, growth)
            finally:
                await connection.close()

        return self.run(read())

    def grown(
        self,
        running: RunningDependency,
        axis: Axis,
        factor: int,
        growth: Growth | None = None,
    ) -> Grown | Refusal:
        """It, grown where it is."""
        return self.run(grown(running, axis, factor, growth))


async def grown(
    running: RunningDependency, axis: Axis, factor: int, growth: Growth | None = None
) -> Grown | Refusal:
    """A database, grown where it is."""
    connection = await connect(running)
    try:
        schema = await read_schema(connection, growth)
        made = await prepare(connection, schema, families(schema, growth), axis, factor)
    finally:
        await connection.close()
    return made if isinstance(made, Refusal) else await grow(running, made, discard, schema=schema)


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    """The PostgreSQL that all tests here share."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> RunningDependency:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loadpath-test-")))
            guard = await stack.enter_async_context(Guard())
            dependencies = Dependencies(SETUP, guard=guard, emit=discard, folder=folder)
            stack.push_async_callback(dependencies.stop)
            await dependencies.start({})
            return dependencies.running["database"]

        running = runner.run(start())
        try:
            yield Server(runner, running)
        finally:
            runner.run(stack.aclose())


VERIFIED = """
CREATE EXTENSION IF NOT EXISTS amcheck;
DO $$
DECLARE each record;
BEGIN
    -- PostgreSQL looks at every row when it is asked to hold a constraint anew.
    FOR each IN SELECT conrelid::regclass AS place, conname, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint WHERE contype IN ('f', 'c') AND conparentid = 0 AND coninhcount = 0
        AND connamespace::regnamespace::text = 'public' AND conrelid <> 0
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.place, each.conname);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s',
            each.place, each.conname, each.definition);
    END LOOP;
    FOR each IN SELECT indexrelid::regclass AS place FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_am AS a ON a.oid = c.relam
        WHERE a.amname = 'btree' AND c.relkind = 'i'
        AND c.relnamespace = 'public'::regnamespace
    LOOP
        PERFORM bt_index_check(each.place, true, true);
    END LOOP;
END $$
"""
"""Raises unless every constraint holds, by PostgreSQL's own judgment and not by the grower's."""

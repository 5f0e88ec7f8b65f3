"""What the tests of faults share: real servers behind taps, started once, and clients of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import nats
import pytest
import redis.asyncio

from loadpath.deploy import Deployment, Guard
from loadpath.faults import Hits, Injection, Stage, check, inject, parse_fault
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload
from loadpath.tap import Taps

SERVICES = Path(__file__).parents[1] / "deploy" / "services"
T = TypeVar("T")

TABLES = """
CREATE TABLE link (code text PRIMARY KEY, url text NOT NULL);
CREATE TABLE link_visit (code text);
"""


def world_setup(service: str = "workers") -> Setup:
    """A service that forks two workers and needs one server of each kind."""
    template = "{host}:{port}"
    return Setup(
        service=Service(
            name="world",
            directory=SERVICES,
            start=(sys.executable, "service.py", service, "{port}"),
            ready_timeout_s=20.0,
            stop_timeout_s=1.0,
            dependencies=(
                Dependency(name="database", kind="postgres", env={"DATABASE": template}),
                Dependency(name="cache", kind="valkey", env={"CACHE": template}),
                Dependency(name="queue", kind="nats", env={"QUEUE": template}),
            ),
        ),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )


class World:
    """A deployment with taps on its wires, in a loop of its own, and clients through the taps."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.setup = world_setup()
        self.places: dict[str, Any] = {}

    def run(self, test: Coroutine[Any, Any, T], within_s: float = 40.0) -> T:
        async def limited() -> T:
            async with asyncio.timeout(within_s):
                return await test

        return self.runner.run(limited())

    async def open(self) -> None:
        self._stack = AsyncExitStack()
        self.guard = await self._stack.enter_async_context(Guard())
        kinds = {d.name: d.kind for d in self.setup.service.dependencies}
        self.taps = await self._stack.enter_async_context(Taps(kinds, spawn=self.guard.spawn))

        async def wrap(name: str, address: Any) -> Any:
            self.places[name] = await self.taps.wrap(name, address)
            return self.places[name]

        self.deployment = await self._stack.enter_async_context(
            Deployment(self.setup, guard=self.guard, wrap=wrap)
        )
        self.places["service"] = await self.taps.wrap_service(self.deployment.address)
        self.events: list[Any] = []
        self.stage = Stage(
            self.deployment, guard=self.guard, taps=self.taps, emit=self.events.append
        )
        async with self.stage.postgres("database") as connection:
            await connection.execute(TABLES)

    async def close(self) -> None:
        await self._stack.aclose()

    def fault(self, text: str) -> Any:
        """The context of a fault, as the command line says it."""
        fault = check(parse_fault(text), self.setup, tapped=True, root=True)
        return inject(fault, self.stage)

    async def postgres(self, **options: Any) -> Any:
        """An asyncpg connection through the tap."""
        server, place = self.stage.running("database"), self.places["database"]
        return await asyncpg.connect(
            host=place.host,
            port=place.port,
            user=server.user,
            password=server.password,
            database=server.name,
            **{"timeout": 10, "command_timeout": 10, **options},
        )

    def conninfo(self) -> str:
        """For psycopg, through the tap."""
        server, place = self.stage.running("database"), self.places["database"]
        return (
            f"host={place.host} port={place.port} user={server.user} "
            f"password={server.password} dbname={server.name} connect_timeout=10"
        )

    def redis(self, **options: Any) -> Any:
        """A client of one connection through the tap, which does not try again."""
        server, place = self.stage.running("cache"), self.places["cache"]
        return redis.asyncio.Redis(
            host=place.host,
            port=place.port,
            password=server.password,
            retry=None,
            single_connection_client=True,
            **{"socket_timeout": 5, **options},
        )

    async def nats(self, **options: Any) -> Any:
        """A client through the tap."""
        server, place = self.stage.running("queue"), self.places["queue"]
        return await nats.connect(
            f"nats://{place.host}:{place.port}",
            user=server.user,
            password=server.password,
            **{"allow_reconnect": False, "connect_timeout": 5, **options},
        )

    async def get(self, path: str = "/") -> bytes:
        """What the service answers through the tap before it; empty when it only closes."""
        place = self.places["service"]
        reader, writer = await asyncio.open_connection(place.host, place.port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: service\r\n\r\n".encode())
            return await reader.readline()
        finally:
            writer.close()

    async def truth(self, query: str, *arguments: Any) -> Any:
        """What the database itself says, past the tap."""
        async with self.stage.postgres("database") as connection:
            return await connection.fetchval(query, *arguments)


async def hit(injection: Injection) -> Hits:
    """The hits of a fault, of which there must be some."""
    hits = await injection.hits()
    assert hits.count >= 1, hits
    return hits


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    with asyncio.Runner() as runner:
        world = World(runner)
        runner.run(world.open())
        yield world
        runner.run(world.close())


@pytest.fixture
def run(world: World) -> Callable[..., Any]:
    return world.run

"""PostgreSQL, Valkey and NATS through taps, with the clients that people use."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import nats
import psycopg
import pytest
import redis.asyncio

from loadpath.deploy import Address, Guard, RunningDependency
from loadpath.deploy.dependencies import Dependencies
from loadpath.recording.schema import CONNECTIONS, EXCHANGES, SHAPES
from loadpath.recording.tables import read_table
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload
from loadpath.tap import Stats, Taps, Window, WindowResult

from .conftest import run

Rows = list[dict[str, Any]]


class Seen:
    """What the taps recorded: exchanges with the text of their shape, connections, the end."""

    def __init__(self, window: Window, result: WindowResult, stats: Stats) -> None:
        self.result = result
        self.stats = stats
        self.shapes = self._rows(window.shapes, SHAPES)
        text = {row["shape"]: row["text"] for row in self.shapes}
        self.exchanges = self._rows(window.exchanges, EXCHANGES)
        for row in self.exchanges:
            row["text"] = text[row["shape"]]
        self.connections = self._rows(window.connections, CONNECTIONS)

    @staticmethod
    def _rows(path: Path, table: Any) -> Rows:
        columns = {name: column.tolist() for name, column in read_table(path, table).items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def counts(self, *columns: str) -> Counter[Any]:
        return Counter(tuple(row[c] for c in columns) for row in self.exchanges)


def through_taps(
    folder: Path,
    kind: str,
    use: Callable[[RunningDependency, Address, Dependencies], Awaitable[None]],
) -> Seen:
    """Start a server of that kind and use it through a tap, recorded."""
    seen: list[Seen] = []
    setup = Setup(
        service=Service(
            name="test",
            directory=folder,
            start=("true",),
            dependencies=(Dependency(name="it", kind=kind, env={}),),  # type: ignore[arg-type]
        ),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )

    async def test() -> None:
        async with Guard() as guard:
            dependencies = Dependencies(
                setup, guard=guard, emit=lambda event: None, folder=guard.make_folder()
            )
            try:
                await dependencies.start({})
                running = dependencies.running["it"]
                async with Taps({"it": kind}, spawn=guard.spawn) as taps:
                    address = await taps.wrap("it", running.address)
                    window = Window(0, *(folder / name for name in ("e", "c", "s")))
                    await taps.begin(window)
                    await use(running, address, dependencies)
                    # Until the server's last words on closed connections have come.
                    async with asyncio.timeout(20):
                        while (await taps.stats()).tap("it").open_count:
                            await asyncio.sleep(0.01)
                    result = await taps.end()
                    seen.append(Seen(window, result, await taps.stats()))
            finally:
                await dependencies.stop()

    run(test())
    assert seen[0].result.unread == {}
    assert seen[0].stats.faults == {}
    return seen[0]


def test_statements_are_counted_as_postgresql_counts_them(tmp_path: Path) -> None:
    """Two drivers, prepared and simple, transactions, an error: as pg_stat_statements has it."""
    counted: Counter[str] = Counter()

    async def use(running: RunningDependency, tap: Address, _: Dependencies) -> None:
        at = {
            "user": running.user,
            "password": running.password,
            "database": running.name,
        }
        watcher = await asyncpg.connect(host=running.host, port=running.port, **at)
        await watcher.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        await watcher.execute("CREATE TABLE link (code text PRIMARY KEY, url text)")
        await watcher.execute("SELECT pg_stat_statements_reset()")
        client = await asyncpg.connect(host=tap.host, port=tap.port, **at)
        async with client.transaction():
            for n in range(20):
                await client.execute("INSERT INTO link VALUES ($1, $2)", f"secret{n}", "url")
        for n in range(30):
            assert await client.fetchval("SELECT url FROM link WHERE code = $1", f"secret{n % 20}")
        assert len(await client.fetch("SELECT * FROM link")) == 20
        with contextlib.suppress(asyncpg.UniqueViolationError):
            await client.execute("INSERT INTO link VALUES ($1, $2)", "secret1", "again")
        await client.close()

        def simple() -> None:
            url = f"host={tap.host} port={tap.port} user={running.user} dbname={running.name}"
            with psycopg.connect(url, password=running.password, autocommit=True) as sync:
                for n in range(10):
                    sync.execute(f"SELECT url FROM link WHERE code = 'secret{n}'")

        await asyncio.to_thread(simple)
        rows = await watcher.fetch(
            "SELECT calls, query FROM pg_stat_statements WHERE query ~ 'link' AND query !~ 'TABLE'"
        )
        for row in rows:
            counted[row["query"].split()[0] + (" *" if "*" in row["query"] else "")] += row["calls"]
        await watcher.close()

    seen = through_taps(tmp_path, "postgres", use)
    found = Counter(
        row["text"].split()[0] + (" *" if "*" in row["text"] else "")
        for row in seen.exchanges
        if "link" in row["text"] and row["verb"] in ("execute", "query") and not row["error"]
    )
    assert found == counted == {"INSERT": 20, "SELECT": 40, "SELECT *": 1}
    failed = [row for row in seen.exchanges if row["error"]]
    assert [row["error"] for row in failed] == ["23505"]
    star = next(r for r in seen.exchanges if "*" in r["text"] and r["verb"] == "execute")
    assert star["rows"] == 20
    inserts = [r for r in seen.exchanges if r["text"].startswith("INSERT") and not r["error"]]
    assert {row["transaction"] for row in inserts} == {"open"}
    selects = [row for row in seen.exchanges if "code = $1" in row["text"]]
    assert {row["transaction"] for row in selects} == {"none"}
    asked = Counter(r["parameters"] for r in selects if r["verb"] == "execute")
    assert sorted(asked.values()) == [1] * 10 + [2] * 10
    assert len({row["connection"] for row in seen.exchanges}) == 2
    stored = b"".join((tmp_path / name).read_bytes() for name in "ecs")
    assert b"secret" not in stored


def test_commands_are_counted_as_valkey_counts_them(tmp_path: Path) -> None:
    counted: dict[str, int] = {}

    async def use(running: RunningDependency, tap: Address, _: Dependencies) -> None:
        watcher = redis.asyncio.Redis(
            host=running.host, port=running.port, password=running.password
        )
        await watcher.ping()
        await watcher.config_resetstat()
        async with redis.asyncio.Redis(
            host=tap.host, port=tap.port, password=running.password
        ) as client:
            for n in range(25):
                await client.set(f"link:{n}", "url", ex=60)
                assert await client.get(f"link:{n}") == b"url"
            async with client.pipeline(transaction=True) as pipe:
                for _ in range(5):
                    pipe.incr("visits:today")
                await pipe.execute()
            with contextlib.suppress(redis.asyncio.ResponseError):
                await client.lpush("visits:today", "x")
        stats = await watcher.info("commandstats")
        counted.update({name.removeprefix("cmdstat_"): s["calls"] for name, s in stats.items()})
        await watcher.aclose()

    seen = through_taps(tmp_path, "valkey", use)
    found = seen.counts("verb", "text")
    assert found["GET", "link:*"] == counted["get"] == 25
    assert found["SET", "link:*"] == counted["set"] == 25
    assert found["INCRBY", "visits:today"] == counted["incrby"] == 5
    assert found["LPUSH", "visits:today"] == counted["lpush"] == 1
    assert [row["error"] for row in seen.exchanges if row["verb"] == "LPUSH"] == ["WRONGTYPE"]
    assert len({r["parameters"] for r in seen.exchanges if r["verb"] == "GET"}) == 25


def test_messages_of_nats_are_seen_by_their_subjects(tmp_path: Path) -> None:
    async def use(running: RunningDependency, tap: Address, _: Dependencies) -> None:
        url = f"nats://{running.user}:{running.password}@{tap}"
        client = await nats.connect(url, allow_reconnect=False)
        got: list[bytes] = []

        async def take(message: Any) -> None:
            got.append(message.data)
            await message.respond(b"yes")

        await client.subscribe("asked.*", cb=take)
        for n in range(10):
            assert (await client.request(f"asked.{n}", b"?", timeout=10)).data == b"yes"
            await client.publish("told.all", b"news")
        await client.flush()
        await client.close()
        assert len(got) == 10

    seen = through_taps(tmp_path, "nats", use)
    found = seen.counts("verb", "text")
    assert found["PUB", "told.all"] == 10
    assert found["MSG", "asked.*"] == 10
    pushed = {row["verb"] for row in seen.exchanges if row["pushed"]}
    assert "MSG" in pushed


def test_a_restart_of_the_server_is_passed_on_and_recorded(tmp_path: Path) -> None:
    """PostgreSQL ends its sessions, then is away, then back: all through the same tap."""

    async def use(running: RunningDependency, tap: Address, dependencies: Dependencies) -> None:
        at = {"user": running.user, "password": running.password, "database": running.name}
        client = await asyncpg.connect(host=tap.host, port=tap.port, **at)
        asleep = asyncio.ensure_future(client.fetch("SELECT pg_sleep(60)"))
        watcher = await asyncpg.connect(host=running.host, port=running.port, **at)
        asleep_ones = "FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
        async with asyncio.timeout(20):
            while not await watcher.fetchval(f"SELECT count(*) {asleep_ones}"):
                await asyncio.sleep(0.01)
        await watcher.execute(f"SELECT pg_terminate_backend(pid) {asleep_ones}")
        with pytest.raises(
            (asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError),
            match="administrator command",
        ):
            await asleep
        client.terminate()
        await watcher.close()
        again = await asyncpg.connect(host=tap.host, port=tap.port, **at)
        await dependencies.servers["it"].stop()
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await again.fetch("SELECT 1")
        again.terminate()
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await asyncpg.connect(host=tap.host, port=tap.port, **at)

    seen = through_taps(tmp_path, "postgres", use)
    endings = [row["ending"] for row in sorted(seen.connections, key=lambda r: r["connection"])]
    assert len(endings) == 3
    assert endings[0] == "server closed"
    assert endings[1].startswith("server ")
    assert endings[2] == "not connected"
    assert seen.stats.tap("it").not_connected_count == 1
    asleep = next(r for r in seen.exchanges if "pg_sleep" in r["text"] and r["verb"] == "execute")
    assert asleep["error"] == "57P01" or not asleep["ended"]

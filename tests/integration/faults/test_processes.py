"""Faults of processes: what ends, what stops, what clients see, and that all of it comes back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import asyncpg
import pytest
import redis.exceptions

from loadpath.errors import LoadpathError

from .conftest import World, hit


def states(world: World, part: str) -> set[str]:
    found = set()
    for entry in world.stage.processes(part):
        stat = Path(f"/proc/{entry.pid}/stat").read_text("latin-1")
        found.add(stat.rpartition(")")[2].split()[0])
    return found


async def status(world: World) -> int:
    address = world.deployment.address
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


@pytest.mark.parametrize("how", ["killed", "terminated", "restarted"])
def test_an_ended_database_breaks_its_clients_and_comes_back_with_its_data(
    world: World, how: str
) -> None:
    async def test() -> None:
        client = await world.postgres()
        await client.execute("INSERT INTO link VALUES ($1, 'x')", how)
        before = {entry.pid for entry in world.stage.processes("database")}
        async with world.fault(f"database {how}") as injection:
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await client.fetchval("SELECT 1")
            await injection.heal()
            assert (await hit(injection)).count <= len(before) + 1
            assert injection.healed_s > injection.onset_s
        assert before.isdisjoint(entry.pid for entry in world.stage.processes("database"))
        client = await world.postgres()
        assert await client.fetchval("SELECT url FROM link WHERE code = $1", how) == "x"
        await client.close()
        world.deployment.raise_if_died()

    world.run(test())


def test_a_stopped_database_stops_every_backend_and_goes_on_where_it_was(world: World) -> None:
    async def test() -> None:
        client = await world.postgres()
        assert await client.fetchval("SELECT 1") == 1
        async with world.fault("database stopped") as injection:
            assert states(world, "database") == {"T"}
            asked = asyncio.ensure_future(client.fetchval("SELECT 2"))
            await asyncio.sleep(0.2)
            assert not asked.done()
            count = len(world.stage.processes("database"))
            assert (await hit(injection)).count == count > 3
            await injection.heal()
            assert await asked == 2
        assert "T" not in states(world, "database")
        await client.close()

    world.run(test())


def test_a_stop_that_is_interrupted_is_undone(world: World) -> None:
    async def test() -> None:
        async def interrupted() -> None:
            async with world.fault("cache stopped"):
                assert states(world, "cache") == {"T"}
                await asyncio.sleep(60)

        task = asyncio.create_task(interrupted())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "T" not in states(world, "cache")
        assert await world.redis().ping()

    world.run(test())


def test_a_crash_loop_kills_each_time_that_it_is_back(world: World) -> None:
    async def test() -> None:
        client = world.redis()
        assert await client.ping()
        async with world.fault("cache crash loop every 50ms") as injection:
            with pytest.raises(redis.exceptions.ConnectionError):
                await client.ping()
            while (await injection.hits()).count < 3:
                await asyncio.sleep(0.05)
        assert await world.redis().ping()
        world.deployment.raise_if_died()

    world.run(test())


def test_one_backend_killed_ends_every_session_and_recovers(world: World) -> None:
    async def test() -> None:
        one, other = await world.postgres(), await world.postgres()
        assert await one.fetchval("SELECT 1") == await other.fetchval("SELECT 1")
        async with world.fault("database backend killed") as injection:
            for client in (one, other):
                with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                    while True:
                        await client.fetchval("SELECT 1")
            assert (await hit(injection)).count == 1
        deadline_s = time.monotonic() + 10
        while True:
            try:
                assert await world.truth("SELECT 1") == 1
                break
            except LoadpathError:
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.05)

    world.run(test())


def test_one_worker_killed_leaves_the_service_there(world: World) -> None:
    async def test() -> None:
        before = len(world.stage.processes("service"))
        async with world.fault("service worker killed") as injection:
            assert (await hit(injection)).count == 1
            assert await status(world) == 200
        assert len(world.stage.processes("service")) == before - 1

    world.run(test())


@pytest.mark.parametrize("how", ["killed", "terminated"])
def test_an_ended_service_is_started_again_at_its_address(world: World, how: str) -> None:
    async def test() -> None:
        address = world.deployment.address
        async with world.fault(f"service {how}") as injection:
            with pytest.raises(OSError):
                await status(world)
            await injection.heal()
            await hit(injection)
            assert await status(world) == 200
        assert world.deployment.address == address
        world.deployment.raise_if_died()

    world.run(test())


def test_a_part_that_is_back_is_watched_again(world: World) -> None:
    async def test() -> None:
        async with world.fault("queue killed"):
            assert world.stage.processes("queue") == []
        assert "queue" in world.deployment._running
        assert "queue" not in world.deployment._may_end
        client = await world.nats()
        await client.close()

    world.run(test())

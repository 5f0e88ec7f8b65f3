"""Faults of what a dependency holds: keys, memory, locks, disk."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import asyncpg
import pytest
import redis.exceptions

from loadpath.errors import LoadpathError

from .conftest import World, hit


def test_a_flushed_cache_keeps_its_connections_and_a_cold_one_does_not(world: World) -> None:
    async def test() -> None:
        client = world.redis()
        await client.set("key", "value")
        async with world.fault("cache flushed") as injection:
            assert await client.get("key") is None
            await hit(injection)
        await client.set("key", "value")
        async with world.fault("cache cold") as injection:
            with pytest.raises(redis.exceptions.ConnectionError):
                await client.get("key")
            await hit(injection)
            assert await world.redis().get("key") is None
        async with world.fault("cache flushed") as injection:
            assert (await injection.hits()).count == 0
        world.deployment.raise_if_died()

    world.run(test())


def test_a_full_memory_refuses_writes_loses_nothing_and_is_restored(world: World) -> None:
    async def test() -> None:
        client = world.redis()
        await client.set("key", "value")
        before = await client.config_get("maxmemory*")
        async with world.fault("cache memory full") as injection:
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                await client.set("key", "other")
            assert await client.get("key") == b"value"
            assert (await hit(injection)).count == 1
        assert (await injection.hits()).count == 1
        assert await client.config_get("maxmemory*") == before
        assert await client.set("key", "other")
        await client.aclose()

    world.run(test())


def test_a_lock_makes_others_wait_until_it_is_released(world: World) -> None:
    async def test() -> None:
        client = await world.postgres(command_timeout=30)
        await client.execute("INSERT INTO link VALUES ('locked', 'x'), ('free', 'x')")
        change = "UPDATE link SET url = 'y' WHERE code = $1"
        async with world.fault("database locked link rows code = 'locked'") as injection:
            await client.execute(change, "free")
            waiting = asyncio.ensure_future(client.execute(change, "locked"))
            await asyncio.sleep(0.15)
            assert not waiting.done()
            assert "1 rows locked" in (await hit(injection)).proof
            await injection.heal()
            assert await waiting == "UPDATE 1"
        async with world.fault("database locked link") as injection:
            waiting = asyncio.ensure_future(client.fetchval("SELECT count(*) FROM link"))
            await asyncio.sleep(0.15)
            assert not waiting.done()
            await hit(injection)
        assert await waiting >= 2
        with pytest.raises(LoadpathError, match='relation "nowhere" does not exist'):
            async with world.fault("database locked nowhere"):
                pass
        held = await world.truth("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'")
        assert held == 0
        await client.close()

    world.run(test())


def test_a_slow_statement_is_slow(world: World) -> None:
    async def test() -> None:
        client = await world.postgres()
        async with world.fault("database slow 100ms on SELECT url FROM link") as injection:
            began_s = time.monotonic()
            await client.fetchval("SELECT url FROM link WHERE code = 'free'")
            assert time.monotonic() - began_s >= 0.099
            await hit(injection)
        await client.close()

    world.run(test())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")
def test_a_full_disk_refuses_what_needs_room_and_leaves_no_file_system(world: World) -> None:
    async def test() -> None:
        before = await world.truth("SELECT count(*) FROM link")
        fill = (
            "INSERT INTO link SELECT 'disk-' || g, repeat('x', 500) FROM generate_series(1, $1) g"
        )
        async with world.fault("database disk full") as injection:
            client = await world.postgres()
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await client.execute(fill, 100_000)
            await hit(injection)
            assert "loadpath" in Path("/proc/mounts").read_text("utf-8")
            await injection.heal()
            client = await world.postgres()
            assert await client.fetchval("SELECT count(*) FROM link") == before
            await client.execute(fill, 100)
            await client.close()
        assert "loadpath /" not in Path("/proc/mounts").read_text("utf-8")
        assert await world.truth("SELECT count(*) FROM link") == before + 100
        world.deployment.raise_if_died()
        assert world.events == []

    world.run(test(), within_s=60)

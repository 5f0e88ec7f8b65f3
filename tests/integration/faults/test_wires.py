"""Faults of connections and of their bytes, as real clients see them through the taps."""

from __future__ import annotations

import asyncio
import time

import pytest
import redis.exceptions

from .conftest import World, hit

BROKEN = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError)


@pytest.mark.parametrize(
    "how",
    [
        *("refused", "black hole", "silent", "accept reset", "capped at 1"),
        *("stalled", "stalled replies", "stalled requests", "half-open"),
        *("closed", "reset", "cut at 2B"),
    ],
)
def test_open_and_new_connections_fail_until_it_heals(world: World, how: str) -> None:
    async def test() -> None:
        first = world.redis(socket_timeout=0.3, socket_connect_timeout=0.3)
        assert await first.ping()
        old = world.redis(socket_timeout=0.3, socket_connect_timeout=0.3)
        assert await old.ping()
        async with world.fault(f"cache {how}") as injection:
            with pytest.raises(BROKEN):
                await old.get("key")
            new = world.redis(socket_timeout=0.3, socket_connect_timeout=0.3)
            with pytest.raises(BROKEN):
                await new.get("key")
            await hit(injection)
            await injection.heal()
            assert await world.redis().ping()
        for client in (first, old, new):
            await client.aclose()

    world.run(test())


@pytest.mark.parametrize(
    ("how", "least_s"),
    [("+60ms ± 10ms", 0.1), ("+60ms requests", 0.058), ("bandwidth 2kB", 0.2), ("sliced 100B", 0)],
)
def test_bytes_come_later_and_whole(world: World, how: str, least_s: float) -> None:
    async def test() -> None:
        client = world.redis()
        await client.ping()
        async with world.fault(f"cache {how}") as injection:
            began_s = time.monotonic()
            assert await client.echo("x" * 400) == b"x" * 400
            assert time.monotonic() - began_s >= least_s
            await hit(injection)
        # Healed, the quickest of several is quick: the others may have waited for a core.
        took_s = []
        for _ in range(5):
            began_s = time.monotonic()
            assert await client.echo("x" * 400) == b"x" * 400
            took_s.append(time.monotonic() - began_s)
        assert min(took_s) < 0.05 + least_s / 2
        await client.aclose()

    world.run(test())


def test_postgres_and_nats_are_reached_by_the_same_words(world: World) -> None:
    async def test() -> None:
        client = await world.postgres()
        queue = await world.nats()
        async with (
            world.fault("database +50ms replies") as slow,
            world.fault("queue +50ms replies, first 1") as once,
        ):
            began_s = time.monotonic()
            await asyncio.gather(client.fetchval("SELECT 1"), queue.flush())
            assert time.monotonic() - began_s >= 0.048
            await hit(slow)
            assert (await hit(once)).count == 1
        await client.close()
        await queue.close()

    world.run(test())


def test_what_is_after_another_fault_waits_for_its_hit(world: World) -> None:
    async def test() -> None:
        client, new = world.redis(), world.redis()
        await client.ping()
        await new.ping()
        async with (
            world.fault("cache +1ms, only 3rd") as first,
            world.fault("cache reset, after cache +1ms, only 3rd") as then,
        ):
            await client.ping()
            assert (await then.hits()).count == 0
            with pytest.raises(BROKEN):
                for _ in range(3):
                    await client.ping()
            await hit(first)
            await hit(then)

    world.run(test())

"""What a tap does to connections when it is ordered to, to open ones and to new ones, and after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loadpath.errors import LoadpathError
from loadpath.tap import Place, orders
from loadpath.tap.orders import When

from .conftest import Relayed, connect, run, server

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SOON_S = 0.3


async def ask(streams: Streams, line: bytes = b"get x\n") -> bytes:
    reader, writer = streams
    writer.write(line)
    await writer.drain()
    return await reader.readline()


async def silent(streams: Streams) -> bool:
    """Whether nothing comes for a while."""
    try:
        async with asyncio.timeout(SOON_S):
            await streams[0].readline()
    except TimeoutError:
        return True
    return False


@asynccontextmanager
async def tapped(relayed: Relayed) -> AsyncIterator[Place]:
    async with server() as target:
        try:
            yield await relayed.tap(target)
        finally:
            relayed.relays.close()


async def ended_by(streams: Streams) -> str:
    try:
        async with asyncio.timeout(5):
            return "closed" if await ask(streams) == b"" else "answered"
    except ConnectionError:
        return "reset"


def test_refused_resets_who_is_there_and_refuses_who_comes_until_it_heals(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            streams = await connect(place)
            assert await ask(streams) == b"get x\n"
            number = await relayed.relays.order("it", orders.Refuse())
            assert await ended_by(streams) == "reset"
            for _ in range(3):
                with pytest.raises(ConnectionRefusedError):
                    await connect(place)
            assert (await relayed.relays.withdraw(number)).hits == 1
            assert await ask(await connect(place)) == b"get x\n"

    run(test())


def test_a_black_hole_answers_no_syn_and_counts_who_knocked(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            streams = await connect(place)
            number = await relayed.relays.order("it", orders.BlackHole())
            streams[1].write(b"get x\n")
            assert await silent(streams)
            knocking = asyncio.create_task(connect(place))
            await asyncio.sleep(SOON_S)
            assert not knocking.done()
            state = await relayed.relays.withdraw(number)
            assert state.hits == 2
            assert await streams[0].readline() == b"get x\n"
            # The kernel tries again a second after the first SYN.
            async with asyncio.timeout(5):
                assert await ask(await knocking) == b"get x\n"

    run(test())


def test_silence_accepts_and_says_nothing_until_it_heals(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            old = await connect(place)
            assert await ask(old) == b"get x\n"
            number = await relayed.relays.order("it", orders.Silence())
            new = await connect(place)
            for streams in (old, new):
                streams[1].write(b"get y\n")
            assert await silent(old) and await silent(new)
            assert (await relayed.relays.withdraw(number)).hits == 2
            for streams in (old, new):
                assert await streams[0].readline() == b"get y\n"

    run(test())


def test_accept_then_reset_and_a_cap_on_connections(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            number = await relayed.relays.order("it", orders.ResetNew(when=When(first=1)))
            assert await ended_by(await connect(place)) == "reset"
            kept = await connect(place)
            assert await ask(kept) == b"get x\n"
            with pytest.raises(LoadpathError, match="one order about new connections already"):
                await relayed.relays.order("it", orders.Refuse())
            await relayed.relays.withdraw(number)
            newest = await connect(place)
            assert await ask(newest) == b"get x\n"
            number = await relayed.relays.order("it", orders.Cap(connections=1))
            assert await ended_by(newest) == "reset"
            assert await ended_by(await connect(place)) == "reset"
            assert await ask(kept) == b"get x\n"
            assert (await relayed.relays.withdraw(number)).hits == 2
            assert await ask(await connect(place)) == b"get x\n"

    run(test())


@pytest.mark.parametrize(
    ("order", "least_s"),
    [
        (orders.Delay(delay_s=0.1), 0.2),
        (orders.Delay(delay_s=0.1, direction="replies"), 0.1),
        (orders.Delay(delay_s=0.1, jitter_s=0.02, direction="requests"), 0.079),
        (orders.Throttle(bytes_per_s=200, direction="requests"), 0.11),
        (orders.Slice(size_bytes=4, pause_s=0.01, direction="replies"), 0.05),
    ],
    ids=["both", "replies", "jitter", "bandwidth", "slices"],
)
def test_bytes_come_later_and_whole(relayed: Relayed, order: Any, least_s: float) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            old = await connect(place)
            assert await ask(old) == b"get x\n"
            number = await relayed.relays.order("it", order)
            line = b"get 0123456789012345678\n"
            for streams in (old, await connect(place)):
                began_s = time.monotonic()
                assert await ask(streams, line) == line
                assert time.monotonic() - began_s >= least_s - 0.002
            assert (await relayed.relays.withdraw(number)).hits >= 2
            assert not any(link._chains for link in relayed.relays._open["it"].links)
            assert await ask(old) == b"get x\n"

    run(test())


def test_a_delayed_end_comes_after_what_was_delayed(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            await relayed.relays.order("it", orders.Delay(delay_s=0.1))
            reader, writer = await connect(place)
            writer.write(b"get x\nget y\n")
            writer.write_eof()
            assert await reader.read() == b"get x\nget y\n"

    run(test())


def test_stalled_bytes_arrive_once_it_heals(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            streams = await connect(place)
            number = await relayed.relays.order("it", orders.Stall(direction="replies"))
            streams[1].write(b"get x\n")
            assert await silent(streams)
            streams[1].write(b"get y\n")
            assert (await relayed.relays.withdraw(number)).hits == 1
            assert await streams[0].readline() == b"get x\n"
            assert await streams[0].readline() == b"get y\n"

    run(test())


def test_a_half_open_connection_swallows_and_is_reset_once_it_heals(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            streams = await connect(place)
            assert await ask(streams) == b"get x\n"
            number = await relayed.relays.order("it", orders.HalfOpen())
            streams[1].write(b"get x\n")
            assert await silent(streams)
            assert (await relayed.relays.withdraw(number)).hits == 1
            assert await ended_by(streams) == "reset"
            assert await ask(await connect(place)) == b"get x\n"

    run(test())


@pytest.mark.parametrize("reset", [False, True])
def test_severed_connections_end_at_once_and_new_ones_with_their_first_bytes(
    relayed: Relayed, reset: bool
) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            old = await connect(place)
            assert await ask(old) == b"get x\n"
            number = await relayed.relays.order("it", orders.Sever(reset=reset))
            how = "reset" if reset else "closed"
            if reset:
                assert await ended_by(old) == how
            else:
                assert await old[0].readline() == b""
            assert await ended_by(await connect(place)) == how
            assert (await relayed.relays.withdraw(number)).hits == 2
            assert await ask(await connect(place)) == b"get x\n"

    run(test())


def test_a_connection_is_cut_at_its_byte(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            streams = await connect(place)
            await relayed.relays.order("it", orders.CutAt(at_byte=8))
            assert await ask(streams) == b"get x\n"
            streams[1].write(b"get x\n")
            assert await streams[0].read(100) == b"ge"
            with pytest.raises(ConnectionResetError):
                await streams[0].read(100)

    run(test())


def test_an_order_takes_what_its_when_allows(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed) as place:
            streams = await connect(place)
            second = await relayed.relays.order(
                "it", orders.Delay(delay_s=0.2, direction="requests", when=When(nth=2))
            )
            after = await relayed.relays.order(
                "it", orders.Delay(delay_s=0.2, direction="requests", when=When(after=second))
            )
            half = await relayed.relays.order(
                "it", orders.Delay(delay_s=0.0, when=When(probability=0.5, seed=3))
            )
            slow = []
            for _ in range(4):
                began_s = time.monotonic()
                await ask(streams)
                slow.append(time.monotonic() - began_s >= 0.198)
            assert slow == [False, True, True, True]
            assert relayed.relays.order_state(second).hits == 1
            assert relayed.relays.order_state(after).hits >= 2
            state = relayed.relays.order_state(half)
            assert 0 < state.hits < state.seen

    run(test())


def test_an_order_to_no_tap_is_refused_by_name(relayed: Relayed) -> None:
    async def test() -> None:
        async with tapped(relayed):
            with pytest.raises(LoadpathError, match="there is no tap cache; there are: it"):
                await relayed.relays.order("cache", orders.Stall())

    run(test())

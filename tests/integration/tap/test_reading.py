"""What crossed a tap is read in a moment when nothing crosses it."""

from __future__ import annotations

import asyncio
import time

from loadpath.tap.pieces import Pieces

from .conftest import Relayed, connect, descriptors, run, server, until


def test_it_is_read_once_it_is_quiet_without_anybody_asking() -> None:
    async def test() -> None:
        read: list[bytes] = []
        pieces = Pieces()
        open_before = descriptors()
        for word in (b"one", b"two"):  # the second time, the timer is begun anew
            pieces.add(lambda data, at_s: read.append(data), word, time.monotonic())
            assert read[-1:] != [word]
            await until(lambda: read[-1:] == [word])  # noqa: B023
        pieces.add(lambda data, at_s: read.append(data), b"three", time.monotonic())
        pieces.close()
        assert read == [b"one", b"two", b"three"]
        assert descriptors() == open_before

    run(test())


def test_what_crossed_before_a_window_began_is_not_in_it(relayed: Relayed) -> None:
    """Even if it had not been read by then; and what crossed last is in it."""

    async def test() -> None:
        async with server() as target:
            reader, writer = await connect(await relayed.tap(target))
            writer.write(b"before 1\n")
            await reader.readline()
            relayed.relays.begin(relayed.window())
            writer.write(b"within 1\n")
            await reader.readline()
            assert (await relayed.relays.end()).exchange_count == 1
            assert relayed.exchanges()["verb"] == ["within"]
            writer.close()

    run(test())


def test_times_are_those_of_the_bytes_not_of_the_reading(relayed: Relayed) -> None:
    async def test() -> None:
        async with server() as target:
            relayed.relays.begin(relayed.window())
            reader, writer = await connect(await relayed.tap(target))
            writer.write(b"a 1\n")
            await reader.readline()
            answered_s = time.monotonic()
            time.sleep(0.05)  # noqa: ASYNC251  the tap, in this very loop, can read nothing now
            await asyncio.sleep(0.05)
            await relayed.relays.end()
            assert relayed.exchanges()["ended_s"][0] <= answered_s
            writer.close()

    run(test())

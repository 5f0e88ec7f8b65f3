"""The taps as a process of their own, started by the real guard."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from loadpath.deploy import Address, Guard
from loadpath.errors import LoadpathError, RecordingError, UnusedDependencyError
from loadpath.spec import Dependency
from loadpath.tap import Place, Tap, Taps, Window, raise_if_unused

from .conftest import LOOPBACK, ask, connect, run, server


def window(folder: Path, segment: int = 0) -> Window:
    return Window(segment, folder / "exchanges", folder / "connections", folder / "shapes")


def test_an_address_is_wrapped_as_deploy_asks_for_it(tmp_path: Path) -> None:
    """The bytes pass; the process tells its pid, its CPU time and what each tap saw."""

    async def test() -> None:
        async with Guard() as guard, server() as target:
            async with Taps({"queue": "unheard of"}, spawn=guard.spawn) as taps:
                given = Address(target.host, target.port)
                address = await taps.wrap("queue", given)
                assert isinstance(address, Address)
                assert address != given
                place = Place(address.host, address.port)
                await taps.begin(window(tmp_path))
                assert await ask(place, "a 1", "a 2") == ["a 1", "a 2"]
                result = await taps.end()
                assert result.cpu_s > 0
                stats = await taps.stats()
                assert stats.pid == taps.pid
                assert Path("/proc", str(taps.pid), "cmdline").read_bytes().count(b"loadpath.tap")
                assert stats.cpu_s >= result.cpu_s
                assert stats.rss_bytes > 1_000_000
                tap = stats.tap("queue")
                assert (tap.sent_bytes, tap.received_bytes, tap.connection_count) == (8, 8, 1)
                assert tap.unread == {"nobody reads unheard of": 1}
                assert (tap.target, tap.address) == (str(given), str(address))
            with pytest.raises(ConnectionRefusedError):
                await connect(place)

    run(test())


def test_a_killed_tap_process_cuts_the_connections_and_says_so() -> None:
    async def test() -> None:
        async with (
            Guard() as guard,
            server() as target,
            Taps({}, spawn=guard.spawn) as taps,
        ):
            place = await taps.open(Tap("it", "lines", target))
            reader, writer = await connect(place)
            writer.write(b"a 1\n")
            assert await reader.readline() == b"a 1\n"
            os.kill(taps.pid, signal.SIGKILL)
            assert await reader.read() == b""
            writer.close()
            with pytest.raises(LoadpathError, match=r"ended by SIGKILL.*every connection"):
                await taps.stats()
            assert "SIGKILL" in str(await taps.died())
            with pytest.raises(ConnectionRefusedError):
                await connect(place)

    run(test())


def test_what_goes_wrong_in_the_process_is_raised_here(tmp_path: Path) -> None:
    async def test() -> None:
        async with Guard() as guard:
            async with Taps({}, spawn=guard.spawn) as taps:
                with pytest.raises(RecordingError, match="could not be written"):
                    await taps.begin(window(tmp_path / "gone"))
                with pytest.raises(LoadpathError, match="no window"):
                    await taps.end()
                with socket.create_server((LOOPBACK, 0)) as taken:
                    place = Place(LOOPBACK, taken.getsockname()[1])
                    with pytest.raises(LoadpathError, match="could not listen"):
                        await taps.open(Tap("it", "lines", place, place))
            with pytest.raises(LoadpathError, match="not running"):
                await taps.stats()

    run(test())


def test_a_cancelled_command_does_not_answer_the_next(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            Guard() as guard,
            server() as target,
            Taps({}, spawn=guard.spawn) as taps,
        ):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await taps.stats()
            place = await taps.open(Tap("it", "lines", target))
            assert await ask(place, "a 1") == ["a 1"]

    run(test())


def test_a_dependency_that_the_service_never_connected_to_is_an_error_with_its_cause() -> None:
    async def test() -> None:
        used = Dependency(name="cache", kind="valkey", env={"CACHE_URL": "{host}"})
        unused = Dependency(name="database", kind="postgres", env={"DATABASE_URL": "{host}"})
        async with (
            Guard() as guard,
            server() as target,
            Taps({"cache": "?", "database": "?"}, spawn=guard.spawn) as taps,
        ):
            given = Address(target.host, target.port)
            cache = await taps.wrap("cache", given)
            address = await taps.wrap("database", given)
            await ask(Place(cache.host, cache.port), "a 1")
            stats = await taps.stats()
            raise_if_unused(stats, [used])
            with pytest.raises(UnusedDependencyError) as raised:
                raise_if_unused(stats, [used, unused])
            assert str(address) in raised.value.message
            assert "DATABASE_URL" in raised.value.message
            assert ".env" in (raised.value.advice or "")

    run(test())

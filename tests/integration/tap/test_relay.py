"""A tap passes on what crosses it: bytes, their end, resets, silence."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loadpath.tap import Place
from loadpath.tap.relays import resident_bytes

from .conftest import (
    LOOPBACK,
    Relayed,
    ask,
    connect,
    descriptors,
    random_pieces,
    reset_on_close,
    run,
    server,
    until,
)


async def keep(reader: asyncio.StreamReader) -> str:
    """Read to the end; a digest of what came."""
    digest = hashlib.sha256()
    while data := await reader.read(65536):
        digest.update(data)
    return digest.hexdigest()


async def push(writer: asyncio.StreamWriter, pieces: list[bytes]) -> str:
    """Send pieces, then an end; a digest of what was sent."""
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
    return hashlib.sha256(b"".join(pieces)).hexdigest()


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_a_hundred_megabytes_both_ways_arrive_unharmed_to_their_ends(
    relayed: Relayed, tmp_path: Path, unix: bool
) -> None:
    """Both ends send at once, the client ends first, and the server goes on after that."""

    async def test() -> None:
        digests: dict[str, str] = {}
        up, down = random_pieces(1, 50_000_000), random_pieces(2, 50_000_000)
        late = random_pieces(3, 1_000_000)
        over = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async def all_of_it() -> None:
                for piece in down:
                    writer.write(piece)
                    await writer.drain()

            digests["at server"], _ = await asyncio.gather(keep(reader), all_of_it())
            digests["from server"] = await push(writer, late)
            writer.close()
            over.set()

        if unix:
            path = str(tmp_path / "server")
            started = await asyncio.start_unix_server(serve, path)
            target, listen = Place(path=path), Place(path=str(tmp_path / "tap"))
        else:
            started = await asyncio.start_server(serve, LOOPBACK, 0)
            target = Place(LOOPBACK, started.sockets[0].getsockname()[1])
            listen = Place(LOOPBACK)
        place = await relayed.tap(target, "bytes", listen)
        reader, writer = await connect(place)
        arrived, sent = await asyncio.gather(keep(reader), push(writer, up))
        writer.close()
        await over.wait()
        assert digests["at server"] == sent
        assert arrived == hashlib.sha256(b"".join(down) + b"".join(late)).hexdigest()
        await until(lambda: relayed.state().open_count == 0)
        assert relayed.state().sent_bytes == 50_000_000
        assert relayed.state().received_bytes == 51_000_000
        relayed.relays.close()
        started.close()
        assert not (tmp_path / "tap").exists()

    run(test())


@pytest.mark.parametrize("slow", ["client", "server"])
def test_an_end_that_does_not_read_stops_the_other_and_takes_no_memory(
    relayed: Relayed, slow: str
) -> None:
    async def test() -> None:
        held = asyncio.Event()
        sent = 0

        async def pour(writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            with_data = b"x" * 1_000_000
            writer.transport.set_write_buffer_limits(high=0)
            while sent < 200_000_000:
                writer.write(with_data)
                await writer.drain()
                sent += len(with_data)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if slow == "client":
                await pour(writer)
                writer.close()
            else:
                reader._transport.pause_reading()  # type: ignore[attr-defined]
                await held.wait()
                reader._transport.resume_reading()  # type: ignore[attr-defined]
                await keep(reader)
                writer.close()

        async with server(serve) as target:
            reader, writer = await connect(await relayed.tap(target, "bytes"))
            before = resident_bytes()
            if slow == "client":
                reader._transport.pause_reading()  # type: ignore[attr-defined]
                pouring = None
            else:
                pouring = asyncio.create_task(pour(writer))
            last = -1
            while sent > last or not sent:  # until it stands still
                last = sent
                await asyncio.sleep(0.3)
            assert 0 < sent < 50_000_000
            assert resident_bytes() - before < 20_000_000
            if slow == "client":
                reader._transport.resume_reading()  # type: ignore[attr-defined]
                await keep(reader)
            else:
                held.set()
                assert pouring is not None
                await pouring
                writer.write_eof()
                await keep(reader)
            writer.close()
            assert sent == 200_000_000
            await until(lambda: relayed.state().open_count == 0)
            state = relayed.state()
            assert max(state.sent_bytes, state.received_bytes) == 200_000_000

    run(test())


def test_what_a_client_sends_before_the_server_has_accepted_arrives(relayed: Relayed) -> None:
    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target)
            reader, writer = await connect(place)
            writer.write(b"first 1\nsecond 2\n")
            writer.write_eof()
            assert await reader.read() == b"first 1\nsecond 2\n"
            writer.close()

    run(test())


def test_thousands_of_connections_leave_nothing_behind(relayed: Relayed) -> None:
    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target)
            await asyncio.gather(*(ask(place, "a 1") for _ in range(200)))
            await until(lambda: relayed.state().open_count == 0)
            open_before, memory_before = descriptors(), resident_bytes()
            for _ in range(15):
                assert (
                    await asyncio.gather(*(ask(place, "a 1") for _ in range(200)))
                    == [["a 1"]] * 200
                )
            await until(lambda: relayed.state().open_count == 0)
            await until(lambda: descriptors() <= open_before)
            assert resident_bytes() - memory_before < 20_000_000
            assert relayed.state().connection_count == 3200
            assert relayed.state().exchange_count == 3200

    run(test())


def test_a_thousand_connections_are_open_at_once(relayed: Relayed) -> None:
    async def test() -> None:
        async with server() as target:
            place = await relayed.tap(target)
            open_ = [await connect(place) for _ in range(1000)]
            for _, writer in open_:
                writer.write(b"a 1\n")
            for reader, _ in open_:
                assert await reader.readline() == b"a 1\n"
            assert relayed.state().open_count == 1000
            for _, writer in open_:
                writer.close()
            await until(lambda: relayed.state().open_count == 0)

    run(test())


def test_a_target_that_is_down_resets_and_one_that_comes_up_is_reached(relayed: Relayed) -> None:
    async def test() -> None:
        with socket.socket() as taken:
            taken.bind((LOOPBACK, 0))
            port = taken.getsockname()[1]
            taken.listen()
        place = await relayed.tap(Place(LOOPBACK, port))
        reader, writer = await connect(place)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        assert relayed.state().not_connected_count == 1
        async with server(port=port):
            assert await ask(place, "a 1") == ["a 1"]
        reader, writer = await connect(place)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        async with server(port=port):
            assert await ask(place, "a 2") == ["a 2"]
        assert relayed.state().not_connected_count == 2

    run(test())


def test_a_reset_of_either_end_is_a_reset_at_the_other(relayed: Relayed) -> None:
    async def test() -> None:
        ends: list[str] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await reader.readline() == b"reset\n":
                reset_on_close(writer)
                writer.write(b"bye\n")
            else:
                try:
                    await reader.read()
                    ends.append("end")
                except ConnectionResetError:
                    ends.append("reset")
            writer.close()

        async with server(serve) as target:
            place = await relayed.tap(target)
            relayed.relays.begin(relayed.window())
            reader, writer = await connect(place)
            writer.write(b"reset\n")
            assert await reader.readline() == b"bye\n"
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            _, writer = await connect(place)
            writer.write(b"listen\n")
            await until(lambda: relayed.state().sent_bytes == len(b"reset\nlisten\n"))
            reset_on_close(writer)
            writer.close()
            await until(lambda: ends == ["reset"])
            _, writer = await connect(place)
            writer.write(b"listen\n")
            writer.close()
            await until(lambda: ends == ["reset", "end"])
            await until(lambda: relayed.state().open_count == 0)
            await relayed.relays.end()
            assert relayed.connections()["ending"] == [
                "server reset",
                "client reset",
                "client closed",
            ]

    run(test())


def test_a_stopped_target_stalls_its_clients_and_a_killed_one_cuts_them(relayed: Relayed) -> None:
    program = (
        "import socket\n"
        "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
        "c, _ = s.accept()\n"
        "while d := c.recv(100): c.sendall(d)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as target:
        assert target.stdout is not None
        port = int(target.stdout.readline())

        async def test() -> None:
            reader, writer = await connect(await relayed.tap(Place(LOOPBACK, port)))
            writer.write(b"a 1\n")
            assert await reader.readline() == b"a 1\n"
            os.kill(target.pid, signal.SIGSTOP)
            writer.write(b"a 2\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readline(), 0.3)
            os.kill(target.pid, signal.SIGCONT)
            assert await reader.readline() == b"a 2\n"
            relayed.relays.begin(relayed.window())
            os.kill(target.pid, signal.SIGSTOP)
            writer.write(b"a 3\n")
            await until(lambda: relayed.state().sent_bytes == 12)
            os.kill(target.pid, signal.SIGKILL)
            # The kernel resets a connection with unread data, and closes one that has none.
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
            await until(lambda: relayed.state().open_count == 0)
            await relayed.relays.end()
            rows = relayed.exchanges()
            assert (rows["ended"], rows["pushed"]) == ([False], [False])
            assert relayed.connections()["unfinished"] == [1]

        try:
            run(test())
        finally:
            target.kill()

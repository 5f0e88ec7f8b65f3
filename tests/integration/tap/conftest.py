"""What the tests of taps share: a protocol of lines, servers of it, and relays in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop

from loadpath.recording.schema import CONNECTIONS, EXCHANGES, SHAPES, TableSchema
from loadpath.recording.tables import read_table
from loadpath.tap import Place, Tap, Window
from loadpath.tap.readers import Reader
from loadpath.tap.relays import Relays
from loadpath.wire import Exchange
from loadpath.wire.shape_sets import ShapeSet

LOOPBACK = "127.0.0.1"


class LineConversation:
    """A protocol for tests: `word value` and a line in return, in order.

    `odd` is what nobody knows; `fault` makes the reader fail.
    """

    def __init__(self) -> None:
        self.finished: list[Exchange] = []
        self.unread: str | None = None
        self._asked: list[Exchange] = []
        self._sent = b""
        self._received = b""

    @property
    def idle(self) -> bool:
        return not (self._asked or self._sent or self._received)

    def sent(self, data: bytes, at_s: float) -> None:
        *lines, self._sent = (self._sent + data).split(b"\n")
        for line in lines:
            verb, _, text = line.decode().partition(" ")
            if verb == "fault":
                raise RuntimeError("a bug in the reader")
            exchange = Exchange(verb, text, at_s)
            exchange.request_bytes = len(line) + 1
            if verb == "odd":
                self.unread = "a line that nobody knows"
                self.closed(at_s)
                return
            self._asked.append(exchange)

    def received(self, data: bytes, at_s: float) -> None:
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            exchange = self._asked.pop(0)
            exchange.first_byte_s = exchange.ended_s = at_s
            exchange.reply_bytes = len(line) + 1
            exchange.error = line.decode() if line.startswith(b"!") else None
            self.finished.append(exchange)

    def closed(self, at_s: float) -> None:
        for exchange in self._asked:
            exchange.ended = False
            exchange.ended_s = at_s
        self.finished += self._asked
        self._asked = []


LINES = Reader(LineConversation, lambda: ShapeSet(lambda text: text.rstrip("0123456789"), ":", "*"))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every line with itself; `bad` with an error."""
    with contextlib.suppress(ConnectionError):
        async for line in reader:
            writer.write(b"!bad\n" if line.startswith(b"bad") else line)
            await writer.drain()
    writer.close()


class Relayed:
    """Relays in this process, and the files of the window that is recorded."""

    def __init__(self, folder: Path) -> None:
        self.relays = Relays({"lines": LINES})
        self.folder = folder

    async def tap(self, target: Place, kind: str = "lines", listen: Place | None = None) -> Place:
        return await self.relays.open(Tap("it", kind, target, listen or Place(LOOPBACK)))

    def window(self, segment: int = 0, *, reading: bool = True) -> Window:
        names = [
            self.folder / f"{name}{segment}" for name in ("exchanges", "connections", "shapes")
        ]
        return Window(segment, *names, reading=reading)

    def table(self, schema: TableSchema, segment: int = 0) -> dict[str, list[Any]]:
        path = self.folder / f"{schema.name}{segment}"
        return {name: column.tolist() for name, column in read_table(path, schema).items()}

    def exchanges(self, segment: int = 0) -> dict[str, list[Any]]:
        return self.table(EXCHANGES, segment)

    def connections(self, segment: int = 0) -> dict[str, list[Any]]:
        return self.table(CONNECTIONS, segment)

    def shapes(self, segment: int = 0) -> dict[int, str]:
        table = self.table(SHAPES, segment)
        return dict(zip(table["shape"], table["text"], strict=True))

    def state(self) -> Any:
        return self.relays.stats().tap("it")


@pytest.fixture
def relayed(tmp_path: Path) -> Relayed:
    return Relayed(tmp_path)


def run(test: Coroutine[Any, Any, None], within_s: float = 60.0) -> None:
    """Run a test in the loop that the tap process has."""

    async def limited() -> None:
        async with asyncio.timeout(within_s):
            await test

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(limited())


@contextlib.asynccontextmanager
async def server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any] = echo,
    port: int = 0,
) -> AsyncIterator[Place]:
    """A server that ends with the block."""
    started = await asyncio.start_server(serve, LOOPBACK, port, backlog=4096)
    try:
        yield Place(LOOPBACK, started.sockets[0].getsockname()[1])
    finally:
        started.close()


async def connect(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if place.path is not None:
        return await asyncio.open_unix_connection(place.path)
    return await asyncio.open_connection(place.host, place.port)


async def ask(place: Place, *lines: str) -> list[str]:
    """Ask lines on one connection, one after the other, and close it in order."""
    reader, writer = await connect(place)
    answers = []
    for line in lines:
        writer.write(f"{line}\n".encode())
        answers.append((await reader.readline()).decode().rstrip("\n"))
    writer.close()
    await writer.wait_closed()
    return answers


async def until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until a condition holds; fail when it does not within the time."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {within_s:g} s")
        await asyncio.sleep(0.01)


def descriptors(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


def reset_on_close(writer: asyncio.StreamWriter) -> None:
    """Have the connection closed by a reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def random_pieces(seed: int, total: int) -> list[bytes]:
    """Random bytes in pieces of random sizes."""
    random = np.random.default_rng(seed)
    content = random.bytes(total)
    pieces, at = [], 0
    while at < total:
        size = int(random.integers(1, 300_000))
        pieces.append(content[at : at + size])
        at += size
    return pieces

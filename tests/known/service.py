"""A service whose knee is known beforehand. Standard library only, so that its own cost is small.

python service.py cpu PORT WORKERS       2 ms of one thread's CPU a request
python service.py pool PORT WORKERS      10 ms with one of 3 slots, without CPU; the variable
                                         POOL_SLOTS says another number
python service.py outside PORT WORKERS   50 ms of another service, over one of 10 connections;
                                         it is at the address in the variable UPSTREAM
python service.py upstream PORT 1        that other service: 50 ms without CPU, as many at a time
                                         as come
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable

CPU_S = 0.002
POOL_SLOTS, POOL_S = int(os.environ.get("POOL_SLOTS", "3")), 0.010
OUTSIDE_SLOTS, OUTSIDE_S = 10, 0.050

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: upstream\r\n\r\n"

Reply = Callable[[], None]


class Connection(asyncio.Protocol):
    """One keep-alive connection of requests without a body, one after the other."""

    def __init__(self, work: Callable[[Reply], None]) -> None:
        self.work = work
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        self.buffer = rest
        self.last = b"connection: close" in head.lower()
        if head.startswith(b"GET /health "):
            self.reply()
        else:
            self.work(self.reply)

    def reply(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(REPLY)
            if self.last:
                self.transport.close()


class Upstream(asyncio.Protocol):
    """One connection to the other service: one request at a time."""

    def __init__(self, freed: Callable[[Upstream], None]) -> None:
        self.freed = freed
        self.done: Reply = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, done: Reply) -> None:
        self.done = done
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        # Its reply is 40 bytes, which arrive in one piece.
        self.done()
        self.freed(self)


def burn(reply: Reply) -> None:
    """CPU time of this thread, not time on the clock: what a request costs is then fixed."""
    end_s = time.thread_time() + CPU_S
    while time.thread_time() < end_s:
        pass
    reply()


def sleep(reply: Reply) -> None:
    asyncio.get_running_loop().call_later(OUTSIDE_S, reply)


class Pool:
    """So many slots; who finds none waits in line."""

    def __init__(self) -> None:
        self.free = POOL_SLOTS
        self.waiting: deque[Reply] = deque()

    def take(self, reply: Reply) -> None:
        self.waiting.append(reply)
        self._next()

    def _next(self) -> None:
        if self.free and self.waiting:
            self.free -= 1
            loop = asyncio.get_running_loop()
            loop.call_later(POOL_S, self._release, self.waiting.popleft())

    def _release(self, reply: Reply) -> None:
        self.free += 1
        reply()
        self._next()


class Outside:
    """So many connections to the other service; who finds none free waits in line."""

    def __init__(self) -> None:
        self.free: list[Upstream] = []
        self.waiting: deque[Reply] = deque()

    async def connect(self) -> None:
        host, _, port = os.environ["UPSTREAM"].rpartition(":")
        loop = asyncio.get_running_loop()
        for _ in range(OUTSIDE_SLOTS):
            _, made = await loop.create_connection(lambda: Upstream(self._free), host, int(port))
            self.free.append(made)

    def take(self, reply: Reply) -> None:
        if self.free:
            self.free.pop().ask(reply)
        else:
            self.waiting.append(reply)

    def _free(self, upstream: Upstream) -> None:
        if self.waiting:
            upstream.ask(self.waiting.popleft())
        else:
            self.free.append(upstream)


async def no_preparation() -> None:
    """Nothing to do before the first request."""


Works = tuple[Callable[[Reply], None], Callable[[], Awaitable[None]]]
"""What a request asks for, and what is to be done before the first one."""


def works(manner: str) -> Works:
    outside = Outside()
    known: dict[str, Works] = {
        "cpu": (burn, no_preparation),
        "pool": (Pool().take, no_preparation),
        "outside": (outside.take, outside.connect),
        "upstream": (sleep, no_preparation),
    }
    return known[manner]


async def serve(port: int, workers: int, chosen: Callable[[], Works]) -> None:
    work, prepare = chosen()
    await prepare()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(work), "127.0.0.1", port, reuse_port=workers > 1, backlog=1024
    )
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    print(f"listens on {server.sockets[0].getsockname()[1]}", flush=True)
    await ended.wait()


def run(port: int, workers: int, chosen: Callable[[], Works]) -> None:
    """Serve what `chosen` gives, in so many processes."""
    for _ in range(workers - 1):
        if os.fork() == 0:
            break
    asyncio.run(serve(port, workers, chosen))


if __name__ == "__main__":
    run(int(sys.argv[2]), int(sys.argv[3]), lambda: works(sys.argv[1]))

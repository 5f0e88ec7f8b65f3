"""A small service for the tests of the command line, standard library only.

    python service.py PORT [WORKERS [MANNER…]]

Manners: `exits` (after saying why), `hangs` (never listens), `connects` (to the address in the
variable UPSTREAM). It keeps a connection to each port in a variable whose name begins with USED_.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections import deque

NOTES: dict[bytes, bytes] = {}
SLOTS = 2
SLOT_S = 0.02


class Slots:
    """Work that takes no CPU: so many at a time, each as long. That makes 100/s of a worker."""

    def __init__(self) -> None:
        self.free = SLOTS
        self.waiting: deque[Connection] = deque()

    def take(self, connection: Connection) -> None:
        self.waiting.append(connection)
        self._next()

    def _next(self) -> None:
        if self.free and self.waiting:
            self.free -= 1
            asyncio.get_running_loop().call_later(SLOT_S, self._done, self.waiting.popleft())

    def _done(self, connection: Connection) -> None:
        connection.reply(200, b"done")
        self.free += 1
        self._next()


slots = Slots()


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests come one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not end or len(rest) < length:
            return
        self.buffer = rest[length:]
        self.last = b"connection: close" in head.lower()
        method, target, _ = head.split(b" ", 2)
        self.answer(method, target, rest[:length])

    def answer(self, method: bytes, target: bytes, body: bytes) -> None:
        if target == b"/busy":
            # CPU of this thread, not time on the clock: what a request costs is then fixed.
            end_s = time.thread_time() + 0.002
            while time.thread_time() < end_s:
                pass
        if target == b"/broken":
            self.reply(500, b"no such table: links \x1b[31mpassword=hunter2 for ada@example.org")
        elif target == b"/slow":
            asyncio.get_running_loop().call_later(0.02, self.reply, 200, b"slow")
        elif target == b"/slot":
            slots.take(self)
        elif method == b"POST":
            name = b"%d" % len(NOTES)
            NOTES[name] = body
            self.reply(201, b'{"id": "%s"}' % name)
        elif target.startswith(b"/notes/"):
            note = NOTES.get(target.removeprefix(b"/notes/"))
            self.reply(404 if note is None else 200, note or b"no such note")
        else:
            self.reply(200, b"ok")

    def reply(self, status: int, body: bytes) -> None:
        if not self.transport.is_closing():
            head = b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            self.transport.write(head + body)
            if self.last:
                self.transport.close()


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(
        Connection, "127.0.0.1", port, reuse_port=len(sys.argv) > 2 and sys.argv[2] != "1"
    )
    async with server:
        await server.serve_forever()


def main() -> None:
    port, workers, manner = int(sys.argv[1]), 1, "".join(sys.argv[3:])
    if len(sys.argv) > 2:
        workers = int(sys.argv[2])
    if manner == "exits":
        print("reading settings", "\x1b[31mno such table: links", sep="\n", flush=True)
        sys.exit(3)
    if manner == "hangs":
        print("waiting for a lock", flush=True)
        time.sleep(1000)
    if manner == "connects":
        host, _, upstream = os.environ["UPSTREAM"].rpartition(":")
        kept = socket.create_connection((host, int(upstream)))
        assert kept
    dependencies = [
        socket.create_connection(("127.0.0.1", int(value)))
        for name, value in os.environ.items()
        if name.startswith("USED_")
    ]
    assert all(dependencies)
    for _ in range(workers - 1):
        if os.fork() == 0:
            break
    try:
        asyncio.run(serve(port))
    except OSError as error:
        sys.exit(str(error))


main()

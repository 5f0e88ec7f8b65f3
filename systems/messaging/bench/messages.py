"""Sends per CPU-second into one room, and how long 100 polling members wait for a message.

    python systems/messaging/bench/messages.py [--senders 16] [--pollers 100] [--seconds 8]

Starts PostgreSQL (with its flush to disk), Valkey, NATS and the service on this machine. CPU is
that of the service's own processes, from /proc; the client's is not counted, but shares the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import time
from pathlib import Path
from typing import cast
from urllib.parse import quote

import uvloop
from messaging.testing import Messaging, User, migrated_database, start_messaging
from systems_common.testing import descendants, postgres_server

CLIENT = "/_matrix/client/v3"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SENT = re.compile(rb'"body":"([0-9.]+)"')


class Connection:
    """The least of HTTP/1.1: one request after the other on a connection."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: x\r\nAuthorization: Bearer {token}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of an answer, which has to be 200."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        content = await reader.readexactly(length)
        assert answer.startswith(b"HTTP/1.1 200"), (path, answer, content[:300])
        return content

    def close(self) -> None:
        """Leave."""
        if self._streams is not None:
            self._streams[1].close()


def cpu_s(pids: list[int]) -> float:
    """User and system time of these processes so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


async def send_all(port: int, users: list[User], room: str, seconds: float, rate: float) -> int:
    """Send as fast as it goes, or at `rate` a second in all; how many were acknowledged."""
    end_s = time.monotonic() + seconds
    sent = 0

    async def run(number: int, user: User) -> None:
        nonlocal sent
        connection = Connection(port, user.token)
        due_s = time.monotonic() + (number / rate if rate else 0)
        count = 0
        while (now_s := time.monotonic()) < end_s:
            if rate:
                await asyncio.sleep(max(0.0, due_s - now_s))
                due_s += len(users) / rate
            body = json.dumps({"msgtype": "m.text", "body": repr(time.monotonic())}).encode()
            txn = f"{os.getpid()}-{time.monotonic_ns()}-{count}"
            await connection.call(
                "PUT", f"{CLIENT}/rooms/{quote(room)}/send/m.room.message/{txn}", body
            )
            count += 1
            sent += 1
        connection.close()

    await asyncio.gather(*(run(n, user) for n, user in enumerate(users)))
    return sent


class Poller(asyncio.Protocol):
    """One member who polls, at the least cost to the client: answers are searched, not decoded."""

    def __init__(self, user: User, began_s: float, delays_s: list[float]) -> None:
        token, since = user.token, user.since
        self._head = f"GET {CLIENT}/sync?timeout=2000&since=".encode()
        self._tail = f" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        self._since = str(since).encode()
        self._began_s = began_s
        self._delays_s = delays_s
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        if self.is_over:
            self._transport.close()
        else:
            self._transport.write(self._head + self._since + self._tail)

    def data_received(self, data: bytes) -> None:
        """Take an answer once it is whole, and ask again."""
        now_s = time.monotonic()
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        start = self._buffer.find(b"content-length: ") + 16
        length = int(self._buffer[start : self._buffer.find(b"\r", start)])
        if len(self._buffer) < end + 4 + length:
            return
        answer, self._buffer = self._buffer, b""
        assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
        start = answer.find(b'"next_batch":"') + 14
        self._since = answer[start : answer.find(b'"', start)]
        for sent in _SENT.findall(answer):
            # What was sent before is not of this measurement.
            if float(sent) >= self._began_s:
                self._delays_s.append(now_s - float(sent))
        self._ask()


async def with_pollers(
    port: int, users: list[User], senders: list[User], room: str, seconds: float, rate: float
) -> tuple[int, list[float]]:
    """Sends while everybody polls: how many, and the delays."""
    delays_s: list[float] = []
    began_s = time.monotonic()
    loop = asyncio.get_running_loop()
    pollers = []
    for user in users:
        poller = Poller(user, began_s, delays_s)
        await loop.create_connection(lambda one=poller: one, "127.0.0.1", port)  # type: ignore[misc]
        pollers.append(poller)
    await asyncio.sleep(0.5)
    sent = await send_all(port, senders, room, seconds, rate)
    await asyncio.sleep(1.0)
    for poller in pollers:
        poller.is_over = True
    return sent, delays_s


def measure(running: Messaging, options: argparse.Namespace) -> None:
    """Print the figures."""
    first = running.user()
    room = first.create_room(preset="public_chat")
    users = [first, *(running.user() for _ in range(options.pollers - 1))]
    for user in users[1:]:
        user.join(room)
    senders = users[: options.senders]
    port = running.process.port
    pids = descendants(running.process._process.pid)  # type: ignore[union-attr]
    asyncio.run(send_all(port, senders, room, 1.0, 0))
    before_s, began_s = cpu_s(pids), time.monotonic()
    sent = asyncio.run(send_all(port, senders, room, options.seconds, 0))
    spent_s, took_s = cpu_s(pids) - before_s, time.monotonic() - began_s
    print(f"alone: {sent / took_s:.0f} sends/s, {sent / spent_s:.0f} per CPU-second of the service")
    for user in users:
        user.sync(filter='{"room":{"timeline":{"limit":1}}}')
    for rate in options.rates:
        before_s, began_s = cpu_s(pids), time.monotonic()
        # Beside the service, which is to be measured, the client should cost little.
        sent, delays_s = uvloop.run(with_pollers(port, users, senders, room, options.seconds, rate))
        spent_s = cpu_s(pids) - before_s
        delays_s.sort()
        told = len(delays_s) / (sent * len(users))
        print(
            f"{len(users)} polling, {rate:g} sends/s asked: {sent / options.seconds:.0f} sends/s,"
            f" send to received p50 {1000 * statistics.median(delays_s):.1f} ms,"
            f" p99 {1000 * delays_s[int(len(delays_s) * 0.99)]:.1f} ms, told {told:.1%},"
            f" {spent_s:.1f} CPU-seconds of the service"
        )


def main() -> None:
    """Start everything and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--pollers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rates", type=float, nargs="*", default=[20.0, 64.0, 128.0])
    options = parser.parse_args()
    with postgres_server() as postgres:
        template = migrated_database(postgres.url)
        with start_messaging(postgres.url, template, DB_POOL="10") as running:
            measure(running, options)


if __name__ == "__main__":
    main()

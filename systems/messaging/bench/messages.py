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
import statistics
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from messaging.testing import Messaging, User, migrated_database, start_messaging
from systems_common.testing import descendants, postgres_server

CLIENT = "/_matrix/client/v3"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


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


async def poll_all(
    port: int, users: list[User], stop: asyncio.Event, delays_s: list[float]
) -> None:
    """Poll as each user, and keep how long each message took from its send."""

    async def run(user: User) -> None:
        connection = Connection(port, user.token)
        since = user.since
        while not stop.is_set():
            path = f"{CLIENT}/sync?timeout=2000&since={since}"
            content = await connection.call("GET", path)
            now_s = time.monotonic()
            answer: dict[str, Any] = json.loads(content)
            since = answer["next_batch"]
            for room in answer.get("rooms", {}).get("join", {}).values():
                for event in room["timeline"]["events"]:
                    if event["type"] == "m.room.message":
                        delays_s.append(now_s - float(event["content"]["body"]))
        connection.close()

    await asyncio.gather(*(run(user) for user in users))


async def with_pollers(
    port: int, users: list[User], senders: list[User], room: str, seconds: float, rate: float
) -> tuple[int, list[float]]:
    """Sends while everybody polls: how many, and the delays."""
    stop = asyncio.Event()
    delays_s: list[float] = []
    polling = asyncio.create_task(poll_all(port, users, stop, delays_s))
    await asyncio.sleep(0.5)
    sent = await send_all(port, senders, room, seconds, rate)
    await asyncio.sleep(1.0)
    stop.set()
    await polling
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
        sent, delays_s = asyncio.run(
            with_pollers(port, users, senders, room, options.seconds, rate)
        )
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
    parser.add_argument("--rates", type=float, nargs="*", default=[20.0, 64.0])
    options = parser.parse_args()
    with postgres_server() as postgres:
        template = migrated_database(postgres.url)
        with start_messaging(postgres.url, template, DB_POOL="10") as running:
            measure(running, options)


if __name__ == "__main__":
    main()

"""What a tap adds to a round trip, and what an exchange costs it in CPU.

    python bench/tap.py [--rounds N] [--exchanges N] [--flat N]

PostgreSQL, Valkey and NATS are asked by raw sockets with bytes made ahead, one exchange after the
other on one connection: directly, through a tap that reads along and records, and through a tap
that only relays, in turns, in short stretches, so that what else the machine does falls on all
alike. What is added is the difference of the medians of a round; the table shows its median over
the rounds with a 95 % interval (of order statistics), the ratio to the direct round trip, and the
tap's CPU per exchange. The last one crosses in pipelines as deep as a service's, and shows the CPU
of reading without the wake-ups.

`--flat N` sends N exchanges through one tap and shows the memory of its process on the way; the
project asks for 10,000,000 with less than 50 MB of growth after the first tenth.

Exit status 1: a figure missed what the project asks of it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import shutil
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loadpath.deploy import Guard, RunningDependency
from loadpath.deploy.dependencies import Dependencies
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload
from loadpath.tap import Place, Taps, Window

ADDED_US_MAX = 14.0
GROWTH_BYTES_MAX = 50_000_000
STRETCH = 100
DEPTH = 50
KINDS = ("postgres", "valkey", "nats")


class Wire:
    """A blocking connection on which one prepared exchange is repeated."""

    def __init__(self, place: Place, dependency: RunningDependency) -> None:
        self.sock = socket.create_connection((place.host, place.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = b""
        self.reply_bytes = 0
        self.prepare(dependency)

    def prepare(self, dependency: RunningDependency) -> None:
        """Log in, set up, and find `request` and `reply_bytes`."""
        raise NotImplementedError

    def learn(self, request: bytes, ends: bytes) -> None:
        """Send the request once; its reply is as long each time."""
        self.request = request
        self.sock.sendall(request)
        reply = b""
        while not reply.endswith(ends):
            reply += self.sock.recv(65536)
        self.reply_bytes = len(reply)

    def exchange(self) -> None:
        self.sock.send(self.request)
        self.take(self.reply_bytes)

    def pipeline(self, deep: int) -> None:
        self.sock.sendall(self.request * deep)
        self.take(self.reply_bytes * deep)

    def take(self, left: int) -> None:
        """Read so many bytes of replies."""
        while left:
            left -= len(self.sock.recv(1 << 20))


def message(kind: bytes, body: bytes) -> bytes:
    """A message of PostgreSQL's protocol."""
    return kind + struct.pack("!i", len(body) + 4) + body


class PostgresWire(Wire):
    READY = b"Z\0\0\0\5I"

    def log_in(self, dependency: RunningDependency) -> None:
        words = ("user", dependency.user, "database", dependency.name, "", "")
        start = struct.pack("!i", 3 << 16) + "\0".join(words).encode()
        self.sock.sendall(message(b"", start))
        answer = b""
        while not answer.endswith(self.READY):
            answer += (piece := self.sock.recv(65536))
            if answer.startswith(b"R\0\0\0\x17\0\0\0\x0a") and b"SCRAM" in answer:
                self.scram(dependency.password)
                answer = b""
            if not piece:
                sys.exit(f"PostgreSQL closed the connection: {answer!r}")

    def scram(self, password: str) -> None:
        """RFC 5802 with SHA-256, without channel binding."""

        def mac(key: bytes, text: bytes) -> bytes:
            return hmac.new(key, text, hashlib.sha256).digest()

        first = b"n=,r=loadpathbench"
        start = b"n,," + first
        body = b"SCRAM-SHA-256\0" + struct.pack("!i", len(start)) + start
        self.sock.sendall(message(b"p", body))
        challenge = self.sock.recv(65536)[9:]
        parts = dict(p.split(b"=", 1) for p in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", password.encode(), base64.b64decode(parts[b"s"]), int(parts[b"i"])
        )
        last = b"c=biws,r=" + parts[b"r"]
        key = mac(salted, b"Client Key")
        signed = mac(hashlib.sha256(key).digest(), b",".join((first, challenge, last)))
        proof = bytes(a ^ b for a, b in zip(key, signed, strict=True))
        self.sock.sendall(message(b"p", last + b",p=" + base64.b64encode(proof)))


class PostgresSimple(PostgresWire):
    def prepare(self, dependency: RunningDependency) -> None:
        self.log_in(dependency)
        self.learn(message(b"Q", b"SELECT 1 AS one\0"), self.READY)


class PostgresExtended(PostgresWire):
    def prepare(self, dependency: RunningDependency) -> None:
        self.log_in(dependency)
        parse = message(b"P", b"s1\0SELECT $1::int AS one\0\0\0")
        self.learn(parse + message(b"S", b""), self.READY)
        bind = b"\0s1\0" + struct.pack("!hhi", 0, 1, 1) + b"7" + struct.pack("!h", 0)
        execute = message(b"E", b"\0" + struct.pack("!i", 0))
        self.learn(message(b"B", bind) + execute + message(b"S", b""), self.READY)


class ValkeyGet(Wire):
    def prepare(self, dependency: RunningDependency) -> None:
        password = dependency.password.encode()
        self.learn(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n" % (len(password), password), b"+OK\r\n")
        self.learn(b"*3\r\n$3\r\nSET\r\n$8\r\nlink:abc\r\n$5\r\nvalue\r\n", b"+OK\r\n")
        self.learn(b"*2\r\n$3\r\nGET\r\n$8\r\nlink:abc\r\n", b"value\r\n")


class NatsPublish(Wire):
    """PUB and PING, answered by PONG: two exchanges of which one is a round trip."""

    def prepare(self, dependency: RunningDependency) -> None:
        self.sock.recv(65536)  # INFO
        options = '{"verbose":false,"user":"%s","pass":"%s"}' % (  # noqa: UP031
            dependency.user,
            dependency.password,
        )
        self.learn(f"CONNECT {options}\r\nPING\r\n".encode(), b"PONG\r\n")
        self.learn(b"PUB told.all 5\r\nhello\r\nPING\r\n", b"PONG\r\n")

    def take(self, left: int) -> None:
        """The server asks now and then whether we are there: that is not one of the replies."""
        while left:
            piece = self.sock.recv(1 << 20)
            asked = piece.count(b"PING\r\n")
            if asked:
                self.sock.sendall(b"PONG\r\n" * asked)
            left -= len(piece) - asked * len(b"PING\r\n")


CASES: dict[str, tuple[str, Callable[[Place, RunningDependency], Wire]]] = {
    "PostgreSQL simple": ("postgres", PostgresSimple),
    "PostgreSQL extended": ("postgres", PostgresExtended),
    "Valkey GET": ("valkey", ValkeyGet),
    "NATS publish": ("nats", NatsPublish),
}


@dataclass
class Figures:
    """Per round, in microseconds: the median round trip of each way, and the taps' CPU."""

    direct: list[float] = field(default_factory=list)
    relayed: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    relayed_cpu: list[float] = field(default_factory=list)
    read_cpu: list[float] = field(default_factory=list)
    pipelined_cpu: list[float] = field(default_factory=list)


def trips_us(wire: Wire, count: int) -> list[float]:
    """So many round trips, one after the other."""
    now, exchange = time.perf_counter_ns, wire.exchange
    taken = []
    for _ in range(count):
        began = now()
        exchange()
        taken.append((now() - began) / 1000)
    return taken


def interval(values: list[float]) -> tuple[float, float, float]:
    """The median and the order statistics around it that hold it with 95 % confidence."""
    ordered = np.sort(values)
    n = len(ordered)
    reach = 1.96 * np.sqrt(n) / 2
    low, high = max(int(np.floor(n / 2 - reach)), 0), min(int(np.ceil(n / 2 + reach)), n - 1)
    return float(np.median(ordered)), float(ordered[low]), float(ordered[high])


class Bench:
    def __init__(self, folder: Path, reading: Taps, relaying: Taps) -> None:
        self.folder = folder
        self.reading = reading
        self.relaying = relaying
        self.windows = 0

    def window(self, *, reading: bool = True) -> Window:
        self.windows += 1
        paths = [self.folder / f"{name}{self.windows}" for name in ("e", "c", "s")]
        return Window(self.windows, *paths, reading=reading)

    async def measure(
        self, name: str, server: RunningDependency, rounds: int, exchanges: int
    ) -> Figures:
        """Direct, relayed and read, in turns."""
        kind, make = CASES[name]
        figures = Figures()
        at = server.address
        read, relayed = await self.reading.wrap(kind, at), await self.relaying.wrap(kind, at)
        await self.relaying.begin(self.window(reading=False))
        await self.reading.begin(self.window())
        direct = make(Place(at.host, at.port), server)
        through = make(Place(relayed.host, relayed.port), server)
        along = make(Place(read.host, read.port), server)
        for wire in (direct, through, along):
            trips_us(wire, 500)
        for _ in range(rounds):
            taken: dict[str, list[float]] = {"direct": [], "relayed": [], "read": []}
            spent = {"relayed": 0.0, "read": 0.0}
            for way in ("relayed", "read"):
                taps = self.reading if way == "read" else self.relaying
                wire = along if way == "read" else through
                before_s = (await taps.stats()).cpu_s
                for _ in range(max(exchanges // STRETCH, 1)):
                    taken["direct"] += trips_us(direct, STRETCH // 2)
                    taken[way] += trips_us(wire, STRETCH)
                spent[way] = (await taps.stats()).cpu_s - before_s
            figures.direct.append(float(np.median(taken["direct"])))
            figures.relayed.append(float(np.median(taken["relayed"])))
            figures.read.append(float(np.median(taken["read"])))
            figures.relayed_cpu.append(spent["relayed"] / len(taken["relayed"]) * 1e6)
            figures.read_cpu.append(spent["read"] / len(taken["read"]) * 1e6)
            before_s = (await self.reading.stats()).cpu_s
            for _ in range(max(exchanges // DEPTH, 1)):
                along.pipeline(DEPTH)
            used_s = (await self.reading.stats()).cpu_s - before_s
            figures.pipelined_cpu.append(used_s / (max(exchanges // DEPTH, 1) * DEPTH) * 1e6)
        for wire in (direct, through, along):
            wire.sock.close()
        result = await self.reading.end()
        await self.relaying.end()
        if result.unread or result.lost_exchanges:
            sys.exit(f"{name}: not everything was read: {result}")
        return figures

    async def flat(self, server: RunningDependency, count: int) -> bool:
        """Many exchanges through one tap: whether its memory stays as it is."""
        address = await self.reading.wrap("valkey", server.address)
        await self.reading.begin(self.window())
        wire = ValkeyGet(Place(address.host, address.port), server)
        deep, sent, first = 500, 0, None
        began_s = time.monotonic()
        marks = [count * (tenth + 1) // 10 for tenth in range(10)]
        for mark in marks:
            while sent < mark:
                wire.pipeline(deep)
                sent += deep
            stats = await self.reading.stats()
            first = first or stats.rss_bytes
            print(f"{sent:>12,} exchanges  {stats.rss_bytes / 1e6:7.1f} MB", flush=True)
        wire.sock.close()
        result = await self.reading.end()
        took_s = time.monotonic() - began_s
        grown = stats.rss_bytes - (first or 0)
        print(
            f"grown by {grown / 1e6:.1f} MB after the first tenth; {result.exchange_count:,} "
            f"recorded, {result.lost_exchanges:,} lost, {result.cpu_s / sent * 1e6:.1f} µs of CPU "
            f"each, {took_s:.0f} s"
        )
        return grown <= GROWTH_BYTES_MAX and not result.lost_exchanges


def show(name: str, f: Figures) -> bool:
    """One line of the table; whether the figure is met."""

    def added(way: list[float]) -> list[float]:
        return [a - b for a, b in zip(way, f.direct, strict=True)]

    read, low, high = interval(added(f.read))
    relayed, *_ = interval(added(f.relayed))
    ratio, ratio_low, ratio_high = interval([a / b for a, b in zip(f.read, f.direct, strict=True)])
    met = read <= ADDED_US_MAX
    print(
        f"{name:20} {np.median(f.direct):7.1f} {read:7.1f} {low:6.1f} to {high:<6.1f}"
        f"{relayed:7.1f}   {ratio:5.2f} ({ratio_low:.2f}–{ratio_high:.2f})"
        f" {np.median(f.read_cpu):8.1f} {np.median(f.relayed_cpu):8.1f}"
        f" {np.median(f.pipelined_cpu):9.1f}   {'met' if met else 'missed'}"
    )
    return met


async def run(options: argparse.Namespace, folder: Path) -> bool:
    service = Service(
        name="bench",
        directory=folder,
        start=("true",),
        dependencies=tuple(Dependency(name=k, kind=k, env={}) for k in KINDS),  # type: ignore[arg-type]
    )
    setup = Setup(service=service, workload=Workload(arrivals=OpenArrivals(1.0), operations=()))
    kinds = {kind: kind for kind in KINDS}
    async with (
        Guard() as guard,
        Taps(kinds, spawn=guard.spawn) as reading,
        Taps(kinds, spawn=guard.spawn) as relaying,
    ):
        place = guard.make_folder()
        servers = Dependencies(setup, guard=guard, emit=lambda event: None, folder=place)
        try:
            await servers.start({})
            bench = Bench(folder, reading, relaying)
            if options.flat:
                return await bench.flat(servers.running["valkey"], options.flat)
            print(
                f"{'µs':20} {'direct':>7} {'added by reading tap':>24}{'relay':>7}   "
                f"{'ratio':17} {'CPU read':>8} {'relayed':>8} {'pipelined':>9}"
            )
            met = [
                show(
                    name,
                    await bench.measure(
                        name, servers.running[kind], options.rounds, options.exchanges
                    ),
                )
                for name, (kind, _) in CASES.items()
            ]
            print(f"asked: at most {ADDED_US_MAX:g} µs added with reading on")
            return all(met)
        finally:
            await servers.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--exchanges", type=int, default=2000, help="of each way, per round")
    parser.add_argument("--flat", type=int, default=0, help="send so many; show the memory")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lp-bench-"))
    try:
        return 0 if asyncio.run(run(options, folder)) else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

"""What a tap adds to a round trip, and what an exchange costs it in CPU.

    python bench/tap.py [--rounds N] [--exchanges N] [--flat N] [--write]

PostgreSQL, Valkey and NATS are asked by raw sockets with bytes made ahead, one exchange after the
other on one connection: directly, through a tap that reads along and records, and through one that
only relays, in turns of 100, so that what else the machine does falls on all alike; and, where
nginx has its stream module (Debian: nginx-light libnginx-mod-stream), through that. What is added
is the difference of a round's medians. A round in which others took more than 5 % of a core is
repeated, up to three times. `CPU, pipelined` is an exchange's share when 50 cross at once, which
shows reading without the wake-ups. `--write` puts the table into docs/reference/benchmarks.md.

`--flat N` instead sends N exchanges through one tap and shows the memory of its process on the way;
the project asks for 10,000,000 with less than 50 MB of growth after the first tenth.

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
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import numpy as np
from support import nginx as peer
from support import page
from support.figures import Figures
from support.noise import OTHERS_MAX, children_of, least_disturbed

from loadpath.deploy import Guard, RunningDependency
from loadpath.deploy.dependencies import Dependencies
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload
from loadpath.tap import Place, Taps, Window

ADDED_US_MAX = 14.0
OVER_PEER_MAX = 1.3
GROWTH_BYTES_MAX = 50_000_000
STRETCH = 100
DEPTH = 50
KINDS = {"postgres": "PostgreSQL", "valkey": "Valkey", "nats": "NATS"}
ADDED = "added by a tap that reads"
ADDED_BY_PEER = "added by nginx stream"


class Wire(ABC):
    """A blocking connection on which one prepared exchange is repeated."""

    def __init__(self, place: Place, dependency: RunningDependency) -> None:
        self.sock = socket.create_connection((place.host, place.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = b""
        self.reply_bytes = 0
        self.prepare(dependency)

    @abstractmethod
    def prepare(self, dependency: RunningDependency) -> None:
        """Log in, set up, and find `request` and `reply_bytes`."""

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


def trips_us(wire: Wire, count: int) -> list[float]:
    """So many round trips, one after the other."""
    now, exchange = time.perf_counter_ns, wire.exchange
    taken = []
    for _ in range(count):
        began = now()
        exchange()
        taken.append((now() - began) / 1000)
    return taken


class Bench:
    def __init__(self, folder: Path, guard: Guard, reading: Taps, relaying: Taps) -> None:
        self.folder = folder
        self.guard = guard
        self.relay_module = peer.relay_module()
        self.reading = reading
        self.relaying = relaying
        self.windows = 0
        self.figures = Figures()
        self.others: list[float] = []

    def window(self, *, reading: bool = True) -> Window:
        self.windows += 1
        paths = [self.folder / f"{name}{self.windows}" for name in ("e", "c", "s")]
        return Window(self.windows, *paths, reading=reading)

    async def measure(
        self, name: str, server: RunningDependency, pids: list[int], rounds: int, exchanges: int
    ) -> None:
        """Direct, relayed and read, in turns."""
        kind, make = CASES[name]
        at = server.address
        read, relayed = await self.reading.wrap(kind, at), await self.relaying.wrap(kind, at)
        await self.relaying.begin(self.window(reading=False))
        await self.reading.begin(self.window())
        wires = {
            "direct": make(Place(at.host, at.port), server),
            "relayed": make(Place(relayed.host, relayed.port), server),
            "read": make(Place(read.host, read.port), server),
        }
        ours = [self.reading.pid, self.relaying.pid, *pids]
        if self.relay_module is not None:
            port, relay = await peer.start_relay(
                self.guard, self.relay_module, f"{at.host}:{at.port}"
            )
            wires["nginx"] = make(Place("127.0.0.1", port), server)
            ours += relay
        for wire in wires.values():
            trips_us(wire, 500)
        ours += [child for pid in pids for child in children_of(pid)]
        for _ in range(rounds):
            found, others = await least_disturbed(lambda: self.round(wires, exchanges), ours)
            self.others.append(others)
            for what, value in found.items():
                asked = ADDED_US_MAX if what == ADDED else None
                self.figures.note(f"{name}, {what}", "µs", value, at_most=asked)
        self.figures.ratio(f"{name}, round trip, read", f"{name}, round trip, direct")
        self.figures.ratio(f"{name}, {ADDED}", f"{name}, {ADDED_BY_PEER}", at_most=OVER_PEER_MAX)
        for wire in wires.values():
            wire.sock.close()
        result = await self.reading.end()
        await self.relaying.end()
        if result.unread or result.lost_exchanges:
            sys.exit(f"{name}: not everything was read: {result}")

    async def round(self, wires: dict[str, Wire], exchanges: int) -> dict[str, float]:
        """So many round trips each way; medians and the taps' CPU, in microseconds."""
        before_s = {"relayed": await self.cpu_s("relayed"), "read": await self.cpu_s("read")}
        taken: dict[str, list[float]] = {way: [] for way in wires}
        for _ in range(max(exchanges // STRETCH, 1)):
            for way, wire in wires.items():
                taken[way] += trips_us(wire, STRETCH)
        cpu_us = {
            way: (await self.cpu_s(way) - began_s) / len(taken[way]) * 1e6
            for way, began_s in before_s.items()
        }
        before_pipelines_s = await self.cpu_s("read")
        pipelines = max(exchanges // DEPTH, 1)
        for _ in range(pipelines):
            wires["read"].pipeline(DEPTH)
        pipelined_s = await self.cpu_s("read") - before_pipelines_s
        median = {way: float(np.median(values)) for way, values in taken.items()}
        of_peer = {}
        if "nginx" in median:
            of_peer = {ADDED_BY_PEER: median["nginx"] - median["direct"]}
        return of_peer | {
            "round trip, direct": median["direct"],
            "round trip, read": median["read"],
            ADDED: median["read"] - median["direct"],
            "added by a tap that only relays": median["relayed"] - median["direct"],
            "CPU, read": cpu_us["read"],
            "CPU, relayed": cpu_us["relayed"],
            "CPU, pipelined and read": pipelined_s / (pipelines * DEPTH) * 1e6,
        }

    async def cpu_s(self, way: str) -> float:
        """What the taps of one way have used."""
        return (await (self.reading if way == "read" else self.relaying).stats()).cpu_s

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


def show(bench: Bench, rounds: int, *, write: bool, versions: dict[str, str]) -> bool:
    """Print the table, write it if asked; whether every figure is met."""
    worst = max(bench.others)
    note = f"Others took at most {worst:.2f} cores meanwhile" + (
        ", which the figures then show." if worst > OTHERS_MAX else "."
    )
    print(f"{bench.figures.as_text()}\n\n{note}")
    if write:
        intro = f"Medians of {rounds} rounds, in each of which the ways took turns. {note}"
        page.write_section("tap", "The taps", f"{intro}\n\n{bench.figures.as_markdown()}", versions)
    for name in bench.figures.missed:
        print(f"missed: {name}", file=sys.stderr)
    return not bench.figures.missed


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
            bench = Bench(folder, guard, reading, relaying)
            if options.flat:
                return await bench.flat(servers.running["valkey"], options.flat)
            for name, (kind, _) in CASES.items():
                pids = [servers.servers[kind].child.pid]
                await bench.measure(
                    name, servers.running[kind], pids, options.rounds, options.exchanges
                )
            versions = {KINDS[k]: running.version for k, running in servers.running.items()}
            if bench.relay_module is not None:
                versions["nginx"] = peer.version()
            return show(bench, options.rounds, write=options.write, versions=versions)
        finally:
            await servers.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--exchanges", type=int, default=2000, help="of each way, per round")
    parser.add_argument("--flat", type=int, default=0, help="send so many; show the memory")
    parser.add_argument("--write", action="store_true", help="write docs/reference/benchmarks.md")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lp-bench-"))
    try:
        return 0 if asyncio.run(run(options, folder)) else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

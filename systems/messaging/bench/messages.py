"""What a message costs, and how long members wait for it: beside Synapse, with the same client.

    python systems/messaging/bench/messages.py [--parts idle alone polling] [--rounds 6]
        [--seconds 5] [--members 100] [--senders 16] [--devices 5] [--rate 64] [--write]

With SYNAPSE_PYTHON set to a Python that has the packages matrix-synapse and psycopg2-binary, that
homeserver runs on the same PostgreSQL, and both are driven in turn, each round in the other order;
ratios are of the two runs of a round. Both have one process, and presence off. The parts:

- idle: the memory that waiting polls take, of `--devices` devices of each member.
- alone: senders into one room as fast as it goes, nobody polls.
- polling: all members poll the room, and senders send as fast as it goes; then the service here
  alone at 40 times what the other had reached (without it: at `--rate`).

PostgreSQL flushes to disk. CPU is that of a homeserver's own processes, from /proc; the client's
is not counted, but shares the cores. With --write the tables take the place of those in README.md,
with the day and the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
import uvloop
from figures import TIMES, Alone, Found, Polled, tables, whole
from members import Heard, Room, log_in, open_polls, open_room, send_all, while_all_poll
from messaging.testing import migrated_database, start_messaging
from synapse import SynapseError, synapse_python, synapse_service
from systems_common.testing import (
    cpu_s,
    descendants,
    machine,
    others_busy_cores,
    postgres_server,
    private_folder,
    resident_bytes,
    wait_until,
    write_block,
)

PARTS = ("idle", "alone", "polling")
README = Path(__file__).resolve().parents[1] / "README.md"
_QUIET_S = 0.5
_SETTLED_S = 60.0


class Homeserver(msgspec.Struct, frozen=True):
    """One that runs: where, and its process, which starts others."""

    name: str
    port: int
    pid: int
    room: Room
    beside: tuple[int, ...]
    """The servers it uses, PostgreSQL too."""

    @property
    def pids(self) -> list[int]:
        """Its own processes."""
        return [self.pid, *descendants(self.pid)]


def measure_idle(server: Homeserver, devices: int) -> float:
    """KiB that a waiting poll takes."""

    async def wait_for_nothing() -> float:
        polls = await log_in(server.port, server.room.members, devices)
        await asyncio.to_thread(settle, server)
        before = resident_bytes(server.pids)
        async with open_polls(server.port, polls, [], [0.0]):
            await asyncio.to_thread(settle, server)
            grown = resident_bytes(server.pids) - before
        return grown / len(polls) / 1024

    return uvloop.run(wait_for_nothing())


def settle(server: Homeserver) -> None:
    """Wait until it does next to nothing."""

    def is_quiet() -> bool:
        before_s = cpu_s(server.pids)
        time.sleep(_QUIET_S)
        return cpu_s(server.pids) - before_s <= 0.1 * _QUIET_S

    wait_until(is_quiet, timeout_s=_SETTLED_S, what=f"{server.name} to have done what it was asked")


def measure_alone(server: Homeserver, senders: int, seconds: float) -> Alone:
    """Send as fast as it goes, after a second of the same."""
    uvloop.run(send_all(server.port, server.room, senders, 1.0))
    mine = server.pids
    others = [pid for root in server.beside for pid in (root, *descendants(root))]
    before_s, others_before_s, began_s = cpu_s(mine), cpu_s(others), time.monotonic()
    sent = uvloop.run(send_all(server.port, server.room, senders, seconds))
    took_s = time.monotonic() - began_s
    spent_s = cpu_s(mine) - before_s
    all_s = spent_s + cpu_s(others) - others_before_s
    return Alone(sent / took_s, sent / spent_s, sent / all_s)


def measure_polled(
    server: Homeserver, senders: int, seconds: float, rate_per_s: float | None
) -> Polled:
    """Send while all poll."""
    heard: Heard = uvloop.run(
        while_all_poll(server.port, server.pids, server.room, senders, seconds, rate_per_s)
    )
    p50_ms, p99_ms = (1000 * heard.delay_s(quantile) for quantile in (0.5, 0.99))
    return Polled(heard.sent_per_s, heard.received_per_s, p50_ms, p99_ms, heard.cores)


def measure(servers: list[Homeserver], options: argparse.Namespace) -> Found:
    """Every part, every round; ours is the first of the servers."""
    found = Found()
    ours = servers[0]
    if "idle" in options.parts:
        # Before any load: memory that was given back would be taken again, and cost nothing.
        for server in servers:
            found.idle_kib[server.name] = measure_idle(server, options.devices)
            print(
                f"idle     {server.name:8} {found.idle_kib[server.name]:.1f} KiB each", flush=True
            )
    for number in range(options.rounds):
        order = servers if number % 2 == 0 else servers[::-1]
        if "alone" in options.parts:
            for server in order:
                alone = measure_alone(server, options.senders, options.seconds)
                found.alone.setdefault(server.name, []).append(alone)
                print(
                    f"alone    {server.name:8} {whole(alone.sends_per_s)} sends/s,"
                    f" {whole(alone.per_cpu_s)} per CPU-second,"
                    f" {whole(alone.per_all_cpu_s)} with the servers",
                    flush=True,
                )
        if "polling" in options.parts:
            for server in order:
                polled = measure_polled(server, options.senders, options.seconds, None)
                found.polled.setdefault(server.name, []).append(polled)
                tell(server.name, polled)
            rate_per_s = options.rate
            if len(servers) > 1:
                rate_per_s = TIMES * found.polled[servers[1].name][-1].received_per_s
            paced = measure_polled(ours, options.senders, options.seconds, rate_per_s)
            found.paced.append(paced)
            tell(f"{ours.name} at {whole(rate_per_s)}/s", paced)
    return found


def tell(name: str, polled: Polled) -> None:
    """Print one run."""
    print(
        f"polling  {name:8} {whole(polled.sends_per_s)} sends/s,"
        f" {whole(polled.received_per_s)} received/s,"
        f" p50 {whole(polled.p50_ms)} ms, p99 {whole(polled.p99_ms)} ms, {polled.cores:.2f} cores",
        flush=True,
    )


def main() -> int:
    """Start everything, measure, and write it down if that is asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--devices", type=int, default=5)
    parser.add_argument("--rate", type=float, default=64.0)
    parser.add_argument("--write", action="store_true", help="put what is found into README.md")
    options = parser.parse_args()
    busy_cores, began_s = others_busy_cores(), time.monotonic()
    try:
        given = synapse_python()
        with ExitStack() as stack:
            enter = stack.enter_context
            postgres = enter(postgres_server({"max_connections": "50", "shared_buffers": "256MB"}))
            template = migrated_database(postgres.url)
            running = enter(start_messaging(postgres.url, template, DB_POOL="10"))
            version = running.sql("SHOW server_version")[0][0].split()[0]
            process = running.process._process
            assert process is not None
            servers = [
                Homeserver(
                    "here",
                    running.process.port,
                    process.pid,
                    uvloop.run(open_room(running.process.port, options.members)),
                    (postgres.pid, running.nats.pid, running.valkey.pid),
                )
            ]
            if given is not None:
                folder = enter(private_folder("messaging-bench-"))
                peer = enter(synapse_service(given[0], postgres.url, folder))
                room = uvloop.run(open_room(peer.port, options.members))
                servers.append(Homeserver("Synapse", peer.port, peer.pid, room, (postgres.pid,)))
            print(f"set up   in {time.monotonic() - began_s:.0f} s", flush=True)
            found = measure(servers, options)
    except (SynapseError, RuntimeError, TimeoutError) as error:
        print(f"messages.py: {error}", file=sys.stderr)
        return 2
    beside = (
        f"Synapse {given[1]} ran beside it, one process too, set up as its manual says."
        if given
        else "Synapse was left out, since SYNAPSE_PYTHON was not set."
    )
    said = textwrap.fill(
        f"{machine()}, PostgreSQL {version}; before it began others kept {busy_cores:.1f} cores"
        f" busy. {beside} Rounds: {options.rounds}; medians, with the least and the greatest.",
        120,
    )
    found_text = tables(
        found,
        [server.name for server in servers],
        senders=options.senders,
        members=options.members,
        polls=options.members * options.devices,
        rate_per_s=options.rate,
    )
    text = f"{said}\n\n{found_text}"
    print(f"\n{text}")
    if options.write:
        write_block(README, "bench/messages.py", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

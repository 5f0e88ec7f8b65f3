"""Memory of a process for each idle long poll.

    python systems/messaging/bench/idle.py [--polls 10000] [--within 30] [--write]

Users are written into the database, each signed in and in one room of a hundred; then each polls,
from several loopback addresses, which Linux has without being told. Memory is the resident size of
the service's worker, before anybody polls and while all wait. It ends within a minute: what waits
when `--within` is over is told, and is a failure unless it is all. With --write the sentence takes
the place of the one in README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import resource
import sys
import textwrap
import time
from pathlib import Path
from typing import cast

import httpx
import msgspec
import uvloop
from messaging.testing import Messaging, migrated_database, start_messaging
from systems_common.testing import machine, postgres_server, resident_bytes, write_block

README = Path(__file__).resolve().parents[1] / "README.md"
CLIENT = "/_matrix/client/v3"
_ROOM_SIZE = 100
_UNDER_WAY_MAX = 100
_REFUSED_S = 1.0
_PER_ADDRESS = 5_000

_USERS = """
WITH users AS (
    INSERT INTO account (user_id, password_digest)
    SELECT '@idle-' || n || ':example.org', '' FROM generate_series(0, $1::int - 1) AS n
    RETURNING no, user_id, split_part(split_part(user_id, '-', 2), ':', 1)::int AS n
), devices AS (
    INSERT INTO device (user_no, device_id) SELECT no, 'IDLE' FROM users RETURNING no, user_no
), tokens AS (
    INSERT INTO access_token (digest, device_no)
    SELECT t.digest, d.no FROM devices AS d JOIN users AS u ON u.no = d.user_no
    JOIN unnest($2::bytea[]) WITH ORDINALITY AS t(digest, place) ON t.place = u.n + 1
), rooms AS (
    INSERT INTO room (room_id, version, creator, seq, auth, joined)
    SELECT '!idle-' || r || ':example.org', '10', '@idle-0:example.org', 1, 1, $3
    FROM generate_series(0, ($1::int - 1) / $3::int) AS r
    RETURNING no, split_part(split_part(room_id, '-', 2), ':', 1)::int AS n
), created AS (
    INSERT INTO event (room_no, seq, ts, counted, counts, sender, type, state_key, content)
    SELECT no, 1, 0, 0, false, '@idle-0:example.org', 'm.room.create', '', '{"room_version":"10"}'
    FROM rooms
)
INSERT INTO member (room_no, user_id, membership, seq)
SELECT r.no, u.user_id, 'join', 1 FROM users AS u JOIN rooms AS r ON r.n = u.n / $3::int"""


class Waiting(msgspec.Struct, frozen=True):
    """How many wait, the memory of the process without and with them, and how long they took."""

    polls: int
    before_bytes: int
    all_bytes: int
    took_s: float

    def __str__(self) -> str:
        each_kib = (self.all_bytes - self.before_bytes) / max(1, self.polls) / 1024
        return (
            f"{self.polls:,} idle polls, each of another user in a room of {_ROOM_SIZE}, wait in"
            f" one process of {self.all_bytes / 2**20:.0f} MiB:"
            f" {self.before_bytes / 2**20:.0f} MiB without any, and {each_kib:.1f} KiB each. They"
            f" were opened in {self.took_s:.0f} s."
        )


class Poll(asyncio.Protocol):
    """A connection that polls, and polls again if it is answered."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """An answer is short, since there is nothing to tell; from the same position on again."""
        # Refused when it waited too long for the database: clients are told to wait then.
        pause_s = 0.0 if data.startswith(b"HTTP/1.1 200") else _REFUSED_S
        asyncio.get_running_loop().call_later(pause_s, self._ask)

    def _ask(self) -> None:
        assert self._transport is not None
        self._transport.write(self._request)


async def poll_all(running: Messaging, tokens: list[str], since: str, within_s: float) -> Waiting:
    """Poll as everybody, or as many as can within that time."""
    pids = running.process.worker_pids
    before, began_s = resident_bytes(pids), time.monotonic()
    end_s = began_s + within_s
    loop = asyncio.get_running_loop()
    opened = waiting = 0
    async with httpx.AsyncClient(base_url=running.process.url, timeout=30.0) as client:
        while waiting < len(tokens) and time.monotonic() < end_s:
            # Not all at once: whoever waits too long for the database would be refused.
            for number in range(opened, min(len(tokens), waiting + _UNDER_WAY_MAX)):
                path = f"{CLIENT}/sync?timeout=60000&set_presence=offline&since={since}"
                signed = f"Authorization: Bearer {tokens[number]}"
                request = f"GET {path} HTTP/1.1\r\nHost: x\r\n{signed}\r\n\r\n"
                await loop.create_connection(
                    lambda text=request: Poll(text.encode()),  # type: ignore[misc]
                    "127.0.0.1",
                    running.process.port,
                    # One address has ports for some 28,000 connections, others' included.
                    local_addr=(f"127.0.0.{2 + number // _PER_ADDRESS}", 0),
                )
                opened = number + 1
            await asyncio.sleep(0.05)
            waiting = (await client.get("/health")).json()["waiting"]
        took_s = time.monotonic() - began_s
        await asyncio.sleep(1.0)
        waiting = (await client.get("/health")).json()["waiting"]
    return Waiting(waiting, before, resident_bytes(pids), took_s)


def allow_files(polls: int) -> None:
    """Raise the limit of open files, for us and for what we start. Raises `SystemExit`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = polls + 1_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(
            f"--polls {polls} needs {wanted:,} open files, and the hard limit is {hard:,};"
            " raise it (ulimit -Hn), or ask for fewer"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else hard, hard))


def main() -> int:
    """Start everything and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--polls", type=int, default=10_000)
    parser.add_argument("--within", type=float, default=30.0, help="seconds for opening them")
    parser.add_argument("--write", action="store_true", help="put what is found into README.md")
    options = parser.parse_args()
    allow_files(options.polls)
    with postgres_server({"max_connections": "50"}) as postgres:
        template = migrated_database(postgres.url)
        with start_messaging(postgres.url, template, DB_POOL="10") as running:
            tokens = [f"idle-token-{n}" for n in range(options.polls)]
            digests = [hashlib.sha256(token.encode()).digest() for token in tokens]
            running.sql(_USERS, options.polls, digests, _ROOM_SIZE)
            running.sql("ANALYZE")
            since = running.user().sync()["next_batch"]
            found = uvloop.run(poll_all(running, tokens, since, options.within))
    print(found)
    if found.polls < options.polls:
        print(f"of {options.polls:,} not all within {options.within:g} s", file=sys.stderr)
        return 1
    if options.write:
        write_block(README, "bench/idle.py", textwrap.fill(f"{machine()}. {found}", 120))
    return 0


if __name__ == "__main__":
    sys.exit(main())

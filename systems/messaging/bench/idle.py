"""Memory of a process for each idle long poll.

    python systems/messaging/bench/idle.py [--polls 10000]

Users are written into the database, each signed in and in one room of a hundred; then each polls.
Memory is the resident size of the service's worker, before anybody polls and while all wait.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import time
from pathlib import Path

import httpx
import uvloop
from messaging.testing import Messaging, migrated_database, start_messaging
from systems_common.testing import descendants, postgres_server

CLIENT = "/_matrix/client/v3"
_ROOM_SIZE = 100
_AT_ONCE = 100
_TIME_MAX_S = 300.0

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


def resident_bytes(pids: list[int]) -> int:
    """What these processes hold in memory."""
    found = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                found += int(line.split()[1]) * 1024
    return found


class Poll(asyncio.Protocol):
    """One connection that asks once, and is never answered while it is measured."""

    def __init__(self, request: bytes) -> None:
        self.request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert hasattr(transport, "write")
        transport.write(self.request)


async def poll_all(running: Messaging, tokens: list[str], since: str) -> None:
    """Poll as everybody, and print what that takes."""
    pids = descendants(running.process._process.pid)  # type: ignore[union-attr]
    before, began_s = resident_bytes(pids), time.monotonic()
    loop = asyncio.get_running_loop()
    n = 0
    async with httpx.AsyncClient(base_url=running.process.url, timeout=30.0) as client:
        for first in range(0, len(tokens), _AT_ONCE):
            for token in tokens[first : first + _AT_ONCE]:
                path = f"{CLIENT}/sync?timeout=60000&set_presence=offline&since={since}"
                request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
                await loop.create_connection(
                    lambda text=request: Poll(text.encode()),  # type: ignore[misc]
                    "127.0.0.1",
                    running.process.port,
                )
            # Not all at once: whoever waits too long for the database would be refused.
            opened = min(len(tokens), first + _AT_ONCE)
            while (n := (await client.get("/health")).json()["waiting"]) < opened:
                if time.monotonic() - began_s > _TIME_MAX_S:
                    raise SystemExit(f"only {n} of {opened} wait after {_TIME_MAX_S} s")
                await asyncio.sleep(0.02)
        await asyncio.sleep(1.0)
    grown = resident_bytes(pids) - before
    print(
        f"{n} idle polls after {time.monotonic() - began_s:.0f} s: {before / 2**20:.0f} MiB and"
        f" {grown / 2**20:.0f} MiB more, {grown / n / 1024:.1f} KiB each"
    )


def main() -> None:
    """Start everything and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--polls", type=int, default=10_000)
    options = parser.parse_args()
    with postgres_server({"max_connections": "50"}) as postgres:
        template = migrated_database(postgres.url)
        with start_messaging(postgres.url, template, DB_POOL="10") as running:
            tokens = [f"idle-token-{n}" for n in range(options.polls)]
            digests = [hashlib.sha256(token.encode()).digest() for token in tokens]
            running.sql(_USERS, options.polls, digests, _ROOM_SIZE)
            running.sql("ANALYZE")
            since = running.user().sync()["next_batch"]
            uvloop.run(poll_all(running, tokens, since))


if __name__ == "__main__":
    main()

"""What reading a wire costs: CPU per exchange, fed from memory, for recorded pieces.

    python bench/wire.py [--rounds N] [--write]

Each line is one kind of exchange, cut out of a transcript and repeated on a connection that was
begun as its client began it. A round's figure is the least of some repetitions, since what else the
machine does only ever adds. `--write` puts the table into docs/reference/benchmarks.md. Exit status
1: an exchange cost more than the project asks of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from support import page
from support.figures import Figures
from support.transcripts import Cut, feed, first_exchange, postgres_exchange

from loadpath import __version__
from loadpath.wire import Conversation
from loadpath.wire.http1 import HttpConversation
from loadpath.wire.nats import NatsConversation
from loadpath.wire.postgres import PostgresConversation
from loadpath.wire.resp import RedisConversation

REPEATS = 3_000
TIMES = 8

GET = "*2\r\n$3\r\nGET\r\n"
HGETALL = "*2\r\n$7\r\nHGETALL\r\n"
# Name, reader, exchange, µs at most (None: only told).
CASES: tuple[tuple[str, Callable[[], Conversation], Cut, float | None], ...] = (
    (
        "PostgreSQL, simple",
        PostgresConversation,
        postgres_exchange("sqlalchemy.txt", "query", "SELECT count(*)"),
        4,
    ),
    (
        "PostgreSQL, extended, prepared (asyncpg)",
        PostgresConversation,
        postgres_exchange("asyncpg.txt", "execute", "SELECT name"),
        4,
    ),
    (
        "PostgreSQL, extended, prepared (psycopg)",
        PostgresConversation,
        postgres_exchange("psycopg-async.txt", "execute", "SELECT * FROM item"),
        4,
    ),
    (
        "PostgreSQL, extended, with Parse (psycopg)",
        PostgresConversation,
        postgres_exchange("psycopg.txt", "execute", "SELECT name"),
        None,
    ),
    (
        "PostgreSQL, extended, prepared (asyncpg), rows digested",
        lambda: PostgresConversation(digest_replies=True),
        postgres_exchange("asyncpg.txt", "execute", "SELECT name"),
        4,
    ),
    (
        "Redis GET, RESP2, reply digested",
        lambda: RedisConversation(digest_replies=True),
        first_exchange("resp_redis_py_resp2.0", GET),
        None,
    ),
    ("Redis GET, RESP2", RedisConversation, first_exchange("resp_redis_py_resp2.0", GET), 2),
    ("Redis GET, RESP3", RedisConversation, first_exchange("resp_redis_py_resp3.0", GET), 2),
    ("Redis HGETALL", RedisConversation, first_exchange("resp_redis_py_resp3.0", HGETALL), None),
    (
        "NATS publish, JetStream",
        NatsConversation,
        first_exchange("nats_jetstream.0", "PUB visits."),
        None,
    ),
    (
        "NATS publish, plain",
        NatsConversation,
        first_exchange("nats_core.0", "PUB nobody", answered=False),
        None,
    ),
    ("HTTP GET", HttpConversation, first_exchange("http_client.0", "GET "), None),
)


def cost_us(reader: Callable[[], Conversation], cut: Cut) -> float:
    """CPU of one exchange: the least of `TIMES`."""
    before, request, reply = cut
    conversation = reader()
    feed(conversation, before)
    least = float("inf")
    for _ in range(TIMES):
        conversation.finished.clear()
        began_s = time.process_time()
        for _ in range(REPEATS):
            conversation.sent(request, 1.0)
            if reply:
                conversation.received(reply, 2.0)
        least = min(least, time.process_time() - began_s)
        if conversation.unread is not None or len(conversation.finished) != REPEATS:
            raise SystemExit(
                f"{len(conversation.finished)} exchanges were read, expected {REPEATS} "
                f"({conversation.unread})"
            )
    return least / REPEATS * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write docs/reference/benchmarks.md")
    options = parser.parse_args()
    figures = Figures()
    for _ in range(options.rounds):
        for name, reader, cut, at_most in CASES:
            figures.note(name, "µs", cost_us(reader, cut), at_most=at_most)
    print(figures.as_text())
    if options.write:
        said = (
            "CPU of one exchange, read from memory: the least of some repetitions, in each round."
        )
        body = f"{said}\n\n{figures.as_markdown()}"
        page.write_section("wire", "The readers of wires", body, {"Loadpath": __version__})
    for name in figures.missed:
        print(f"missed: {name}", file=sys.stderr)
    return int(bool(figures.missed))


if __name__ == "__main__":
    sys.exit(main())

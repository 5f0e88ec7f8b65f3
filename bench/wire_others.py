"""What reading Redis, NATS and HTTP costs: CPU per exchange, fed from memory, for recorded pieces.

    python bench/wire_others.py [--rounds N]

Each line is one kind of exchange, cut out of a transcript and repeated on one connection. The
figure is the least of several rounds, since what else the machine does only ever adds. Exit
status 1: an exchange cost more than the project asks of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from loadpath.wire import Conversation
from loadpath.wire.http1 import HttpConversation
from loadpath.wire.nats import NatsConversation
from loadpath.wire.resp import RedisConversation

TRANSCRIPTS = Path(__file__).resolve().parents[1] / "tests/unit/wire/transcripts"
REPEATS = 20_000
Case = tuple[str, Callable[[], Conversation], str, str, int | None]

# Name, reader, transcript, how the request begins, ns at most (None: only told).
CASES: tuple[Case, ...] = (
    ("Redis GET, RESP2", RedisConversation, "resp_redis_py_resp2.0", "*2\r\n$3\r\nGET\r\n", 2_000),
    ("Redis GET, RESP3", RedisConversation, "resp_redis_py_resp3.0", "*2\r\n$3\r\nGET\r\n", 2_000),
    ("Redis HGETALL", RedisConversation, "resp_redis_py_resp3.0", "*2\r\n$7\r\nHGETALL\r\n", None),
    ("NATS publish, JetStream", NatsConversation, "nats_jetstream.0", "PUB visits.", None),
    ("NATS publish, plain", NatsConversation, "nats_core.0", "PUB nobody", None),
    ("HTTP GET", HttpConversation, "http_client.0", "GET ", None),
)


def cut_out(transcript: str, begins: str) -> tuple[list[tuple[str, bytes]], bytes, bytes]:
    """What comes before the first such request, the request, and its reply (if one is told)."""
    said = json.loads((TRANSCRIPTS / f"{transcript}.json").read_text("utf-8"))
    pieces = [(side, data.encode("latin-1")) for side, data in said]
    for number, (side, data) in enumerate(pieces):
        at = data.find(begins.encode())
        if side == "C" and at >= 0:
            answered = begins != "PUB nobody"
            return pieces[:number], data[at:], pieces[number + 1][1] if answered else b""
    raise SystemExit(f"{transcript} has no {begins!r}")


def ns_per_exchange(case: Case, rounds: int) -> float:
    _, reader, transcript, begins, _ = case
    before, request, reply = cut_out(transcript, begins)
    conversation = reader()
    for side, data in before:
        (conversation.sent if side == "C" else conversation.received)(data, 0.0)
    least = float("inf")
    for _ in range(rounds):
        conversation.finished.clear()
        began_s = time.process_time()
        for _ in range(REPEATS):
            conversation.sent(request, 1.0)
            if reply:
                conversation.received(reply, 2.0)
        least = min(least, time.process_time() - began_s)
        if conversation.unread is not None or len(conversation.finished) != REPEATS:
            raise SystemExit(
                f"{transcript}: {len(conversation.finished)} exchanges were read, "
                f"expected {REPEATS} ({conversation.unread})"
            )
    return least / REPEATS * 1e9


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    missed = 0
    for case in CASES:
        name, most = case[0], case[4]
        cost = ns_per_exchange(case, rounds)
        missed += most is not None and cost > most
        limit = f"at most {most:,} ns" if most is not None else ""
        print(f"{name:<26} {cost:>8,.0f} ns  {limit}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

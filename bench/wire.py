"""What reading a wire costs: CPU per exchange, fed from memory, for recorded pieces.

    python bench/wire.py [--seconds S]

Each line is one kind of exchange, repeated on a connection that was begun as its client began it.
The figure is the least of several rounds, since what else the machine does only ever adds. Exit
status 1: an exchange cost more than the project asks of it.
"""

from __future__ import annotations

import argparse
import ast
import sys
import time
from pathlib import Path
from typing import TypeAlias

from loadpath.wire.postgres import PostgresConversation

CHECKOUT = Path(__file__).resolve().parents[1]
TRANSCRIPTS = CHECKOUT / "tests/unit/wire/transcripts"
LIMIT_NS = 4_000

Piece: TypeAlias = tuple[str, bytes]

WHAT = {
    "simple": ("sqlalchemy.txt", "query", "SELECT count(*)"),
    "extended, prepared (asyncpg)": ("asyncpg.txt", "execute", "SELECT name"),
    "extended, prepared (psycopg)": ("psycopg-async.txt", "execute", "SELECT * FROM item"),
    "extended, with Parse (psycopg)": ("psycopg.txt", "execute", "SELECT name"),
}
HELD_TO_THE_LIMIT = tuple(WHAT)[:3]


def pieces(name: str) -> list[Piece]:
    """The pieces of the first connection of a transcript."""
    connection = (TRANSCRIPTS / name).read_text("ascii").split("-" * 20 + "\n")[1]
    split = [line.split(" ", 2) for line in connection.splitlines()]
    return [(who, ast.literal_eval(data)) for who, _, data in split]


def feed(conversation: PostgresConversation, said: list[Piece]) -> None:
    for who, data in said:
        (conversation.sent if who == "C" else conversation.received)(data, 0.0)


def cut_out(name: str, verb: str, text: str) -> tuple[list[Piece], list[Piece]]:
    """What comes before the last exchange of that kind that is alone in its pieces, and it."""
    said = pieces(name)
    conversation = PostgresConversation()
    found = None
    for i, piece in enumerate(said):
        feed(conversation, [piece])
        done, conversation.finished = conversation.finished, []
        alone = len(done) == 1 and said[i - 1][0] == "C" and piece[0] == "S"
        if alone and done[0].verb == verb and done[0].text.startswith(text):
            found = i
    if found is None:
        raise SystemExit(f"{name} has no {verb} of {text!r} in two pieces")
    return said[: found - 1], said[found - 1 : found + 1]


def cost_ns(before: list[Piece], exchange: list[Piece], seconds: float) -> float:
    """CPU of one exchange."""
    (_, request), (_, reply) = exchange
    conversation = PostgresConversation()
    feed(conversation, before)
    sent, received = conversation.sent, conversation.received
    repeat, best, spent_s = 2_000, float("inf"), 0.0
    while spent_s < seconds or best == float("inf"):
        conversation.finished.clear()
        began = time.process_time_ns()
        for _ in range(repeat):
            sent(request, 0.0)
            received(reply, 0.0)
        took = time.process_time_ns() - began
        spent_s += took / 1e9
        best = min(best, took / repeat)
        if conversation.unread is not None or len(conversation.finished) != repeat:
            raise SystemExit(f"{len(conversation.finished)} exchanges; {conversation.unread}")
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU for each kind")
    options = parser.parse_args()
    missed = False
    for what, where in WHAT.items():
        cost = cost_ns(*cut_out(*where), options.seconds)
        over = what in HELD_TO_THE_LIMIT and cost > LIMIT_NS
        missed |= over
        print(f"{what:<34}{cost:7.0f} ns{'   above ' + str(LIMIT_NS) if over else ''}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

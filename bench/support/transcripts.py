"""One exchange cut out of a recorded transcript, with what was said before it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TypeAlias

from loadpath.wire import Conversation
from loadpath.wire.postgres import PostgresConversation

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "tests/unit/wire/transcripts"

Piece: TypeAlias = tuple[str, bytes]
Cut: TypeAlias = tuple[list[Piece], bytes, bytes]
"""What comes before, the request, and its reply (empty: none is told)."""


def feed(conversation: Conversation, said: list[Piece]) -> None:
    """Let a conversation hear pieces."""
    for who, data in said:
        (conversation.sent if who == "C" else conversation.received)(data, 0.0)


def postgres_exchange(name: str, verb: str, text: str) -> Cut:
    """The last exchange of that kind that is alone in its pieces."""
    connection = (TRANSCRIPTS / name).read_text("ascii").split("-" * 20 + "\n")[1]
    split = [line.split(" ", 2) for line in connection.splitlines()]
    said = [(who, ast.literal_eval(data)) for who, _, data in split]
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
    return said[: found - 1], said[found - 1][1], said[found][1]


def first_exchange(name: str, begins: str, *, answered: bool = True) -> Cut:
    """The first request that begins so, and the piece after it."""
    content = json.loads((TRANSCRIPTS / f"{name}.json").read_text("utf-8"))
    said = [(side, data.encode("latin-1")) for side, data in content]
    for number, (side, data) in enumerate(said):
        at = data.find(begins.encode())
        if side == "C" and at >= 0:
            return said[:number], data[at:], said[number + 1][1] if answered else b""
    raise SystemExit(f"{name} has no {begins!r}")

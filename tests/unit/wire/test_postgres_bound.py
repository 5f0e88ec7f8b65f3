"""What statements are run with is kept where somebody asks for it, byte for byte, and else not."""

from __future__ import annotations

import struct

import pytest

from loadpath.wire import Exchange
from loadpath.wire.postgres import PostgresConversation


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


TYPES = struct.pack("!HI", 1, 23)
VALUES = struct.pack("!HH", 1, 1) + struct.pack("!H", 1) + struct.pack("!Iq", 8, 77) + b"\0\0"
PARSE = message(b"P", b"s1\0SELECT $1\0" + TYPES)
BIND = message(b"B", b"\0s1\0" + VALUES)
EXECUTE = message(b"E", b"\0\0\0\0\0")
SYNC = message(b"S", b"")
READY = message(b"Z", b"I")
DONE = message(b"2", b"") + message(b"C", b"SELECT 1\0")


def conversation(keep: bool) -> PostgresConversation:
    made = PostgresConversation(keep_parameters=keep)
    packet = b"user\0app\0\0"
    made.sent(struct.pack("!II", len(packet) + 8, 196608) + packet, 0.0)
    made.received(message(b"R", struct.pack("!I", 0)) + READY, 0.1)
    made.finished.clear()
    return made


def executed(made: PostgresConversation, *pieces: bytes) -> Exchange:
    for piece in pieces:
        made.sent(piece, 1.0)
    made.received((message(b"1", b"") if PARSE in b"".join(pieces) else b"") + DONE + READY, 1.1)
    (found,) = [each for each in made.finished if each.verb == "execute"]
    made.finished.clear()
    assert made.unread is None
    return found


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_types_and_values_are_kept_however_the_bytes_are_cut(cut: int) -> None:
    sent = PARSE + BIND + EXECUTE + SYNC
    pieces = [sent[i : i + cut] for i in range(0, len(sent), cut)]
    bound = executed(conversation(keep=True), *pieces).bound
    assert bound is not None
    assert (bound.types, bound.values, bound.named) == (TYPES, VALUES, True)


def test_a_statement_prepared_before_is_known_with_its_types() -> None:
    made = conversation(keep=True)
    executed(made, PARSE + BIND + EXECUTE + SYNC)
    bound = executed(made, BIND + EXECUTE + SYNC).bound
    assert bound is not None
    assert (bound.types, bound.values) == (TYPES, VALUES)


def test_nothing_is_kept_unasked() -> None:
    assert executed(conversation(keep=False), PARSE + BIND + EXECUTE + SYNC).bound is None

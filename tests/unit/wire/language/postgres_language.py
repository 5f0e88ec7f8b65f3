"""PostgreSQL's messages as words, and conversations read in every way they can be cut.

A conversation is written as what the client (`C`) and the server (`S`) said, piece by piece. It is
read whole, cut at every byte, and byte by byte, and must come out the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

from loadpath.wire import Exchange
from loadpath.wire.postgres import PostgresConversation

Piece: TypeAlias = tuple[str, bytes, float]


# ---- the messages


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack(">I", len(body) + 4) + body


def text(*words: str) -> bytes:
    return b"".join(w.encode() + b"\0" for w in words)


def packet(code: int, body: bytes = b"") -> bytes:
    return struct.pack(">II", len(body) + 8, code) + body


START = packet(3 << 16, text("user", "me", "database", "shop") + b"\0")
START_3_2 = packet((3 << 16) + 2, text("user", "me", "_pq_.x", "1") + b"\0")
TLS, GSS = packet(80877103), packet(80877104)
AUTH_OK = message("R", struct.pack(">I", 0))
KEY = message("K", b"\0" * 8)


def query(sql: str) -> bytes:
    return message("Q", text(sql))


def parse(sql: str, name: str = "") -> bytes:
    return message("P", text(name, sql) + b"\0\0")


def bind(*values: str, statement: str = "", portal: str = "") -> bytes:
    given = b"".join(struct.pack(">I", len(v)) + v.encode() for v in values)
    count = struct.pack(">HH", 0, len(values))
    return message("B", text(portal, statement) + count + given + b"\0\0")


def describe(kind: str = "P", name: str = "") -> bytes:
    return message("D", kind.encode() + text(name))


def execute(portal: str = "", limit: int = 0) -> bytes:
    return message("E", text(portal) + struct.pack(">i", limit))


def close(kind: str = "S", name: str = "") -> bytes:
    return message("C", kind.encode() + text(name))


SYNC, FLUSH, TERMINATE = message("S"), message("H"), message("X")
COPY_DONE = message("c")


def copy_data(data: str) -> bytes:
    return message("d", data.encode())


PARSED, BOUND, CLOSED, NO_DATA = (message(kind) for kind in "123n")
PARAMETERS = message("t", b"\0\1\0\0\0\x17")
COLUMNS = message("T", b"\0\1" + text("a") + b"\0" * 18)
ROW = message("D", b"\0\1\0\0\0\1x")
SUSPENDED, EMPTY = message("s"), message("I")
COPY_IN, COPY_OUT = message("G", b"\0\0\0"), message("H", b"\0\0\0")


def done(tag: str) -> bytes:
    return message("C", text(tag))


def ready(state: str = "I") -> bytes:
    return message("Z", state.encode())


def error(code: str, severity: str = "ERROR") -> bytes:
    fields = f"S{severity}", f"V{severity}", f"C{code}", "Mwhatever 12345"
    return message("E", text(*fields) + b"\0")


NOTICE = message("N", text("SNOTICE", "VNOTICE", "C00000", "Mhm") + b"\0")
STATUS = message("S", text("TimeZone", "UTC"))


def notification(channel: str, payload: str) -> bytes:
    return message("A", b"\0\0\0\7" + text(channel, payload))


# ---- reading


def C(*messages: bytes) -> tuple[str, bytes]:
    return "C", b"".join(messages)


def S(*messages: bytes) -> tuple[str, bytes]:
    return "S", b"".join(messages)


LOGIN = (C(START), S(AUTH_OK, KEY, STATUS, ready()))


def fields(exchange: Exchange) -> tuple[Any, ...]:
    return tuple(getattr(exchange, name) for name in Exchange.__slots__)


def fed(pieces: list[Piece], *, end: bool = True) -> PostgresConversation:
    conversation = PostgresConversation()
    for who, data, at_s in pieces:
        (conversation.sent if who == "C" else conversation.received)(data, at_s)
    if end:
        conversation.closed(1e6)
    return conversation


def cuts(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """The same, each piece cut in two at every place where it can be, and all byte by byte."""
    for at in range(1, max(len(data) for _, data, _ in pieces)):
        yield [
            (who, part, at_s)
            for who, data, at_s in pieces
            for part in ((data[:at], data[at:]) if len(data) > at else (data,))
        ]
    yield [(w, data[i : i + 1], at_s) for w, data, at_s in pieces for i in range(len(data))]


def read_in_every_way(pieces: list[Piece]) -> PostgresConversation:
    whole = fed(pieces)
    expected = [fields(e) for e in whole.finished]
    for cut in cuts(pieces):
        other = fed(cut)
        assert [fields(e) for e in other.finished] == expected
        assert other.unread == whole.unread
    return whole


def words(exchange: Exchange) -> str:
    """An exchange as a line: verb, text, then only what is not as usual."""
    said = [exchange.verb]
    said += [repr(exchange.text)] if exchange.text else []
    said += [f"rows {exchange.rows}"] if exchange.rows is not None else []
    said += [f"error {exchange.error}"] if exchange.error else []
    said += [exchange.transaction] if exchange.transaction != "none" else []
    said += ["pushed"] if exchange.pushed else []
    said += [] if exchange.ended else ["not ended"]
    return " ".join(said)


def timed(pieces: tuple[tuple[str, bytes], ...]) -> list[Piece]:
    return [(who, data, float(n)) for n, (who, data) in enumerate(pieces)]


def read(*pieces: tuple[str, bytes]) -> list[str]:
    """The exchanges after the login."""
    conversation = read_in_every_way(timed(LOGIN + pieces))
    assert conversation.unread is None
    assert words(conversation.finished[0]) == "startup 'shop'"
    return [words(e) for e in conversation.finished[1:]]


def read_exchanges(*pieces: tuple[str, bytes]) -> list[Exchange]:
    return read_in_every_way(timed(LOGIN + pieces)).finished[1:]


def unread(*pieces: tuple[str, bytes], login: bool = True) -> str:
    conversation = read_in_every_way(timed((LOGIN if login else ()) + pieces))
    assert conversation.unread is not None
    # From then on nothing is read, and nothing more comes out.
    before = len(conversation.finished)
    conversation.sent(query("SELECT 1"), 0.0)
    conversation.received(done("SELECT 1") + ready(), 0.0)
    conversation.closed(0.0)
    assert len(conversation.finished) == before
    return conversation.unread

"""Protocols in line: bytes go through unharmed however they are cut, and only what was ordered is
done, whatever came in the same piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.tap import orders
from loadpath.tap.inline.core import Core, Taking
from loadpath.tap.inline.http import HttpCore
from loadpath.tap.inline.matches import (
    matches,
    route_matches,
    statement_matches,
    subject_matches,
)
from loadpath.tap.inline.nats import NatsCore
from loadpath.tap.inline.postgres import PostgresCore, error_response
from loadpath.tap.inline.redis import STAND_IN, RedisCore
from loadpath.tap.standing import Standing
from loadpath.wire.unreadable import UnreadableError


class Taken:
    def __init__(self, standing: Standing, order: orders.UnitOrder) -> None:
        self.order = order
        self._standing = standing

    def missed(self) -> None:
        self._standing.unhit()


class FakeWire:
    """Where a core's output is collected."""

    def __init__(self, kind: str, *given_orders: orders.UnitOrder) -> None:
        self.kind = kind
        self.sent = b""
        self.said = b""
        self.waits: list[float] = []
        self.closed = False
        self.standing = [Standing(n, "it", o, lambda _: False) for n, o in enumerate(given_orders)]

    def to_server(self, data: bytes) -> None:
        assert not self.closed
        self.sent += data

    def to_client(self, data: bytes) -> None:
        assert not self.closed
        self.said += data

    def wait(self, delay_s: float) -> None:
        self.waits.append(delay_s)

    def close(self) -> None:
        self.closed = True

    def choose(self, verb: str, text: str, *, answered: bool = True) -> Taking | None:
        for standing in self.standing:
            order = standing.order
            assert isinstance(order, orders.UnitOrder)
            if matches(order, self.kind, verb, text, answered=answered) and standing.taken():
                return Taken(standing, order)
        return None


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


def ready(state: bytes = b"I") -> bytes:
    return message(b"Z", state)


def done(tag: bytes) -> bytes:
    return message(b"C", tag + b"\0")


STARTUP = (16).to_bytes(4) + (196608).to_bytes(4) + b"user\0u\0\0"
TLS_ASKED = (8).to_bytes(4) + (80877103).to_bytes(4)
GREETING = message(b"R", b"\0\0\0\0") + message(b"S", b"a\0b\0") + ready()
EXTENDED = (
    message(b"P", b"s1\0INSERT INTO link VALUES ($1)\0\0\0")
    + message(b"B", b"\0s1\0\0\0\0\1\0\0\0\1x\0\0")
    + message(b"E", b"\0\0\0\0\0")
    + message(b"S")
)
EXTENDED_REPLY = message(b"1") + message(b"2") + done(b"INSERT 0 1") + ready()

# What a client says and a server answers, turn by turn, on connections of each protocol.
Turns = list[tuple[bytes, bytes]]
POSTGRES: Turns = [
    (TLS_ASKED, b"N"),
    (STARTUP, GREETING),
    (query("SELECT 1"), done(b"SELECT 1") + ready()),
    (EXTENDED, EXTENDED_REPLY),
    (EXTENDED + query("COMMIT"), EXTENDED_REPLY + done(b"COMMIT") + ready()),
    (
        message(b"P", b"s2\0SELECT 2\0\0\0") + message(b"D", b"Ss2\0") + message(b"H"),
        message(b"1") + message(b"t", b"\0\0") + message(b"n"),
    ),
    (query("COPY link FROM STDIN"), message(b"G", b"\0\0\1\0\0")),
    (message(b"d", b"a\n") + message(b"c"), done(b"COPY 1") + ready()),
    (message(b"X"), b""),
]
REDIS: Turns = [
    (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
    (
        b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n",
        b"$-1\r\n+OK\r\n",
    ),
    (b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n", b"+OK\r\n+QUEUED\r\n"),
    (b"*1\r\n$4\r\nEXEC\r\n", b"*1\r\n:1\r\n"),
    (b"\r\nPING\r\n", b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n+PONG\r\n"),
]
NATS: Turns = [
    (b"", b'INFO {"server_id":"x"}\r\n'),
    (b'CONNECT {"verbose":false}\r\nPING\r\n', b"PONG\r\n"),
    (b"SUB _INBOX.a 1\r\nPUB visits.a _INBOX.a 3\r\na\r\n\r\n", b"MSG _INBOX.a 1 2\r\nok\r\n"),
    (b"HPUB visits.b 12 13\r\nNATS/1.0\r\n\r\nx\r\n", b"PING\r\n"),
]
HTTP: Turns = [
    (
        b"GET /links/7?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        b"POST /links HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ),
    (b"HEAD / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
]
PROTOCOLS: dict[str, tuple[Callable[[FakeWire], Core], Turns]] = {
    "postgres": (PostgresCore, POSTGRES),
    "valkey": (RedisCore, REDIS),
    "nats": (NatsCore, NATS),
    "http": (HttpCore, HTTP),
}


def cut(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = 0
    for end in [*sorted({c % (len(data) + 1) for c in cuts}), len(data)]:
        if end > at:
            yield data[at:end]
        at = max(at, end)


def play(core: Core, wire: FakeWire, turns: Turns, cuts: list[int]) -> None:
    for asked, answered in turns:
        for piece in cut(asked, cuts):
            if not wire.closed:
                core.requests(piece)
        for piece in cut(answered, cuts):
            if not wire.closed:
                core.replies(piece)


@pytest.mark.parametrize("kind", PROTOCOLS)
@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=12))
def test_without_orders_everything_passes_unharmed(kind: str, cuts: list[int]) -> None:
    make, turns = PROTOCOLS[kind]
    wire = FakeWire(kind)
    play(make(wire), wire, turns, cuts)
    assert wire.sent == b"".join(asked for asked, _ in turns)
    assert wire.said == b"".join(answered for _, answered in turns)


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_a_core_is_idle_between_turns_and_not_within_one(kind: str) -> None:
    make, turns = PROTOCOLS[kind]
    wire = FakeWire(kind)
    core = make(wire)
    asked, answered = b"", b""
    for asked, answered in turns[:2]:
        core.requests(asked)
        core.replies(answered)
    assert core.idle
    core.requests(turns[2][0][:-1])
    assert not core.idle


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=12))
def test_a_statement_fails_by_another_that_cannot_succeed(cuts: list[int]) -> None:
    wire = FakeWire("postgres", orders.Fail(code="40001", match="INSERT INTO link"))
    core = PostgresCore(wire, {})
    failing = EXTENDED.replace(
        message(b"E", b"\0\0\0\0\0"), message(b"E", b"loadpath_fault\0\0\0\0\0")
    )
    error = message(b"E", b'SERROR\0C34000\0Mportal "loadpath_fault" does not exist\0\0')
    play(
        core,
        wire,
        [(EXTENDED, message(b"1") + message(b"2") + error + ready(b"E"))],
        cuts,
    )
    assert wire.sent == failing
    assert wire.said == message(b"1") + message(b"2") + error_response("40001") + ready(b"E")
    assert wire.standing[0].hits == 1


def test_an_error_of_the_servers_own_is_left_as_it_is() -> None:
    wire = FakeWire("postgres", orders.Fail(code="40001"))
    core = PostgresCore(wire, {})
    own = message(b"E", b"SERROR\0C08P01\0Mbind message supplies 1 parameters\0\0")
    play(core, wire, [(EXTENDED, message(b"1") + own + ready())], [])
    assert wire.said == message(b"1") + own + ready()


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=12))
def test_the_acknowledgement_of_a_transaction_is_that_of_its_commit(cuts: list[int]) -> None:
    wire = FakeWire("postgres", orders.DropReply(match="INSERT INTO link"))
    core = PostgresCore(wire, {})
    began = [(query("BEGIN"), done(b"BEGIN") + ready(b"T"))]
    inserted = [(EXTENDED, EXTENDED_REPLY[:-1] + b"T")]
    play(core, wire, [*began, *inserted], cuts)
    assert wire.said == began[0][1] + inserted[0][1]
    play(core, wire, [(query("COMMIT"), done(b"COMMIT") + ready())], cuts)
    assert wire.closed
    assert wire.said == began[0][1] + inserted[0][1]
    assert wire.sent.endswith(query("COMMIT"))
    assert wire.standing[0].hits == 1


@pytest.mark.parametrize(
    "end",
    [
        (query("ROLLBACK"), done(b"ROLLBACK") + ready()),
        (query("COMMIT"), done(b"ROLLBACK") + ready()),
        (query("SELECT 1/0"), message(b"E", b"SERROR\0C22012\0\0") + ready(b"E")),
    ],
    ids=["rolled back", "commit of a failed one", "failed"],
)
def test_what_is_not_committed_is_not_counted(end: tuple[bytes, bytes]) -> None:
    wire = FakeWire("postgres", orders.DropReply(match="INSERT"))
    core = PostgresCore(wire, {})
    play(core, wire, [(query("BEGIN"), done(b"BEGIN") + ready(b"T"))], [])
    play(core, wire, [(query("INSERT INTO a"), done(b"INSERT 0 1") + ready(b"T")), end], [])
    assert not wire.closed
    assert wire.said.endswith(end[1])
    assert wire.standing[0].hits == 0


def test_an_encrypted_connection_is_given_up_with_all_that_it_said() -> None:
    core = PostgresCore(wire := FakeWire("postgres"))
    core.requests(TLS_ASKED)
    with pytest.raises(UnreadableError, match="TLS"):
        core.replies(b"S\x16\x03")
    assert wire.said == b"S"
    assert (core.unsent(), core.unsaid()) == (b"", b"\x16\x03")


def test_a_client_that_has_said_all_still_gets_its_reply_whole() -> None:
    core = HttpCore(wire := FakeWire("http"))
    asked, answered = HTTP[0]
    core.requests(asked)
    core.replies(answered[:20])
    assert core.unsent() == b""
    core.replies(answered[20:])
    assert wire.said == answered


def test_a_reply_that_ends_with_its_connection_is_dropped_all_the_same() -> None:
    core = HttpCore(wire := FakeWire("http", orders.DropReply()))
    core.requests(HTTP[0][0])
    core.replies(b"HTTP/1.0 200 OK\r\n\r\nsome")
    assert core.unsaid() == wire.said == b""


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 200), max_size=12))
def test_only_one_command_of_a_pipeline_fails(cuts: list[int]) -> None:
    wire = FakeWire("valkey", orders.Fail(code="OOM", match="SET k*"))
    get, put = REDIS[1][0][:22], REDIS[1][0][22:]
    turns = [(get + put + get, b"$-1\r\n-ERR unknown command\r\n$-1\r\n")]
    play(RedisCore(wire), wire, turns, cuts)
    assert wire.sent == get + STAND_IN + get
    assert wire.said.startswith(b"$-1\r\n-OOM command not allowed")
    assert wire.said.endswith(b"\r\n$-1\r\n")


def test_the_second_answer_to_a_doubled_command_is_swallowed() -> None:
    wire = FakeWire("valkey", orders.Duplicate(match="INCR"))
    command = b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n"
    play(RedisCore(wire), wire, [(command, b":1\r\n:2\r\n"), (REDIS[0][0], b"+PONG\r\n")], [])
    assert wire.sent == command * 2 + REDIS[0][0]
    assert wire.said == b":1\r\n+PONG\r\n"


def test_an_error_of_nats_comes_between_messages() -> None:
    wire = FakeWire("nats", orders.Fail(code="-ERR", match="visits.*"))
    core = NatsCore(wire)
    core.replies(b"MSG a 1 2\r\no")
    core.requests(b"PUB visits.a 1\r\nx\r\n")
    assert wire.said == b""
    core.replies(b"k\r\n")
    assert wire.said.startswith(b"MSG a 1 2\r\nok\r\n-ERR 'Permissions Violation")
    assert wire.sent == b""


def test_an_answer_in_the_servers_place_waits_for_its_turn() -> None:
    wire = FakeWire("http", orders.Fail(code="503", match="GET /b"))
    core = HttpCore(wire)
    first = b"GET /a HTTP/1.1\r\n\r\n"
    core.requests(first + b"GET /b HTTP/1.1\r\n\r\n")
    assert (wire.sent, wire.said) == (first, b"")
    core.replies(HTTP[0][1])
    assert wire.said.startswith(HTTP[0][1] + b"HTTP/1.1 503 Service Unavailable\r\n")


def test_matches() -> None:
    assert statement_matches("insert into link", "INSERT INTO link(code) VALUES ('x')")
    assert not statement_matches("INSERT INTO link", "INSERT INTO link_visit VALUES (1)")
    assert statement_matches("", "SELECT 1")
    assert subject_matches("visits.>", "visits.a.b") and not subject_matches("visits.>", "visits")
    assert subject_matches("visits.*", "visits.a") and not subject_matches("visits.*", "visits.a.b")
    assert not subject_matches("", "$JS.API.STREAM.INFO.x") and subject_matches("", "visits")
    assert route_matches("GET /links/{}", "GET", "/links/7?x=1")
    assert not route_matches("GET /links/{}", "POST", "/links/7")
    assert not route_matches("/links/{}", "GET", "/links") and route_matches("", "GET", "/x")
    get = orders.Fail(code="LOADING", match="GET link:*")
    assert matches(get, "valkey", "GET", "link:7", answered=True)
    assert not matches(get, "valkey", "GET", "other", answered=True)
    assert not matches(orders.Fail(code="OOM"), "valkey", "DEL", "x", answered=True)
    assert matches(orders.Fail(code="READONLY"), "valkey", "DEL", "x", answered=True)
    assert not matches(orders.Fail(code="LOADING"), "valkey", "AUTH", "", answered=True)
    assert not matches(orders.DropReply(), "nats", "PUB", "visits", answered=False)

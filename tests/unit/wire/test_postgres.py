"""PostgreSQL's wire, read: recorded clients, conversations written out, what is not understood.

Conversations are written as what the client (`C`) and the server (`S`) said, piece by piece. Each
is read whole, cut at every byte, and byte by byte, and must come out the same.
"""

from __future__ import annotations

import ast
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.wire import Exchange
from loadpath.wire.postgres import CUT, PostgresConversation
from loadpath.wire.postgres_messages import KEPT_BYTES
from loadpath.wire.postgres_requests import PENDING_MAX
from loadpath.wire.postgres_texts import STATEMENTS_MAX, STATEMENTS_TEXT_MAX, Statements

Piece: TypeAlias = tuple[str, bytes, float]

TRANSCRIPTS = Path(__file__).parent / "transcripts"


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


# ---- recorded clients


def transcript(name: str) -> list[list[Piece]]:
    connections: list[list[Piece]] = []
    for line in (TRANSCRIPTS / name).read_text("ascii").splitlines():
        if line.startswith("-"):
            connections.append([])
            continue
        who, at_ms, data = line.split(" ", 2)
        connections[-1].append((who, ast.literal_eval(data), float(at_ms) / 1e3))
    return connections


@pytest.mark.parametrize("name", sorted(f.name for f in TRANSCRIPTS.glob("*.txt")))
def test_a_recorded_client_reads_the_same_wherever_its_pieces_are_cut(name: str) -> None:
    for pieces in transcript(name):
        conversation = read_in_every_way(pieces)
        assert conversation.unread is None
        assert all(e.ended for e in conversation.finished)
        for e in conversation.finished:
            assert e.began_s <= e.first_byte_s <= e.ended_s
        # Every byte of the server's belongs to something, and every byte of the client's but the
        # farewell.
        reply_bytes = sum(e.reply_bytes for e in conversation.finished)
        assert reply_bytes == sum(len(data) for who, data, _ in pieces if who == "S")
        said = [data for who, data, _ in pieces if who == "C"]
        farewell = len(TERMINATE) if said[-1].endswith(TERMINATE) else 0
        request_bytes = sum(e.request_bytes for e in conversation.finished)
        assert request_bytes == sum(map(len, said)) - farewell


def recorded(name: str) -> list[str]:
    return [words(e) for pieces in transcript(name) for e in fed(pieces).finished]


def test_psycopg_is_read() -> None:
    by_id = "'SELECT name FROM item WHERE id = $1'"
    insert = "'INSERT INTO item VALUES ($1, $2, $3)'"
    assert recorded("psycopg.txt") == [
        "startup 'app'",
        "query 'BEGIN' open",
        f"execute {by_id} rows 0 open",
        *[f"execute {by_id} rows 1 open"] * 4,
        f"prepare {by_id} open",
        *[f"execute {by_id} rows 1 open"] * 2,
        "query 'COMMIT'",
        "query 'BEGIN' open",
        f"execute {insert} rows 1 open",
        "query 'ROLLBACK'",
        "query 'DEALLOCATE ALL'",
        "query 'BEGIN' open",
        f"execute {insert} error 23505 failed",
        "query 'ROLLBACK'",
        "query 'SELECT 1' rows 1",
        "query 'SELECT 2, 3' rows 1",
        "query 'UPDATE item SET price = 1 WHERE id < 4' rows 3",
        "query",
        "query 'SELECT 1' rows 1",
        "query 'SELECT 1/0' error 22012",
        "query 'LISTEN news'",
        "notify 'news' pushed",
        "query \"SELECT pg_notify('news', 'hello')\" rows 1",
        "query \"DO $$ BEGIN RAISE NOTICE 'a notice'; END $$\"",
        "query \"SET application_name = 'renamed'\"",
    ]


def test_psycopgs_pipelines_are_read() -> None:
    by_id = "'SELECT name FROM item WHERE id = $1'"
    assert recorded("psycopg-pipeline.txt") == [
        "startup 'app'",
        f"execute {by_id} rows 0",
        *[f"execute {by_id} rows 1"] * 2,
        "execute 'UPDATE item SET price = 2 WHERE id = $1' rows 1",
        "execute 'SELECT 1' rows 1",
        "execute 'SELECT 1 / $1' error 22012",
        "execute 'SELECT 3' error skipped",
        "sync",
        *["execute 'INSERT INTO item VALUES ($1, $2, $3)' rows 1"] * 20,
    ]


def test_psycopgs_cursors_and_copies_are_read() -> None:
    assert recorded("psycopg-cursor.txt") == [
        "startup 'app'",
        "query 'BEGIN' open",
        "execute 'DECLARE \"browse\" CURSOR FOR SELECT id FROM item ORDER BY id LIMIT 45' open",
        "prepare open",  # it describes a portal that only the server knows
        "query 'FETCH FORWARD 10 FROM \"browse\"' rows 10 open",
        "query 'FETCH FORWARD ALL FROM \"browse\"' rows 35 open",
        "query 'CLOSE \"browse\"' open",
        "copy 'COPY item FROM STDIN' rows 40 open",
        "copy 'COPY (SELECT id FROM item WHERE id < 30) TO STDOUT' rows 29 open",
        "copy 'COPY item FROM STDIN' error 22P02 failed",
        "query 'ROLLBACK'",
    ]


def test_asyncpg_is_read() -> None:
    by_id = "'SELECT name FROM item WHERE id = $1'"
    some = "'SELECT id FROM item ORDER BY id LIMIT 25'"
    assert recorded("asyncpg.txt") == [
        "startup 'app'",
        f"prepare {by_id}",
        *[f"execute {by_id} rows 1"] * 3,
        "query 'BEGIN;' open",
        "prepare 'UPDATE item SET price = $1 WHERE id = 2' open",
        "execute 'UPDATE item SET price = $1 WHERE id = 2' rows 1 open",
        f"prepare {some} open",
        f"execute {some} rows 10 open",
        f"fetch {some} rows 10 open",
        f"fetch {some} rows 5 open",
        "sync open",
        "query 'COMMIT;'",
        "prepare 'INSERT INTO item VALUES ($1, $2, NULL)'",
        *["execute 'INSERT INTO item VALUES ($1, $2, NULL)' rows 1"] * 10,
        "prepare \"INSERT INTO item VALUES ($1, 'double', NULL)\"",
        "execute \"INSERT INTO item VALUES ($1, 'double', NULL)\" error 23505",
        "prepare 'SELEC 1' error 42601",
        "prepare 'SELECT * FROM \"item\" LIMIT 1'",
        "copy 'COPY \"item\" FROM STDIN (FORMAT binary) ' rows 5",
        "query 'SELECT 1' rows 1",
        "query 'SELECT 2' rows 1",
        "prepare 'LISTEN \"news\"'",
        "execute 'LISTEN \"news\"'",
        "notify 'news' pushed",
        "query \"NOTIFY news, 'hello'\"",
        "query 'SELECT pg_sleep(5)' error 57014",
        "cancel",
    ]


def test_node_postgres_is_read() -> None:
    assert recorded("node-postgres.txt") == [
        "startup 'app'",
        "query 'BEGIN' open",
        "execute 'SELECT name FROM item WHERE id = $1' rows 1 open",
        *["execute 'SELECT * FROM item WHERE id = $1' rows 1 open"] * 2,
        "query 'COMMIT'",
        "execute 'SELECT 1 / $1::int' error 22012",
        "query 'SELECT 1' rows 1",
        "execute 'SELECT $1::text' rows 1",
    ]


# ---- how a connection begins


def test_a_refused_encryption_goes_on_in_plain() -> None:
    pieces = (C(GSS), S(b"N"), C(TLS), S(b"N"), C(START), S(AUTH_OK, ready()))
    conversation = read_in_every_way(timed(pieces))
    assert conversation.unread is None
    (exchange,) = conversation.finished
    assert (exchange.verb, exchange.text, exchange.began_s) == ("startup", "shop", 0.0)
    assert exchange.request_bytes == len(GSS) + len(TLS) + len(START)


def test_a_notice_after_a_refused_encryption_is_not_taken_for_the_answer() -> None:
    pieces = (C(TLS), S(b"N"), C(START), S(AUTH_OK, NOTICE, ready()))
    assert read_in_every_way(timed(pieces)).unread is None


@pytest.mark.parametrize(("asks", "answer", "how"), [(TLS, b"S", "TLS"), (GSS, b"G", "GSSAPI")])
def test_an_accepted_encryption_is_not_read(asks: bytes, answer: bytes, how: str) -> None:
    said = unread(C(asks), S(answer), C(b"\x16\3\1" * 40), login=False)
    assert said == f"the connection is encrypted: the server accepted {how}"


def test_tls_from_the_first_byte_is_not_read() -> None:
    assert "it begins with TLS" in unread(C(b"\x16\x03\x01\x02\x00\x01\x00\x01"), login=False)


def test_protocol_3_2_with_its_long_key_is_read() -> None:
    negotiation = message("v", struct.pack(">II", 196608, 1) + text("_pq_.x"))
    pieces = (C(START_3_2), S(negotiation, AUTH_OK, message("K", b"\0" * 260), ready()))
    conversation = read_in_every_way(timed(pieces))
    assert [words(e) for e in conversation.finished] == ["startup 'me'"]


def test_passwords_are_passed_over() -> None:
    asked = message("R", struct.pack(">I", 10) + text("SCRAM-SHA-256") + b"\0")
    pieces = (C(START), S(asked), C(message("p", b"secret")), S(AUTH_OK, ready()))
    (exchange,) = read_in_every_way(timed(pieces)).finished
    assert exchange.request_bytes == len(START) + 11


def test_a_refused_login_ends_the_startup_with_its_error() -> None:
    conversation = read_in_every_way(timed((C(START), S(error("28P01", "FATAL")))))
    assert [words(e) for e in conversation.finished] == ["startup 'shop' error 28P01"]


def test_an_error_may_answer_a_request_for_encryption() -> None:
    conversation = read_in_every_way(timed((C(TLS), S(error("53300", "FATAL")))))
    assert [words(e) for e in conversation.finished] == ["error error 53300 pushed"]


def test_protocol_2_is_not_read() -> None:
    assert unread(C(packet(2 << 16)), login=False).endswith("speaks PostgreSQL's protocol 2.0")


# ---- simple queries


def test_a_query_is_one_exchange_with_its_times_and_bytes() -> None:
    (e,) = read_exchanges(
        C(query("SELECT 1")), S(COLUMNS), S(ROW, ROW), S(done("SELECT 2"), ready("T"))
    )
    assert words(e) == "query 'SELECT 1' rows 2 open"
    assert (e.began_s, e.first_byte_s, e.ended_s) == (2.0, 3.0, 5.0)
    assert e.request_bytes == len(query("SELECT 1"))
    assert e.reply_bytes == len(COLUMNS + ROW + ROW + done("SELECT 2") + ready())
    assert e.parameters == 0


def test_each_statement_of_a_query_is_an_exchange() -> None:
    assert read(
        C(query("BEGIN; SELECT ';' ; ; -- ;\nUPDATE t SET a = $$;$$;")),
        S(done("BEGIN"), COLUMNS, ROW, done("SELECT 1")),
        S(NOTICE, done("UPDATE 7"), ready("T")),
    ) == [
        "query 'BEGIN' open",
        "query \"SELECT ';'\" rows 1 open",
        "query 'UPDATE t SET a = $$;$$' rows 7 open",
    ]


def test_an_error_belongs_to_the_statement_that_failed() -> None:
    pieces = C(query("SELECT 1; SELECT 1/0; SELECT 3")), S(COLUMNS, ROW, done("SELECT 1"))
    assert read(*pieces, S(COLUMNS, error("22012"), ready())) == [
        "query 'SELECT 1' rows 1",
        "query 'SELECT 1/0' error 22012",
    ]
    assert read(C(query("SELECT 1/0; SELECT 2")), S(error("22012"), ready())) == [
        "query 'SELECT 1/0' error 22012"
    ]
    # Nothing of it ran.
    assert read(C(query("SELECT 1; SELEC 2")), S(error("42601"), ready())) == [
        "query 'SELECT 1; SELEC 2' error 42601"
    ]


def test_an_empty_query_is_answered() -> None:
    assert read(C(query("-- nothing")), S(EMPTY, ready())) == ["query '-- nothing'"]


def test_a_function_call_is_answered() -> None:
    call = message("F", struct.pack(">IHHH", 1, 0, 0, 0))
    result = message("V", b"\xff\xff\xff\xff")
    assert read(C(call), S(result, ready()), C(call), S(error("42883"), ready())) == [
        "call",
        "call error 42883",
    ]


# ---- extended queries


def test_parse_bind_and_describe_belong_to_what_they_execute() -> None:
    (e,) = read_exchanges(
        C(parse("SELECT $1"), bind("7"), describe(), execute(), SYNC),
        S(PARSED, BOUND, COLUMNS, ROW, done("SELECT 1"), ready()),
    )
    assert words(e) == "execute 'SELECT $1' rows 1"
    assert e.parameters != 0


def test_statements_are_remembered_by_name_until_they_are_closed() -> None:
    run = C(bind("1", statement="a"), execute(), SYNC)
    ran = S(BOUND, done("INSERT 0 1"), ready())
    assert read(
        C(parse("INSERT INTO t VALUES ($1)", "a"), describe("S", "a"), SYNC),
        S(PARSED, PARAMETERS, NO_DATA, ready()),
        run,
        ran,
        C(close("S", "a"), SYNC),
        S(CLOSED, ready()),
        run,
        S(error("26000"), ready()),
    ) == [
        "prepare 'INSERT INTO t VALUES ($1)'",
        "execute 'INSERT INTO t VALUES ($1)' rows 1",
        "sync",
        "execute error 26000",
    ]


def test_a_statement_that_was_refused_leaves_what_had_its_name() -> None:
    assert read(
        C(parse("SELECT 1", "a"), SYNC),
        S(PARSED, ready()),
        C(parse("SELECT 2", "a"), SYNC),
        S(error("42P05"), ready()),
        C(bind(statement="a"), execute(), SYNC),
        S(BOUND, ROW, done("SELECT 1"), ready()),
    ) == ["prepare 'SELECT 1'", "prepare 'SELECT 2' error 42P05", "execute 'SELECT 1' rows 1"]


def test_parameters_are_hashed_alike_for_like_values_only() -> None:
    reply = S(BOUND, done("SELECT 0"), ready())
    values = [("1", "x"), ("1", "x"), ("2", "x"), ("1x",), (), ("y" * KEPT_BYTES, "1")]
    values += [("y" * KEPT_BYTES, "1"), ("y" * KEPT_BYTES, "2")]
    pieces = [p for v in values for p in (C(bind(*v), execute(), SYNC), reply)]
    conversation = fed(timed((*LOGIN, *pieces)))
    hashes = [e.parameters for e in conversation.finished[1:]]
    assert hashes[0] == hashes[1]
    assert hashes[4] == 0
    assert hashes[5] == hashes[6]
    assert len(set(hashes)) == 6
    pieced = [
        (who, data[i : i + 1000], at)
        for who, data, at in timed((*LOGIN, *pieces))
        for i in range(0, len(data), 1000)
    ]
    assert [e.parameters for e in fed(pieced).finished[1:]] == hashes


def test_a_pipeline_gives_an_exchange_for_each_execute() -> None:
    first, second, third = read_exchanges(
        C(bind(), execute(), bind(), execute(), bind(), execute(), SYNC),
        S(BOUND, done("BEGIN"), BOUND),
        S(ROW, done("SELECT 1"), BOUND),
        S(done("COMMIT"), ready()),
    )
    assert [words(e) for e in (first, second, third)] == [
        "execute open",
        "execute rows 1 open",
        "execute",
    ]
    assert [(e.first_byte_s, e.ended_s) for e in (first, second, third)] == [
        (3.0, 3.0),
        (3.0, 4.0),
        (4.0, 5.0),
    ]


def test_the_server_skips_to_the_next_sync_after_an_error() -> None:
    assert read(
        C(parse("BAD"), bind(), execute(), parse("B"), bind(), execute(), SYNC),
        C(parse("C"), bind(), execute(), SYNC),
        S(error("42601"), ready()),
        S(PARSED, BOUND, done("SELECT 0"), ready()),
    ) == ["execute 'BAD' error 42601", "execute 'B' error skipped", "execute 'C' rows 0"]


def test_an_error_may_come_before_the_rest_of_its_request() -> None:
    assert read(
        C(parse("BAD")),
        S(error("42601")),
        C(bind(), execute(), query("SELECT 1"), SYNC),
        S(ready("E")),
    ) == [
        "execute 'BAD' error 42601 failed",
        "query 'SELECT 1' error skipped failed",
        "sync failed",
    ]


def test_a_commit_that_fails_at_sync_is_the_last_ones_error() -> None:
    assert read(
        C(parse("INSERT"), bind(), execute(), SYNC),
        S(PARSED, BOUND, done("INSERT 0 1"), error("23505"), ready()),
        C(bind(), execute(), SYNC),
        S(BOUND, done("SELECT 3"), ready()),
    ) == ["execute 'INSERT' rows 1 error 23505", "execute 'INSERT' rows 3"]


def test_a_portal_that_is_fetched_in_parts_is_executed_once() -> None:
    assert read(
        C(parse("SELECT"), bind(portal="p"), execute("p", 2), FLUSH),
        S(PARSED, BOUND, ROW, ROW, SUSPENDED),
        C(execute("p", 2), FLUSH),
        S(ROW, done("SELECT 1")),
        C(SYNC),
        S(ready()),
    ) == ["execute 'SELECT' rows 2", "fetch 'SELECT' rows 1", "sync"]


def test_rollback_to_a_savepoint_leaves_the_transaction_open() -> None:
    def run(sql: str, tag: str) -> tuple[bytes, bytes]:
        return parse(sql) + bind() + execute(), PARSED + BOUND + done(tag)

    steps = [run("BEGIN", "BEGIN"), run("ROLLBACK TO a", "ROLLBACK"), run("ROLLBACK", "ROLLBACK")]
    exchanges = read_exchanges(
        C(*(asked for asked, _ in steps), SYNC), S(*(came for _, came in steps), ready())
    )
    assert [e.transaction for e in exchanges] == ["open", "open", "none"]


# ---- COPY


def test_copy_from_the_client_is_one_exchange() -> None:
    (e,) = read_exchanges(
        C(query("COPY t FROM STDIN")),
        S(COPY_IN),
        C(copy_data("1\n"), copy_data("2\n")),
        C(COPY_DONE),
        S(done("COPY 2"), ready()),
    )
    assert words(e) == "copy 'COPY t FROM STDIN' rows 2"
    assert e.request_bytes == len(query("COPY t FROM STDIN")) + 14 + 5


def test_a_sync_during_copy_is_never_answered() -> None:
    asked = parse("COPY t FROM STDIN"), bind(), describe(), execute(), SYNC
    assert read(
        C(*asked),
        S(PARSED, BOUND, NO_DATA, COPY_IN),
        C(copy_data("1\n"), SYNC, FLUSH, COPY_DONE, SYNC),
        S(done("COPY 1"), ready()),
        C(query("SELECT 1")),
        S(done("SELECT 1"), ready()),
    ) == ["copy 'COPY t FROM STDIN' rows 1", "query 'SELECT 1' rows 1"]
    assert read(
        C(*asked, copy_data("1\n"), COPY_DONE, SYNC),
        S(PARSED, BOUND, NO_DATA, COPY_IN, done("COPY 1"), ready()),
    ) == ["copy 'COPY t FROM STDIN' rows 1"]


def test_a_copy_that_fails_leaves_rows_that_nobody_waits_for() -> None:
    assert read(
        C(query("COPY t FROM STDIN")),
        S(COPY_IN),
        C(copy_data("x\n")),
        S(error("22P02"), ready()),
        C(copy_data("y\n"), COPY_DONE),
        C(query("SELECT 1")),
        S(done("SELECT 1"), ready()),
    ) == ["copy 'COPY t FROM STDIN' error 22P02", "query 'SELECT 1' rows 1"]


def test_copy_to_the_client_is_one_exchange() -> None:
    rows = copy_data("1\n"), copy_data("2\n"), COPY_DONE
    assert read(C(query("COPY t TO STDOUT")), S(COPY_OUT, *rows, done("COPY 2"), ready())) == [
        "copy 'COPY t TO STDOUT' rows 2"
    ]


# ---- what comes by itself


def test_notifications_are_pushed_between_and_within_replies() -> None:
    news = notification("news", "hello")
    assert read(
        S(news),
        C(query("SELECT 1")),
        S(COLUMNS, NOTICE, ROW, done("SELECT 1"), news, STATUS, ready()),
    ) == ["notify 'news' pushed", "notify 'news' pushed", "query 'SELECT 1' rows 1"]


def test_a_server_that_gives_up_a_connection_says_why() -> None:
    assert read(S(error("57P01", "FATAL"))) == ["error error 57P01 pushed"]
    assert read(C(query("SELECT 1")), S(error("57P01", "FATAL"))) == [
        "query 'SELECT 1' error 57P01"
    ]


def test_what_was_under_way_when_the_connection_closed_has_not_ended() -> None:
    assert read(C(query("SELECT 1")), S(COLUMNS, ROW), C(query("SELECT 2"))) == [
        "query 'SELECT 1' not ended",
        "query 'SELECT 2' not ended",
    ]


# ---- what is not understood


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ((S(done("SELECT 1")),), "when nothing was asked"),
        ((C(query("SELECT 1")), S(BOUND)), "does not answer the query"),
        ((C(query("SELECT 1")), S(ready())), "does not answer the query"),
        ((C(bind(), execute(), SYNC), S(ROW)), "does not answer the execute"),
        ((C(bind(), execute(), SYNC), S(error("22012"), BOUND)), "does not answer the execute"),
        ((C(b"y\0\0\0\4"),), "type 'y', which PostgreSQL's protocol 3 does not have"),
        ((C(b"S\0\0\0\5"),), "message 'S' with the length 5"),
        ((C(query("SELECT 1")), S(b"Z\0\0\0\x09")), "message 'Z' with the length 9"),
        ((C(query("SELECT 1")), S(b"C\7\0\0\0")), "message 'C' with the length 117440512"),
        ((C(query("SELECT 1")), S(done("SELECT 1"), ready("X"))), "transaction state"),
        ((C(message("Q", b"SELECT 1"))), "does not end where its message does"),
        ((C(message("p", b"secret")),), "a password when none was asked for"),
        ((C(query("SELECT 1")), S(message("W", b"\0\0\0"))), "replication"),
        ((C(message("B", b"\0\0\xff\xff\0\0\0\0")),), "parameters do not fit"),
        ((C(message("E", b"no end")),), "without the name"),
        ((C(message("D", b"Xx\0")),), "names no statement or portal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_right_is_no_longer_read(pieces: Any, why: str) -> None:
    pieces = pieces if isinstance(pieces[0], tuple) else (pieces,)
    assert why in unread(*pieces)


def test_what_was_under_way_when_reading_stopped_has_not_ended() -> None:
    conversation = fed(timed((*LOGIN, C(query("SELECT 1")), S(BOUND))), end=False)
    assert [words(e) for e in conversation.finished][1:] == ["query 'SELECT 1' not ended"]


# ---- bounds


def test_messages_of_any_length_are_counted_and_not_kept() -> None:
    size = 40_000_000
    conversation = fed(timed(LOGIN), end=False)
    block = b"x" * 65536
    tracemalloc.start()
    try:
        for kind, feed in (("Q", conversation.sent), ("D", conversation.received)):
            feed(kind.encode() + struct.pack(">I", size + 4), 0.0)
            left = size
            while left:
                feed(block[: min(left, len(block))], 0.0)
                left -= min(left, len(block))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    conversation.received(done("SELECT 1") + ready(), 1.0)
    exchange = conversation.finished[-1]
    assert peak < 2_000_000
    assert exchange.request_bytes == size + 5
    assert exchange.reply_bytes == size + 5 + len(done("SELECT 1") + ready())
    assert exchange.text.endswith(CUT)
    assert len(exchange.text) < KEPT_BYTES


def test_requests_that_nobody_answers_are_not_kept_for_ever() -> None:
    conversation = fed(timed(LOGIN), end=False)
    for _ in range(PENDING_MAX + 1):
        conversation.sent(query("SELECT 1"), 0.0)
    assert "more requests wait" in str(conversation.unread)


def test_the_least_used_statements_are_forgotten_first() -> None:
    statements = Statements()
    for n in range(STATEMENTS_MAX):
        statements.put(b"%d" % n, f"SELECT {n}")
    statements.get(b"0")
    statements.put(b"more", "SELECT")
    assert (statements.get(b"0"), statements.get(b"1")) == ("SELECT 0", "")
    statements.put(b"long", "x" * (STATEMENTS_TEXT_MAX - 100))
    assert statements.get(b"2") == ""
    assert statements.get(b"long")


# ---- a small model of a client and a server


class Model:
    """Draws what a client asks and a server answers, and knows the exchanges that this makes."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.state = "none"
        self.asked: list[bytes] = []
        self.answered: list[bytes] = []
        self.expected: list[str] = []
        self.prepared: dict[str, str] = {}

    def statement(self) -> tuple[str, str, int | None]:
        """Text, tag and rows of a statement that succeeds."""
        if self.state == "failed":
            return "ROLLBACK", "ROLLBACK", None
        if self.draw(st.booleans()):
            rows = self.draw(st.integers(0, 3))
            return f"SELECT {rows}", f"SELECT {rows}", rows
        return ("COMMIT", "COMMIT", None) if self.state == "open" else ("BEGIN", "BEGIN", None)

    def ran(self, tag: str) -> None:
        self.state = {"BEGIN": "open", "COMMIT": "none", "ROLLBACK": "none"}.get(tag, self.state)

    def failed(self) -> None:
        self.state = "none" if self.state == "none" else "failed"

    def expect(self, verb: str, sql: str, rows: int | None, error: str = "") -> None:
        exchange = Exchange(verb, sql, 0.0)
        exchange.rows, exchange.error = rows, error or None
        exchange.transaction = self.state  # type: ignore[assignment]
        self.expected.append(words(exchange))

    def ready(self) -> None:
        self.answered.append(ready({"none": "I", "open": "T", "failed": "E"}[self.state]))

    def between(self) -> None:
        """What may come at any time."""
        if self.draw(st.booleans()):
            return
        came = self.draw(st.sampled_from([NOTICE, STATUS, notification("n", "p")]))
        self.answered.append(came)
        if came[:1] == b"A":
            self.expected.append(" ".join(["notify 'n'", *self.state_words(), "pushed"]))

    def state_words(self) -> list[str]:
        return [] if self.state == "none" else [self.state]

    def simple(self) -> None:
        texts: list[str] = []
        fails_at = self.draw(st.sampled_from([0, 1, 9, 9, 9]))
        for n in range(self.draw(st.integers(1, 3))):
            sql, tag, rows = self.statement()
            texts.append(sql)
            if n == fails_at:
                self.failed()
                self.expect("query", sql, None, "22012")
                self.answered.append(error("22012"))
                break
            self.ran(tag)
            self.answered += [COLUMNS, *[ROW] * rows] if rows is not None else []
            self.answered.append(done(tag))
            self.expect("query", sql, rows)
        self.asked.append(query("; ".join(texts) + (" ;" if len(texts) > 1 else "")))
        self.ready()

    def pipeline(self) -> None:
        skipped: list[str] = []
        failed = False
        for n in range(self.draw(st.integers(1, 4))):
            sql, tag, rows = self.statement()
            name = self.draw(st.sampled_from(["", f"s{len(self.prepared)}{n}"]))
            self.asked.append(parse(sql, name))
            steps = [("P", PARSED)]
            if self.draw(st.booleans()):
                self.asked.append(describe("S", name))
                steps.append(("d", PARAMETERS + (COLUMNS if rows is not None else NO_DATA)))
            self.asked.append(bind(*"ab"[: n % 3], statement=name))
            steps.append(("B", BOUND))
            if self.draw(st.booleans()):
                self.asked.append(describe())
                steps.append(("D", COLUMNS if rows is not None else NO_DATA))
            self.asked.append(execute())
            steps.append(("E", b"".join([ROW] * (rows or 0)) + done(tag)))
            if failed:
                skipped.append(sql)
                continue
            fails_at = self.draw(st.integers(0, 12))
            for at, (_, reply) in enumerate(steps):
                if at == fails_at:
                    failed = True
                    self.answered.append(error("40001"))
                    self.failed()
                    self.expect("execute", sql, None, "40001")
                    break
                self.answered.append(reply)
            else:
                self.ran(tag)
                self.expect("execute", sql, rows)
        for sql in skipped:
            self.expect("execute", sql, None, "skipped")
        self.asked.append(SYNC)
        self.ready()

    def prepare(self) -> None:
        sql, _, rows = self.statement()
        name = f"p{len(self.prepared)}"
        self.prepared[name] = sql
        self.asked += [parse(sql, name), describe("S", name), SYNC]
        self.answered += [PARSED, PARAMETERS, COLUMNS if rows is not None else NO_DATA]
        self.expect("prepare", sql, None)
        self.ready()


@st.composite
def dialogs(draw: st.DrawFn) -> tuple[list[Piece], list[str]]:
    model = Model(draw)
    pieces = timed(LOGIN)
    for _ in range(draw(st.integers(1, 5))):
        # Some requests are sent before the first of them is answered.
        for _ in range(draw(st.integers(1, 3))):
            draw(st.sampled_from([model.simple, model.pipeline, model.prepare]))()
        model.between()
        for who, said in (("C", model.asked), ("S", model.answered)):
            data = b"".join(said)
            size = draw(st.integers(1, 200))
            pieces += [(who, data[i : i + size], 9.0) for i in range(0, len(data), size)]
            said.clear()
    return pieces, ["startup 'shop'", *model.expected]


@given(dialogs())
def test_whatever_a_client_asks_the_exchanges_are_those_it_had(
    dialog: tuple[list[Piece], list[str]],
) -> None:
    pieces, expected = dialog
    conversation = fed(pieces)
    assert conversation.unread is None
    assert [words(e) for e in conversation.finished] == expected


KINDS = st.sampled_from([bytes([n]) for n in range(256)])
SCRAPS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda kind, body: kind + struct.pack(">I", len(body) + 4) + body,
        KINDS | st.sampled_from([bytes([n]) for n in b"QPBDECSHFdcfpX123nTtCIZERKvNAsGWV"]),
        st.binary(max_size=30),
    ),
    st.sampled_from([query("SELECT 1"), parse("SELECT 1"), bind(), execute(), SYNC, FLUSH]),
    st.sampled_from([describe(), describe("S"), close(), COPY_DONE, PARSED, BOUND, ROW, COLUMNS]),
    st.sampled_from([done("SELECT 1"), ready(), ready("T"), error("22012"), NO_DATA, COPY_IN]),
)


@given(st.lists(st.tuples(st.sampled_from("CS"), SCRAPS), max_size=30), st.booleans())
def test_nothing_that_crosses_a_wire_raises(said: list[tuple[str, bytes]], login: bool) -> None:
    pieces = timed((*(LOGIN if login else ()), *said))
    whole = fed([p for p in pieces if p[1]])
    bytewise = [(w, data[i : i + 1], at) for w, data, at in pieces for i in range(len(data))]
    cut = fed(bytewise)
    assert [fields(e) for e in cut.finished] == [fields(e) for e in whole.finished]
    assert cut.unread == whole.unread

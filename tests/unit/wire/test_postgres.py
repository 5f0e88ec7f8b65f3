"""PostgreSQL's wire, read: conversations written out, and what is not understood."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import pytest
from postgres_language import (
    AUTH_OK,
    BOUND,
    CLOSED,
    COLUMNS,
    COPY_DONE,
    COPY_IN,
    COPY_OUT,
    EMPTY,
    FLUSH,
    GSS,
    LOGIN,
    NO_DATA,
    NOTICE,
    PARAMETERS,
    PARSED,
    ROW,
    START,
    START_3_2,
    STATUS,
    SUSPENDED,
    SYNC,
    TLS,
    C,
    S,
    bind,
    close,
    copy_data,
    describe,
    done,
    error,
    execute,
    fed,
    message,
    notification,
    packet,
    parse,
    query,
    read,
    read_exchanges,
    read_in_every_way,
    ready,
    text,
    timed,
    unread,
    words,
)

from loadpath.wire.postgres import CUT
from loadpath.wire.postgres_messages import KEPT_BYTES
from loadpath.wire.postgres_requests import PENDING_MAX
from loadpath.wire.postgres_texts import STATEMENTS_MAX, STATEMENTS_TEXT_MAX, Statements

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

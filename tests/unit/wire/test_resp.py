"""Redis: what commands and replies of every form are read as, and what is not read at all."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.wire.exchange import Exchange
from loadpath.wire.resp import PENDING_MAX, RedisConversation

OK = b"+OK\r\n"


def command(*words: bytes | str) -> bytes:
    encoded = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in encoded)


def talk(*pieces: tuple[str, bytes]) -> RedisConversation:
    conversation = RedisConversation()
    for number, (side, data) in enumerate(pieces):
        if side == "C":
            conversation.sent(data, float(number))
        else:
            conversation.received(data, float(number))
    return conversation


def only(conversation: RedisConversation) -> Exchange:
    (exchange,) = conversation.finished
    return exchange


@pytest.mark.parametrize(
    "reply",
    [
        b"+OK\r\n",
        b":17\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"_\r\n",
        b"#t\r\n",
        b",1.5e3\r\n",
        b",inf\r\n",
        b"(3492890328409238509324850943850943825024385\r\n",
        b"=15\r\ntxt:Some string\r\n",
        b"%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n:1\r\n:2\r\n",
        b"~3\r\n+a\r\n%0\r\n~0\r\n",
        b"*2\r\n*1\r\n*1\r\n$1\r\nx\r\n*0\r\n",
        b"|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n",
        b"*2\r\n|1\r\n+a\r\n*2\r\n:1\r\n:2\r\n:1\r\n:2\r\n",
        b"|1\r\n+a\r\n+b\r\n*2\r\n:1\r\n:2\r\n",
        b"$?\r\n;4\r\nHell\r\n;5\r\no wor\r\n;0\r\n",
        b"$?\r\n;2000\r\n" + b"x" * 2000 + b"\r\n;0\r\n",
        b"*?\r\n:1\r\n*?\r\n.\r\n:2\r\n.\r\n",
        b"%?\r\n+a\r\n:1\r\n+b\r\n:2\r\n.\r\n",
        b"$5000\r\n" + b"x" * 5000 + b"\r\n",
        b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
    ],
)
def test_a_reply_of_any_type_is_one_reply(reply: bytes) -> None:
    for pieces in ([reply], [reply[n : n + 1] for n in range(len(reply))]):
        conversation = talk(("C", command("LRANGE", "k", "0", "1") * 2))
        for piece in pieces:
            conversation.received(piece, 1.0)
        assert only(conversation).reply_bytes == len(reply)
        assert only(conversation).error is None
        conversation.received(reply, 2.0)
        assert [e.ended_s for e in conversation.finished] == [1.0, 2.0]
        assert conversation.unread is None


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"-WRONGTYPE Operation against a key\r\n", "WRONGTYPE"),
        (b"-ERR\r\n", "ERR"),
        (b"!21\r\nSYNTAX invalid syntax\r\n", "SYNTAX"),
        (b"!2007\r\nLONG ER" + b"x" * 2000 + b"\r\n", "LONG"),
        (b"*1\r\n-ERR within\r\n", None),
    ],
)
def test_an_error_is_told_by_its_first_word(reply: bytes, error: str | None) -> None:
    assert only(talk(("C", command("GET", "k")), ("S", reply))).error == error


@pytest.mark.parametrize(
    ("line", "verb", "text", "parameters"),
    [
        (b"PING\r\n", "PING", "", False),
        (b"get link:1\n", "GET", "link:1", False),
        (b'set "a key" "with \\" in it"\r\n', "SET", "a key", True),
        (b"set 'it\\'s' x\r\n", "SET", "it's", True),
        (b"\r\n*0\r\n*-1\r\nget a\r\n", "GET", "a", False),
    ],
)
def test_inline_commands_are_read(line: bytes, verb: str, text: str, parameters: bool) -> None:
    exchange = only(talk(("C", line), ("S", OK)))
    assert (exchange.verb, exchange.text, exchange.parameters != 0) == (verb, text, parameters)


def test_equal_arguments_have_equal_hashes_and_others_have_others() -> None:
    def parameters(*words: bytes | str) -> int:
        return only(talk(("C", command(*words)), ("S", OK))).parameters

    assert parameters("SET", "a", "1") == parameters("set", "b", "1") != 0
    assert parameters("SET", "a", "1") != parameters("SET", "a", "2")
    long = b"x" * 5000
    assert parameters("SET", "a", long) == parameters("SET", "a", long)
    assert parameters("SET", "a", long) != parameters("SET", "a", long[:-1] + b"y")
    many = [str(number) for number in range(50)]
    assert parameters("RPUSH", "a", *many) != parameters("RPUSH", "a", *many[:-1], "x")
    assert parameters("GET", "a") == 0


def test_no_reply_is_waited_for_while_replies_are_off() -> None:
    conversation = talk(
        ("C", command("CLIENT", "REPLY", "OFF") + command("SET", "a", "1")),
        ("C", command("CLIENT", "REPLY", "ON")),
        ("S", OK),
        ("C", command("client", "reply", "skip") + command("INCR", "n") + command("GET", "a")),
        ("S", b"$1\r\n1\r\n"),
    )
    seen = [(e.verb, e.reply_bytes, e.ended_s) for e in conversation.finished]
    assert seen == [
        ("CLIENT REPLY", 0, 0.0),
        ("SET", 0, 0.0),
        ("CLIENT REPLY", 5, 2.0),
        ("CLIENT REPLY", 0, 3.0),
        ("INCR", 0, 3.0),
        ("GET", 7, 4.0),
    ]


def test_watch_within_multi_is_an_error_that_does_not_fail_the_transaction() -> None:
    conversation = talk(
        ("C", command("MULTI") + command("WATCH", "a") + command("GET", "a") + command("EXEC")),
        ("S", OK + b"-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n*1\r\n$-1\r\n"),
    )
    assert [e.transaction for e in conversation.finished] == ["open", "open", "open", "none"]


def test_reset_ends_what_a_connection_had_become() -> None:
    conversation = talk(
        ("C", command("SUBSCRIBE", "a")),
        ("S", b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"),
        ("C", command("RESET") + command("LRANGE", "l", "0", "9")),
        ("S", b"+RESET\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n"),
    )
    assert [(e.verb, e.pushed) for e in conversation.finished] == [
        ("SUBSCRIBE", False),
        ("RESET", False),
        ("LRANGE", False),
    ]


def test_unsubscribing_from_nothing_is_confirmed_once() -> None:
    conversation = talk(
        ("C", command("UNSUBSCRIBE") + command("PING")),
        ("S", b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n+PONG\r\n"),
    )
    assert [e.verb for e in conversation.finished] == ["UNSUBSCRIBE", "PING"]


def test_a_push_between_replies_is_pushed() -> None:
    invalidate = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n"
    conversation = talk(
        ("C", command("GET", "a")), ("S", invalidate), ("S", b"$1\r\n1\r\n"), ("S", invalidate)
    )
    assert [(e.verb, e.pushed) for e in conversation.finished] == [
        ("INVALIDATE", True),
        ("GET", False),
        ("INVALIDATE", True),
    ]


def test_a_server_without_room_is_not_a_reply() -> None:
    exchange = only(talk(("S", b"-ERR max number of clients reached\r\n")))
    assert (exchange.verb, exchange.error, exchange.pushed) == ("ERROR", "ERR", True)


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([("C", b"\x16\x03\x01\x02\x00")], "encrypted"),
        ([("C", command("GET", "a")), ("S", b"?what\r\n")], "expected a reply of Redis"),
        ([("S", OK)], "nothing had been asked"),
        ([("C", command("MONITOR")), ("S", OK)], "MONITOR"),
        ([("C", b"*1\r\n:3\r\n")], "expected an argument's length"),
        ([("C", b"*1\r\n$3\r\nPINGS\r\n")], "longer than it says"),
        ([("C", b"*x\r\n")], "number of a command's arguments"),
        ([("C", b"x" * 70_000)], "line of more than"),
        ([("C", b'get "a\r\n')], "quote left open"),
        ([("C", command("GET", "a")), ("S", b"+" + b"x" * 70_000)], "line of more than"),
        ([("C", command("GET", "a")), ("S", b"*1\r\n" * 1100)], "nested deeper"),
        ([("C", command("PING") * (PENDING_MAX + 1))], "wait for their replies"),
    ],
)
def test_what_is_not_understood_is_left_unread(pieces: list[tuple[str, bytes]], why: str) -> None:
    conversation = talk(*pieces)
    assert conversation.unread is not None
    assert why in conversation.unread
    before = [(e.verb, e.ended) for e in conversation.finished]
    conversation.sent(command("GET", "b"), 9.0)
    conversation.received(OK, 9.0)
    conversation.closed(9.0)
    assert [(e.verb, e.ended) for e in conversation.finished] == before
    assert all(not ended for verb, ended in before if verb != "MONITOR")


def test_what_waits_at_the_end_has_not_ended() -> None:
    conversation = talk(("C", command("BLPOP", "q", "0")), ("S", b"*2\r\n$1\r\nq\r\n$10\r\nabc"))
    conversation.closed(7.0)
    exchange = only(conversation)
    assert (exchange.ended, exchange.ended_s) == (False, 7.0)


def test_large_values_pass_without_being_kept() -> None:
    piece = b"x" * 1_000_000
    conversation = RedisConversation()
    tracemalloc.start()
    conversation.sent(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$50000000\r\n", 0.0)
    for _ in range(50):
        conversation.sent(piece, 0.0)
    conversation.sent(b"\r\n", 0.0)
    conversation.received(b"$300000000\r\n", 1.0)
    for _ in range(300):
        conversation.received(piece, 2.0)
    conversation.received(b"\r\n", 3.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    exchange = only(conversation)
    assert exchange.reply_bytes == 300_000_000 + len(b"$300000000\r\n\r\n")
    assert exchange.request_bytes > 50_000_000
    assert (exchange.first_byte_s, exchange.ended_s) == (1.0, 3.0)
    assert peak < 4_000_000


SIMPLE = st.one_of(
    st.text("ab c", max_size=9).map(lambda text: b"+" + text.encode() + b"\r\n"),
    st.integers().map(lambda number: b":%d\r\n" % number),
    st.binary(max_size=40).map(lambda data: b"$%d\r\n%b\r\n" % (len(data), data)),
    st.integers(1000, 3000).map(lambda size: b"$%d\r\n%b\r\n" % (size, b"\r" * size)),
    st.sampled_from([b"_\r\n", b"#f\r\n", b"$-1\r\n", b"*-1\r\n", b",-0.5\r\n", b"(9\r\n"]),
)


def aggregates(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    some = st.lists(values, max_size=4)
    return st.one_of(
        some.map(lambda parts: b"*%d\r\n" % len(parts) + b"".join(parts)),
        some.map(lambda parts: b"~%d\r\n" % len(parts) + b"".join(parts)),
        some.map(lambda parts: b"*?\r\n" + b"".join(parts) + b".\r\n"),
        some.map(lambda parts: b"%%%d\r\n" % len(parts) + b"".join(parts + parts)),
        st.tuples(some, values).map(
            lambda both: b"|%d\r\n" % len(both[0]) + b"".join(both[0] * 2) + both[1]
        ),
    )


REPLIES = st.one_of(
    st.recursive(SIMPLE, aggregates, max_leaves=8).map(lambda reply: (reply, None)),
    st.sampled_from(["ERR", "MOVED", "NOSCRIPT"]).map(
        lambda word: (b"-%b 17 and more\r\n" % word.encode(), word)
    ),
)
COMMANDS = st.tuples(
    st.sampled_from(["GET", "set", "Lrange", "HGETALL"]),
    st.binary(min_size=1, max_size=20),
    st.lists(st.one_of(st.binary(max_size=30), st.just(b"\r\n$3" * 400)), max_size=20),
)


@given(st.lists(st.tuples(COMMANDS, REPLIES), max_size=8), st.lists(st.integers(1, 60)))
def test_what_is_read_is_what_was_said(said: list[Any], cuts: list[int]) -> None:
    conversation = RedisConversation()
    asked = [command(verb, key, *rest) for (verb, key, rest), _ in said]
    for feed, data in (
        (conversation.sent, b"".join(asked)),
        (conversation.received, b"".join(reply for _, (reply, _) in said)),
    ):
        at = 0
        for cut in cuts:
            feed(data[at : at + cut], 1.0)
            at += cut
        feed(data[at:], 1.0)
    assert conversation.unread is None
    got = [(e.verb, e.text, e.error, e.request_bytes, e.reply_bytes) for e in conversation.finished]
    assert got == [
        (verb.upper(), key.decode("utf-8", "backslashreplace"), error, len(request), len(reply))
        for ((verb, key, _), (reply, error)), request in zip(said, asked, strict=True)
    ]


GARBAGE = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            [b"*2\r\n", b"$3\r\n", b"GET\r\n", b"\r\n", b">1\r\n", b"|1\r\n", b"+a\r\n"]
        ),
        max_size=12,
    ).map(b"".join),
    st.lists(st.sampled_from([b"$?\r\n", b";0\r\n", b".\r\n", b"*?\r\n", b";1\r\n", b"_\r\n"])).map(
        b"".join
    ),
)


@given(st.lists(st.tuples(st.booleans(), GARBAGE), max_size=12))
def test_nothing_that_comes_makes_it_raise(pieces: list[tuple[bool, bytes]]) -> None:
    conversation = RedisConversation()
    for is_sent, data in pieces:
        (conversation.sent if is_sent else conversation.received)(data, 1.0)
    conversation.closed(2.0)
    assert all(e.ended_s >= e.began_s for e in conversation.finished)

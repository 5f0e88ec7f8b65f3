"""HTTP/1.1: what requests and replies of every framing are read as (RFC 9112)."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.wire.http1 import HttpConversation

GET = b"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def talk(*pieces: tuple[str, bytes]) -> HttpConversation:
    conversation = HttpConversation()
    for number, (side, data) in enumerate(pieces):
        if side == "C":
            conversation.sent(data, float(number))
        else:
            conversation.received(data, float(number))
    return conversation


def seen(conversation: HttpConversation) -> list[tuple[str, str, int | None, bool]]:
    return [(e.verb, e.text, e.status, e.ended) for e in conversation.finished]


ONE = [("GET", "/a?b=c", 200, True)]


@pytest.mark.parametrize(
    "reply",
    [
        OK,
        OK.replace(b"\r\n", b"\n"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        OK.replace(b" OK", b""),
        OK.replace(b": 2", b":2"),
        OK.replace(b":", b" :"),
        OK.replace(b": 2", b":\r\n\t2"),
        OK.replace(b": 2", b": 2, 2"),
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;name="x"\r\nok\r\n0\r\n\r\n',
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\nContent-Length: 9\r\n\r\n"
        b"00A \r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK,
    ],
)
def test_a_reply_ends_where_its_framing_says(reply: bytes) -> None:
    for pieces in ([reply], [reply[n : n + 1] for n in range(len(reply))]):
        conversation = talk(("C", GET), *(("S", piece) for piece in pieces), ("C", GET), ("S", OK))
        assert conversation.unread is None
        assert seen(conversation) == ONE * 2
        assert conversation.finished[0].reply_bytes == len(reply)


@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n"),
    ],
)
def test_a_reply_without_a_body_ends_with_its_head(method: bytes, head: bytes) -> None:
    conversation = talk(("C", GET.replace(b"GET", method)), ("S", head), ("C", GET), ("S", OK))
    assert len(conversation.finished) == 2


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\n\r\nsome",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nsome",
    ],
)
def test_a_reply_may_end_with_the_connection(reply: bytes) -> None:
    conversation = talk(("C", GET), ("S", reply))
    assert conversation.finished == []
    conversation.closed(5.0)
    assert seen(conversation) == ONE


@pytest.mark.parametrize(
    "reply", [OK[:10], OK[:-1], b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"]
)
def test_a_reply_that_was_cut_has_not_ended(reply: bytes) -> None:
    conversation = talk(("C", GET), ("S", reply))
    conversation.closed(5.0)
    assert [(e.ended, e.ended_s) for e in conversation.finished] == [(False, 5.0)]


def test_bodies_are_told_by_their_hash_and_not_by_their_framing() -> None:
    plain = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
    other = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhallo"
    chunked = (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )
    conversation = talk(("C", plain + other + chunked + GET), ("S", OK * 4))
    first, second, third, last = (e.parameters for e in conversation.finished)
    assert first == third != second
    assert last == 0


def test_an_early_reply_waits_for_the_end_of_its_request() -> None:
    conversation = talk(
        ("C", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe"),
        ("S", OK.replace(b"200", b"413")),
        ("C", b"llo" + GET),
        ("S", OK),
    )
    assert [(e.status, e.ended_s) for e in conversation.finished] == [(413, 1.0), (200, 3.0)]
    assert conversation.finished[0].request_bytes == len(
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
    )


def test_an_early_reply_is_whole_although_the_connection_closes() -> None:
    conversation = talk(
        ("C", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe"), ("S", OK.replace(b"200", b"413"))
    )
    conversation.closed(5.0)
    assert seen(conversation) == [("POST", "/", 413, True)]


def test_after_a_refused_expectation_it_is_not_guessed_what_follows() -> None:
    expecting = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    conversation = talk(("C", expecting), ("S", OK.replace(b"200", b"417")))
    assert seen(conversation) == [("POST", "/", 417, True)]
    assert conversation.unread is None
    conversation.sent(GET, 3.0)
    assert conversation.unread is not None
    assert "100 Continue" in conversation.unread


def test_a_reply_to_nothing_is_pushed() -> None:
    (exchange,) = talk(("S", OK.replace(b"200", b"408"))).finished
    assert (exchange.verb, exchange.status, exchange.pushed) == ("", 408, True)


def test_empty_lines_between_messages_count_for_nothing() -> None:
    conversation = talk(("C", b"\r\n\r\n" + GET + b"\r\n"), ("S", OK), ("C", GET), ("S", OK))
    assert seen(conversation) == ONE * 2
    assert {e.request_bytes for e in conversation.finished} == {len(GET)}


def test_a_tunnel_is_not_read() -> None:
    connect = b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n"
    conversation = talk(
        ("C", connect + b"\x16\x03\x01early"), ("S", b"HTTP/1.1 200 Established\r\n\r\n")
    )
    assert seen(conversation) == [("CONNECT", "example.org:443", 200, True)]
    assert conversation.unread == "a tunnel (CONNECT)"


def test_a_refused_tunnel_leaves_the_connection_as_it_was() -> None:
    connect = b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n"
    refusal = OK.replace(b"200", b"407")
    conversation = talk(("C", connect), ("S", refusal), ("C", GET), ("S", OK))
    assert [e.status for e in conversation.finished] == [407, 200]
    assert conversation.unread is None
    assert talk(("C", connect + b"early"), ("S", refusal)).unread is not None


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([("C", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")], "HTTP/2"),
        ([("C", b"\x16\x03\x01\x02")], "encrypted"),
        ([("C", b"GET /\r\n\r\n")], "expected a request line"),
        ([("C", b"GET / a HTTP/1.1\r\n\r\n")], "expected a request line"),
        ([("C", b"G\0T / HTTP/1.1\r\n\r\n")], "expected a request line"),
        ([("S", b"SSH-2.0-x\r\n")], "expected a status line"),
        ([("S", b"HTTP/2 200\r\n\r\n")], "expected a status line"),
        ([("S", b"HTTP/1.1 20 OK\r\n\r\n")], "expected a status line"),
        ([("S", OK.replace(b": 2", b": 2, 3"))], "two different lengths"),
        ([("S", OK.replace(b": 2", b": +2"))], "Content-Length in digits"),
        ([("C", b"POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\n")], "space before the colon"),
        ([("C", b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n")], "can know the end"),
        ([("C", b"POST / HTTP/1.1\r\nA: " + b"x" * 70_000)], "a head of more than"),
        (
            [("S", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")],
            "size of a chunk",
        ),
        (
            [("S", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n")],
            "chunk's line",
        ),
        ([("S", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nok\r\n")], "end of a"),
        (
            [
                (
                    "S",
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
                    + b"a:b\r\n" * 14_000,
                )
            ],
            "trailers of more than",
        ),
        ([("C", GET * 10_001)], "wait for their replies"),
    ],
)
def test_what_is_not_understood_is_left_unread(pieces: list[tuple[str, bytes]], why: str) -> None:
    conversation = talk(("C", GET), *pieces)
    assert conversation.unread is not None
    assert why in conversation.unread
    assert not any(e.ended for e in conversation.finished)
    before = len(conversation.finished)
    assert before
    conversation.sent(GET, 9.0)
    conversation.received(OK, 9.0)
    conversation.closed(9.0)
    assert len(conversation.finished) == before


def test_large_bodies_pass_without_being_kept() -> None:
    conversation = HttpConversation()
    piece = b"x" * 1_000_000
    tracemalloc.start()
    conversation.sent(b"POST / HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n", 0.0)
    conversation.received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0.0)
    for _ in range(50):
        conversation.sent(piece, 1.0)
        conversation.received(b"F4240\r\n", 1.0)
        conversation.received(piece, 1.0)
        conversation.received(b"\r\n", 1.0)
    conversation.received(b"0\r\n\r\n", 2.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (exchange,) = conversation.finished
    assert exchange.request_bytes > 50_000_000 < exchange.reply_bytes
    assert peak < 5_000_000


BODIES = st.tuples(st.sampled_from(["none", "length", "chunked"]), st.binary(max_size=50))


def message(first: bytes, framing: str, body: bytes, newline: bytes) -> bytes:
    headers = {
        "none": b"",
        "length": b"content-length: %d\r\n" % len(body),
        "chunked": b"Transfer-Encoding: chunked\r\n",
    }[framing]
    head = (first + b"\r\nX-Other: content-length\r\n" + headers + b"\r\n").replace(
        b"\r\n", newline
    )
    if framing == "chunked":
        chunks = [body[at : at + 7] for at in range(0, len(body), 7)]
        return head + b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
    return head + (body if framing == "length" else b"")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "POST", "HEAD", "PATCH"]),
            BODIES,
            st.sampled_from([200, 204, 304, 404, 500, 503]),
            BODIES.filter(lambda body: body[0] != "none"),
            st.sampled_from([b"\r\n", b"\n"]),
        ),
        max_size=6,
    ),
    st.lists(st.integers(1, 80)),
)
def test_what_is_read_is_what_was_said(said: list[Any], cuts: list[int]) -> None:
    requests = []
    replies = []
    expected = []
    for number, (method, asked, status, answered, newline) in enumerate(said):
        target = f"/{number}"
        request = message(f"{method} {target} HTTP/1.1".encode(), *asked, newline)
        bodiless = method == "HEAD" or status in {204, 304}
        framing = "none" if bodiless else answered[0]
        reply = message(b"HTTP/1.1 %d Because" % status, framing, answered[1], newline)
        requests.append(request)
        replies.append(reply)
        error = str(status) if status >= 500 else None
        expected.append((method, target, status, error, len(request), len(reply)))
    conversation = HttpConversation()
    for feed, data in (
        (conversation.sent, b"".join(requests)),
        (conversation.received, b"".join(replies)),
    ):
        at = 0
        for cut in (*cuts, len(data)):
            feed(data[at : at + cut], 1.0)
            at += cut
    assert conversation.unread is None
    assert [
        (e.verb, e.text, e.status, e.error, e.request_bytes, e.reply_bytes)
        for e in conversation.finished
    ] == expected


GARBAGE = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            (
                *(GET, OK, b"HTTP/1.1 101 S\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"\r\n", b"0\r\n"),
                *(b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"HTTP/1.1 500 X\r\n\r\n", b"5\r\nabcde\r\n"),
                *(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"\x16", b"HTTP/"),
                b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            )
        ),
        max_size=8,
    ).map(b"".join),
)


@given(st.lists(st.tuples(st.booleans(), GARBAGE), max_size=10))
def test_nothing_that_comes_makes_it_raise(pieces: list[tuple[bool, bytes]]) -> None:
    conversation = HttpConversation()
    for is_sent, data in pieces:
        (conversation.sent if is_sent else conversation.received)(data, 1.0)
    conversation.closed(2.0)
    assert all(e.ended_s >= e.began_s for e in conversation.finished)

"""Where replies end, whatever pieces they come in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.wire.reply import (
    HEAD_BYTES_MAX,
    INTERIM_REPLIES_MAX,
    START_BYTES,
    FramingError,
    ReplyReader,
    parse_head,
)

WHOLE = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
    "no body": (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", 200, b"", True),
    "no reason": (b"HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx", 404, b"x", True),
    "close": (
        b"HTTP/1.1 200 OK\r\nCONNECTION: Keep-Alive, Close\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        False,
    ),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    "1.0 kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
    "204": (b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n", 204, b"", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, b"", True),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'4;name="va;lue"\r\nwiki\r\n006 \r\npedia \r\nC\r\nin \r\n\r\nchunk\r\n0\r\n\r\n',
        200,
        b"wikipedia in \r\n\r\nchunk",
        True,
    ),
    "trailers": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n"
        b"1\r\na\r\n00\r\nA: b\r\nC: d\r\n\r\n",
        200,
        b"a",
        True,
    ),
    "chunked over length": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
        b"1\r\na\r\n0\r\n\r\n",
        200,
        b"a",
        True,
    ),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n"
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
        201,
        b"ok",
        True,
    ),
    "same length twice": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\ncontent-length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
    "a header called like it": (
        b"HTTP/1.1 200 OK\r\nX-Content-Length: 9\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
}

TO_CLOSE = {
    "to close": (b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nall of it", b"all of it"),
    "empty": (b"HTTP/1.1 200 OK\r\n\r\n", b""),
    "coding that is not chunked last": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n1\r\na\r\n",
        b"1\r\na\r\n",
    ),
}

BROKEN = {
    "not http": b"SSH-2.0-OpenSSH\r\n",
    "http 2": b"HTTP/2 200\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "length in words": b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
    "length with underscore": b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "empty length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
    "more than its length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!",
    "more than no body": b"HTTP/1.1 204 No Content\r\n\r\n!",
    "size in words": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n",
    "no size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello\r\n",
    "chunk not ended": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    "bare line feed": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n",
    "head without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_BYTES_MAX,
    "trailers without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    + b"A: b\r\n" * (HEAD_BYTES_MAX // 6 + 1),
    "interim without end": b"HTTP/1.1 100 Continue\r\n\r\n" * (INTERIM_REPLIES_MAX + 1),
}


def feed(reader: ReplyReader, pieces: list[bytes]) -> bool:
    whole = False
    for piece in pieces:
        assert not whole
        whole = reader.feed(piece)
    return whole


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(at % (len(data) + 1) for at in places)})
    return [data[a:b] for a, b in pairwise(edges)]


places = st.lists(st.integers(0, 1 << 20), max_size=12)


@pytest.mark.parametrize("name", WHOLE)
@given(at=places)
def test_a_reply_reads_the_same_in_any_pieces(name: str, at: list[int]) -> None:
    data, status, body, reusable = WHOLE[name]
    reader = ReplyReader(keep_body_max=1000)
    assert feed(reader, cut(data, at))
    assert (reader.status, reader.body, reader.reusable) == (status, body, reusable)
    assert reader.received == len(data)
    assert reader.start == data[:START_BYTES]
    assert reader.head.endswith(b"\r\n\r\n")
    assert b" %d" % status in reader.head[:13]


@pytest.mark.parametrize("name", WHOLE)
def test_a_reply_reads_the_same_byte_by_byte(name: str) -> None:
    data, status, body, _ = WHOLE[name]
    reader = ReplyReader(keep_body_max=1000)
    assert feed(reader, [bytes([byte]) for byte in data])
    assert (reader.status, reader.body) == (status, body)


@pytest.mark.parametrize("name", TO_CLOSE)
@given(at=places)
def test_a_reply_without_a_length_ends_with_its_connection(name: str, at: list[int]) -> None:
    data, body = TO_CLOSE[name]
    reader = ReplyReader(keep_body_max=1000)
    assert not feed(reader, cut(data, at))
    assert reader.end()
    assert (reader.status, reader.body, reader.reusable) == (200, body, False)


@pytest.mark.parametrize("name", BROKEN)
@settings(max_examples=30)
@given(at=places)
def test_what_is_no_reply_is_an_error_in_any_pieces(name: str, at: list[int]) -> None:
    reader = ReplyReader()
    with pytest.raises(FramingError):
        for piece in cut(BROKEN[name], at):
            reader.feed(piece)


@pytest.mark.parametrize("name", [n for n in WHOLE if n != "no body"])
def test_a_reply_that_ends_early_is_not_whole(name: str) -> None:
    data = WHOLE[name][0]
    reader = ReplyReader()
    assert not reader.feed(data[:-1])
    assert not reader.end()


@given(st.binary(max_size=200), places)
def test_any_bytes_are_a_reply_an_error_or_the_beginning_of_one(data: bytes, at: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> object:
        reader = ReplyReader(keep_body_max=1000)
        try:
            whole = False
            for piece in pieces:
                whole = reader.feed(piece)
        except FramingError:
            return "error"
        return whole, reader.status, reader.body

    for begin in (
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    ):
        assert outcome(cut(begin + data, at)) == outcome([begin + data] if begin + data else [])


def test_the_reply_to_head_has_no_body() -> None:
    reader = ReplyReader(to_head_request=True)
    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    assert reader.reusable


def test_a_body_nobody_reads_is_counted_and_not_kept() -> None:
    reader = ReplyReader()
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(10):
        whole = reader.feed(b"x" * 10_000)
    assert whole
    assert reader.body == b""
    assert reader.received == 100_043


def test_a_body_larger_than_may_be_kept_is_an_error() -> None:
    reader = ReplyReader(keep_body_max=10)
    with pytest.raises(FramingError, match="a body of more than 10 bytes"):
        reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world")


def test_framing_says_what_a_head_says() -> None:
    framing = parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
    assert (framing.status, framing.length, framing.chunked, framing.reusable) == (
        200,
        12,
        False,
        True,
    )

"""Recognising a head must never say anything else than reading it would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.drive.heads import Heads
from loadpath.wire.reply import ReplyReader

REPLIES = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nok, and more",
    b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nA: b\r\n\r\nok, and more",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
)


def take(heads: Heads, data: bytes) -> tuple[int, int] | None:
    """What the loop does with the first bytes of a reply."""
    return heads.known.get(data[: heads.guess]) or heads.learn(data)


@given(st.lists(st.tuples(st.sampled_from(REPLIES), st.integers(0, 80)), max_size=30))
def test_status_and_size_are_those_of_reading_it_in_any_order(
    received: list[tuple[bytes, int]],
) -> None:
    heads = Heads()
    for reply, cut in received:
        data = reply[: len(reply) - cut] if cut < len(reply) else reply
        found = take(heads, data)
        reader = ReplyReader()
        whole = reader.feed(data)
        if found is None:
            assert b"\r\n\r\n" not in data
            continue
        status, size = found
        assert status == reader.status
        assert (size == len(data)) == whole
        assert data[: heads.guess] == reader.head


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
    ],
)
def test_what_takes_a_reader_is_left_to_one(head: bytes) -> None:
    heads = Heads()
    assert take(heads, head) is None
    assert heads.known == {}


def test_heads_that_never_come_again_do_not_pile_up() -> None:
    heads = Heads()
    for number in range(5000):
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Request: %d\r\n\r\n" % number
        assert take(heads, data) == (200, len(data))
    assert len(heads.known) <= 512
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: %b\r\n\r\n" % (b"x" * 5000)
    before = len(heads.known)
    assert take(heads, large) == (200, len(large))
    assert len(heads.known) == before

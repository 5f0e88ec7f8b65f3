"""Digests of what came back: the same for the same bytes, however they were cut, and no others."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.wire import Conversation
from loadpath.wire.postgres import PostgresConversation
from loadpath.wire.postgres_messages import KEPT_BYTES
from loadpath.wire.resp import RedisConversation

STARTUP = pack(">II", 17, 196608) + b"user\0me\0\0"
STARTED = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"


def message(kind: bytes, body: bytes) -> bytes:
    return kind + pack(">I", len(body) + 4) + body


def row(*values: bytes) -> bytes:
    return message(b"D", pack(">H", len(values)) + b"".join(pack(">I", len(v)) + v for v in values))


def answered(*rows: bytes) -> bytes:
    described = message(b"T", pack(">H", 1) + b"a\0" + bytes(18))
    tag = message(b"C", b"SELECT %d\0" % len(rows))
    return described + b"".join(rows) + tag + message(b"Z", b"I")


QUERY = message(b"Q", b"SELECT a FROM t\0")
LONG = b"y" * (KEPT_BYTES + 100)
REPLIES = (
    answered(),
    answered(row(b"")),
    answered(row(b"1")),
    answered(row(b"2")),
    answered(row(b"1"), row(b"2")),
    answered(row(b"2"), row(b"1")),
    answered(row(b"1", b"2")),
    answered(row(LONG)),
    answered(row(LONG + b"z")),
    answered(row(LONG[:-1] + b"z")),
    answered(row(b"1"), row(LONG), row(b"2")),
)
"""No two of these say the same."""

GET = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
STRINGS = (
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"$1\r\n1\r\n",
    b"$1\r\n2\r\n",
    b":1\r\n",
    b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n",
    b"*2\r\n$1\r\n2\r\n$1\r\n1\r\n",
    b"$3000\r\n%b\r\n" % (b"x" * 3000),
    b"$3000\r\n%b\r\n" % (b"x" * 2999 + b"y"),
)


def postgres(*, digests: bool = True) -> PostgresConversation:
    conversation = PostgresConversation(digest_replies=digests)
    conversation.sent(STARTUP, 0.0)
    conversation.received(STARTED, 0.0)
    conversation.finished.clear()
    return conversation


def digests_of(
    conversation: Conversation, request: bytes, replies: list[bytes], cuts: list[int]
) -> list[int]:
    conversation.sent(request * len(replies), 1.0)
    data = b"".join(replies)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in pairwise(edges):
        conversation.received(data[start:stop], 2.0)
    assert conversation.unread is None
    found = [exchange.digest for exchange in conversation.finished]
    assert len(found) == len(replies)
    return found


KINDS: list[tuple[Callable[[], Conversation], bytes, tuple[bytes, ...]]] = [
    (postgres, QUERY, REPLIES),
    (lambda: RedisConversation(digest_replies=True), GET, STRINGS),
]


@pytest.mark.parametrize(("reader", "request_", "replies"), KINDS)
def test_equal_replies_have_equal_digests_however_they_are_cut(
    reader: Callable[[], Conversation], request_: bytes, replies: tuple[bytes, ...]
) -> None:
    whole = [digests_of(reader(), request_, [reply], [])[0] for reply in replies]
    assert len(set(whole)) == len(replies)
    assert 0 not in whole

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.integers(0, len(replies) - 1), min_size=1, max_size=4),
        st.lists(st.integers(0, 1 << 20), max_size=8),
    )
    def test(numbers: list[int], cuts: list[int]) -> None:
        found = digests_of(reader(), request_, [replies[n] for n in numbers], cuts)
        assert found == [whole[n] for n in numbers]

    test()


def test_nothing_is_digested_unless_it_is_asked_for() -> None:
    assert digests_of(postgres(digests=False), QUERY, [answered(row(b"1"))], [40]) == [0]
    assert digests_of(RedisConversation(), GET, [STRINGS[2]], []) == [0]


def test_statements_of_one_query_and_executes_of_one_pipeline_have_digests_of_their_own() -> None:
    one, two = answered(row(b"1"))[:-6], answered(row(b"2"))
    conversation = postgres()
    conversation.sent(message(b"Q", b"SELECT a FROM t; SELECT b FROM t\0"), 1.0)
    conversation.received(one + two, 2.0)
    first, second = (exchange.digest for exchange in conversation.finished)
    assert [first] == digests_of(postgres(), QUERY, [answered(row(b"1"))], [])
    assert [second] == digests_of(postgres(), QUERY, [answered(row(b"2"))], [])
    # A statement that fails midway leaves nothing to what follows it.
    conversation.finished.clear()
    conversation.sent(QUERY + QUERY, 3.0)
    error = message(b"E", b"SERROR\0C57014\0Mcanceled\0\0")
    begun = answered(row(b"9")).partition(b"C\0\0\0\x0d")[0]
    conversation.received(begun + error + message(b"Z", b"I") + answered(row(b"2")), 4.0)
    assert conversation.finished[1].digest == second

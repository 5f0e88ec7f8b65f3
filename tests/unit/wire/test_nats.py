"""NATS: what operations and deliveries are read as, and what is not read at all."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.wire.nats import AWAITED_MAX, NatsConversation
from loadpath.wire.nats_inboxes import SUBSCRIPTIONS_MAX

CONNECT = b'CONNECT {"verbose":false}\r\n'
INFO = b'INFO {"server_id":"x","tls_required":false}\r\n'


def talk(*pieces: tuple[str, bytes]) -> NatsConversation:
    conversation = NatsConversation()
    for number, (side, data) in enumerate((("S", INFO), ("C", CONNECT), *pieces)):
        if side == "C":
            conversation.sent(data, float(number))
        else:
            conversation.received(data, float(number))
    # INFO and CONNECT are no part of what is looked at.
    del conversation.finished[:2]
    return conversation


def seen(conversation: NatsConversation) -> list[tuple[str, str, bool, float]]:
    return [(e.verb, e.text, e.pushed, e.ended_s) for e in conversation.finished]


@pytest.mark.parametrize(
    "line",
    [
        b"PUB a.b 2\r\n",
        b"pub a.b 2\r\n",
        b"Pub\ta.b  2 \r\n",
        b"PUB a.b 2\n",
        b"PUB a.b gone 2\r\n",
    ],
)
def test_a_publish_that_nothing_answers_has_ended_when_it_was_sent(line: bytes) -> None:
    conversation = talk(("C", line), ("C", b"hi\r\n"))
    assert seen(conversation) == [("PUB", "a.b", False, 3.0)]
    (exchange,) = conversation.finished
    assert (exchange.began_s, exchange.request_bytes) == (2.0, len(line) + 4)


@pytest.mark.parametrize("pattern", [b"in.7", b"in.*", b"in.>", b">", b"*.7", b"*.*"])
def test_a_request_ends_with_the_answer_that_its_connection_listens_to(pattern: bytes) -> None:
    conversation = talk(
        ("C", b"SUB " + pattern + b" 1\r\nPUB ask in.7 0\r\n\r\n"),
        ("S", b"MSG in.7 1 2\r\nok\r\n"),
        ("S", b"MSG in.7 1 2\r\nok\r\n"),
    )
    assert seen(conversation)[1:] == [("PUB", "ask", False, 3.0), ("MSG", "in.7", True, 4.0)]


@pytest.mark.parametrize("pattern", [b"in", b"in.8", b"in.*.*", b"in.7.>", b"out.*", b"*"])
def test_no_answer_is_waited_for_that_cannot_come_here(pattern: bytes) -> None:
    conversation = talk(("C", b"SUB " + pattern + b" 1\r\nPUB ask in.7 0\r\n\r\n"))
    assert seen(conversation)[1:] == [("PUB", "ask", False, 2.0)]


def test_a_subscription_that_is_over_takes_no_answers() -> None:
    conversation = talk(
        ("C", b"SUB in.7 1\r\nUNSUB 1 1\r\nPUB ask in.7 0\r\n\r\n"),
        ("S", b"MSG in.7 1 0\r\n\r\n"),
        ("C", b"PUB ask in.7 0\r\n\r\n"),
        ("C", b"SUB in.8 2 \r\nUNSUB 2\r\nPUB ask in.8 0\r\n\r\n"),
    )
    ends = [e.ended_s for e in conversation.finished if e.verb == "PUB"]
    assert ends == [3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("payload", "verb"),
    [
        (b"+ACK", "ACK"),
        (b"", "ACK"),
        (b'-NAK {"delay": 5}', "NAK"),
        (b"+WPI", "WPI"),
        (b"+TERM no use", "TERM"),
        (b"+NXT", "NXT"),
        (b"else", "PUB"),
    ],
)
def test_acknowledgements_are_known_by_their_subject(payload: bytes, verb: str) -> None:
    subject = b"$JS.ACK.S.c.1.2.3.4.0"
    conversation = talk(("C", b"PUB %b %d\r\n%b\r\n" % (subject, len(payload), payload)))
    assert seen(conversation) == [(verb, subject.decode(), False, 2.0)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'MSG in 1 24\r\n{"stream":"S", "seq": 17}\r\n'.replace(b" 24", b" 25"), None),
        (b'MSG in 1 46\r\n{"error":{"code":400,"err_code":10071},"seq":0}\r\n', "10071"),
        (b'MSG in 1 37\r\n{"error":{"code":503},"stream":"S"}  \r\n', "503"),
        (b"HMSG in 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", "503"),
        (b"HMSG in 1 22 24\r\nNATS/1.0\r\nA: 500\r\n\r\nok\r\n", None),
    ],
)
def test_an_answer_tells_its_error(answer: bytes, error: str | None) -> None:
    head, _, payload = answer.partition(b"\r\n")
    words = head.split()
    answer = b" ".join((*words[:-1], b"%d" % (len(payload) - 2))) + b"\r\n" + payload
    conversation = talk(("C", b"SUB in 1\r\nPUB a in 0\r\n\r\n"), ("S", answer))
    assert conversation.unread is None
    assert [e.error for e in conversation.finished if e.verb == "PUB"] == [error]


def test_a_heartbeat_answers_nothing() -> None:
    heartbeat = b"HMSG in 1 35 35\r\nNATS/1.0 100 Idle Heartbeat\r\nA: b\r\n\r\n"
    size = len(heartbeat.partition(b"\r\n")[2])
    heartbeat = heartbeat.replace(b"35 35", b"%d %d" % (size, size)) + b"\r\n"
    conversation = talk(("C", b"SUB in 1\r\nPUB a in 0\r\n\r\n"), ("S", heartbeat))
    assert [(e.verb, e.pushed) for e in conversation.finished] == [("SUB", False), ("HMSG", True)]


def test_a_verbose_server_confirms_in_order() -> None:
    conversation = NatsConversation()
    conversation.received(INFO, 0.0)
    conversation.sent(b"CONNECT {}\r\nSUB a 1\r\nPUB b 0\r\n\r\nPUB c 0\r\n\r\n", 1.0)
    conversation.received(
        b"+OK\r\n+OK\r\n-ERR 'Permissions Violation for Publish to \"b\"'\r\n", 2.0
    )
    conversation.closed(3.0)
    got = [(e.verb, e.text, e.error, e.ended) for e in conversation.finished]
    assert got == [
        ("INFO", "", None, True),
        ("CONNECT", "", None, True),
        ("SUB", "a", None, True),
        ("PUB", "b", "Permissions Violation", True),
        ("PUB", "c", None, False),
    ]


def test_an_error_that_answers_nothing_is_pushed() -> None:
    conversation = talk(("S", b"-ERR 'Slow Consumer'\r\n"))
    assert [(e.verb, e.error, e.pushed) for e in conversation.finished] == [
        ("-ERR", "Slow Consumer", True)
    ]


def test_pings_of_either_side_are_told_apart() -> None:
    conversation = talk(("C", b"PING\r\n"), ("S", b"PING\r\nPONG\r\n"), ("C", b"PONG\r\n"))
    assert seen(conversation) == [
        ("PING", "", True, 3.0),
        ("PING", "", False, 3.0),
        ("PONG", "", False, 4.0),
    ]


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([("S", b'INFO {"tls_required": true}\r\n')], "TLS"),
        ([("C", b"\x16\x03\x01\x00")], "encrypted"),
        ([("C", b"RS+ a b\r\n")], "operation of NATS"),
        ([("S", b"PUB a 0\r\n\r\n")], "operation of NATS"),
        ([("C", b"PUB a\r\n")], "a subject and a size"),
        ([("C", b"PUB a b c 1\r\n")], "a subject and a size"),
        ([("C", b"PUB a -1\r\n")], "a subject and a size"),
        ([("C", b"PUB a 1\r\nxyz\r\n")], "longer than it says"),
        ([("C", b"PUB " + b"a" * 70_000)], "line of more than"),
        ([("C", b"SUB a\r\n")], "expected a subscription"),
        ([("C", b"PING\r\n" * 100_001)], "wait for"),
    ],
)
def test_what_is_not_understood_is_left_unread(pieces: list[tuple[str, bytes]], why: str) -> None:
    conversation = talk(("C", b"SUB in 1\r\nPUB ask in 0\r\n\r\n"), *pieces)
    assert conversation.unread is not None
    assert why in conversation.unread
    assert [e.ended for e in conversation.finished if e.text == "ask"] == [False]
    before = len(conversation.finished)
    conversation.sent(b"PING\r\n", 9.0)
    conversation.received(b"PONG\r\n", 9.0)
    conversation.closed(9.0)
    assert len(conversation.finished) == before


def test_requests_that_nobody_answers_are_given_up_oldest_first() -> None:
    conversation = talk(("C", b"SUB in.* 1\r\n"))
    for number in range(AWAITED_MAX + 2):
        conversation.sent(b"PUB ask in.%d 0\r\n\r\n" % number, float(number + 10))
    given_up = [(e.began_s, e.ended) for e in conversation.finished if e.verb == "PUB"]
    assert given_up == [(10.0, False), (11.0, False)]


def test_subscriptions_are_bounded() -> None:
    conversation = talk()
    for number in range(SUBSCRIPTIONS_MAX + 1):
        conversation.sent(b"SUB a.%d %d\r\n" % (number, number), 2.0)
        conversation.finished.clear()
    assert conversation.unread == f"more than {SUBSCRIPTIONS_MAX} subscriptions"


def test_large_payloads_pass_without_being_kept() -> None:
    conversation = talk()
    piece = b"x" * 1_000_000
    tracemalloc.start()
    conversation.sent(b"PUB a 50000000\r\n", 2.0)
    conversation.received(b"MSG a 1 50000000\r\n", 2.0)
    for _ in range(50):
        conversation.sent(piece, 3.0)
        conversation.received(piece, 3.0)
    conversation.sent(b"\r\n", 4.0)
    conversation.received(b"\r\n", 5.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [e.request_bytes + e.reply_bytes for e in conversation.finished] == [
        50_000_018,
        50_000_020,
    ]
    assert peak < 5_000_000


SUBJECTS = st.sampled_from([b"a", b"visits.7f3a.created", b"x.y"])
PAYLOADS = st.one_of(st.binary(max_size=40), st.integers(500, 1500).map(lambda n: b"\r\n" * n))


@given(
    st.lists(st.tuples(SUBJECTS, PAYLOADS, st.booleans(), st.booleans()), max_size=10),
    st.lists(st.integers(1, 60)),
)
def test_what_is_read_is_what_was_said(
    said: list[tuple[bytes, bytes, bool, bool]], cuts: list[int]
) -> None:
    sides: dict[bool, list[bytes]] = {True: [], False: []}
    expected: dict[bool, list[tuple[str, str, int]]] = {True: [], False: []}
    header = b"NATS/1.0\r\nA: b\r\n\r\n"
    for subject, payload, is_sent, has_header in said:
        verb = (b"H" if has_header else b"") + (b"PUB" if is_sent else b"MSG")
        size = b"%d" % len(payload)
        if has_header:
            size = b"%d %d" % (len(header), len(header) + len(payload))
        words = [verb, subject, size] if is_sent else [verb, subject, b"9", size]
        frame = b" ".join(words) + b"\r\n" + header * has_header + payload + b"\r\n"
        sides[is_sent].append(frame)
        expected[is_sent].append((verb.decode(), subject.decode(), len(frame)))
    conversation = talk()
    for is_sent, frames in sides.items():
        data = b"".join(frames)
        at = 0
        for cut in (*cuts, len(data)):
            (conversation.sent if is_sent else conversation.received)(data[at : at + cut], 1.0)
            at += cut
    assert conversation.unread is None
    for is_sent in sides:
        got = [
            (e.verb, e.text, e.request_bytes + e.reply_bytes)
            for e in conversation.finished
            if e.pushed is not is_sent
        ]
        assert got == expected[is_sent]


GARBAGE = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            (
                *(b"PUB a b 1\r\n", b"MSG a 1 1\r\n", b"x\r\n", b"SUB b 1\r\n", b"+OK\r\n"),
                *(b"UNSUB 1 1\r\n", b"-ERR\r\n", b"UNSUB\r\n", b"INFO\r\n", b"CONNECT\r\n"),
                *(b"PONG\r\n", b"\r\n"),
            )
        ),
        max_size=12,
    ).map(b"".join),
)


@given(st.lists(st.tuples(st.booleans(), GARBAGE), max_size=12))
def test_nothing_that_comes_makes_it_raise(pieces: list[tuple[bool, bytes]]) -> None:
    conversation = NatsConversation()
    for is_sent, data in pieces:
        (conversation.sent if is_sent else conversation.received)(data, 1.0)
    conversation.closed(2.0)
    assert all(e.ended_s >= e.began_s for e in conversation.finished)

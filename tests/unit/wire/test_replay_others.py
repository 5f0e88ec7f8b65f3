"""Recorded connections of real clients (see record_others.py), read whole and cut anywhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadpath.wire import Conversation, Exchange
from loadpath.wire.http1 import HttpConversation
from loadpath.wire.nats import NatsConversation
from loadpath.wire.resp import RedisConversation

Pieces = list[tuple[str, bytes]]
TRANSCRIPTS = Path(__file__).parent / "transcripts"
READERS: dict[str, Callable[[], Conversation]] = {
    "resp": RedisConversation,
    "nats": NatsConversation,
    "http": HttpConversation,
}
NAMES = sorted(path.name for protocol in READERS for path in TRANSCRIPTS.glob(f"{protocol}_*.json"))


def pieces_of(name: str) -> Pieces:
    recorded = json.loads((TRANSCRIPTS / name).read_text("utf-8"))
    return [(side, data.encode("latin-1")) for side, data in recorded]


def feed(conversation: Conversation, side: str, data: bytes, at_s: float) -> None:
    if side == "C":
        conversation.sent(data, at_s)
    else:
        conversation.received(data, at_s)


def read(name: str, pieces: Iterator[tuple[str, bytes, float]]) -> Conversation:
    conversation = READERS[name.partition("_")[0]]()
    for side, data, at_s in pieces:
        feed(conversation, side, data, at_s)
    conversation.closed(1e6)
    return conversation


def whole(pieces: Pieces) -> Iterator[tuple[str, bytes, float]]:
    for number, (side, data) in enumerate(pieces):
        yield side, data, float(number)


def byte_by_byte(pieces: Pieces) -> Iterator[tuple[str, bytes, float]]:
    for side, data, at_s in whole(pieces):
        for at in range(len(data)):
            yield side, data[at : at + 1], at_s


def values(conversation: Conversation) -> list[tuple[Any, ...]]:
    return [
        tuple(getattr(exchange, slot) for slot in Exchange.__slots__)
        for exchange in conversation.finished
    ]


def test_there_is_a_transcript_of_every_client() -> None:
    assert Counter(name.partition("_")[0] for name in NAMES) == {"resp": 7, "nats": 3, "http": 4}


@pytest.mark.parametrize("name", NAMES)
def test_a_transcript_reads_the_same_byte_by_byte(name: str) -> None:
    pieces = pieces_of(name)
    expected = read(name, whole(pieces))
    got = read(name, byte_by_byte(pieces))
    assert values(got) == values(expected)
    assert got.unread == expected.unread


def cut_at(place: int, pieces: Pieces) -> Iterator[tuple[str, bytes, float]]:
    for side, data, at_s in whole(pieces):
        yield side, data[:place], at_s
        yield side, data[place:], at_s


@pytest.mark.parametrize("name", NAMES)
def test_a_transcript_reads_the_same_with_its_pieces_cut_at_every_byte(name: str) -> None:
    pieces = pieces_of(name)
    expected = values(read(name, whole(pieces)))
    for place in range(1, max(len(data) for _, data in pieces)):
        assert values(read(name, cut_at(place, pieces))) == expected, place


# What follows an upgrade is not read.
@pytest.mark.parametrize("name", [name for name in NAMES if "websocket" not in name])
def test_every_byte_of_a_transcript_belongs_to_one_exchange(name: str) -> None:
    pieces = pieces_of(name)
    conversation = read(name, whole(pieces))
    assert conversation.unread is None
    finished = conversation.finished
    assert all(exchange.ended for exchange in finished)
    sizes = Counter({side: sum(len(d) for s, d in pieces if s == side) for side in "CS"})
    assert sum(e.request_bytes for e in finished) == sizes["C"]
    assert sum(e.reply_bytes for e in finished) == sizes["S"]


def verbs(name: str, *, pushed: bool = False) -> Counter[str]:
    finished = read(name, whole(pieces_of(name))).finished
    return Counter(e.verb for e in finished if e.pushed is pushed)


def found(name: str, verb: str, text: str) -> list[Exchange]:
    finished = read(name, whole(pieces_of(name))).finished
    return [e for e in finished if (e.verb, e.text) == (verb, text)]


@pytest.mark.parametrize("protocol", ["resp2", "resp3"])
def test_redis_py_is_read(protocol: str) -> None:
    name = f"resp_redis_py_{protocol}.0.json"
    seen = verbs(name)
    for verb in ("HSET", "HGETALL", "ZADD", "ZRANGE", "EVAL", "XADD", "XREAD", "INFO"):
        assert seen[verb] == 1
    assert (seen["GET"], seen["SET"], seen["CLIENT SETINFO"]) == (3, 2, 2)
    assert found(name, "EVAL", "user:17") and found(name, "XREAD", "events")
    assert [e.error for e in found(name, "INCRBY", "link:abc123")] == ["ERR"]
    assert [e.reply_bytes for e in found(name, "GET", "large")] == [len("$1100\r\n\r\n") + 1100]


def test_a_pipeline_is_its_commands_and_a_transaction_has_its_states() -> None:
    name = "resp_redis_py_pipeline.0.json"
    seen = verbs(name)
    assert (seen["SET"], seen["GET"], seen["MULTI"], seen["EXEC"]) == (21, 21, 2, 2)
    finished = read(name, whole(pieces_of(name))).finished
    states = [(e.verb, e.error, e.transaction) for e in finished[-8:]]
    assert states == [
        ("MULTI", None, "open"),
        ("INCRBY", None, "open"),
        ("GET", None, "open"),
        ("EXEC", None, "none"),
        ("MULTI", None, "open"),
        ("SET", None, "open"),
        ("NOSUCHCOMMAND", "ERR", "failed"),
        ("EXEC", "EXECABORT", "none"),
    ]


@pytest.mark.parametrize("protocol", [2, 3])
def test_messages_are_pushed_and_confirmations_are_not(protocol: int) -> None:
    name = f"resp_redis_py_pubsub{protocol}.0.json"
    assert verbs(name, pushed=True) == {"MESSAGE": 1, "PMESSAGE": 1}
    seen = verbs(name)
    for verb in ("SUBSCRIBE", "PSUBSCRIBE", "PING", "UNSUBSCRIBE", "PUNSUBSCRIBE"):
        assert seen[verb] == 1


def test_a_blocking_command_ends_when_it_is_answered() -> None:
    ends = [e.ended_s - e.began_s for e in found("resp_redis_py_blocking.0.json", "BLPOP", "queue")]
    assert ends == [1.0, 1.0]


def test_valkey_glide_is_read() -> None:
    seen = verbs("resp_valkey_glide.0.json")
    assert (seen["GET"], seen["MULTI"], seen["EXEC"], seen["HELLO"]) == (9, 1, 1, 1)


def test_nats_requests_end_with_their_answers() -> None:
    name = "nats_core.0.json"
    for subject in ("ask.time", "ask.old"):
        (request,) = found(name, "PUB", subject)
        assert request.ended_s > request.began_s
        assert request.error is None
    (unheard,) = found(name, "PUB", "silence")
    assert unheard.error == "503"
    (plain,) = found(name, "PUB", "nobody.listens")
    assert (plain.ended_s, plain.reply_bytes) == (plain.began_s, 0)
    pushed = verbs(name, pushed=True)
    assert pushed == {"INFO": 2, "HMSG": 1, "MSG": 2}


def test_nats_verbose_confirms_every_publish() -> None:
    (publish,) = found("nats_verbose.0.json", "PUB", "a.b")
    assert publish.reply_bytes == len("+OK\r\n")


def test_jetstream_publishes_and_acknowledgements_are_told_apart() -> None:
    name = "nats_jetstream.0.json"
    seen = verbs(name)
    assert (seen["ACK"], seen["NAK"], seen["WPI"], seen["TERM"]) == (2, 1, 1, 1)
    for number in range(3):
        (publish,) = found(name, "PUB", f"visits.{number}")
        assert publish.ended_s > publish.began_s
    assert [e.error for e in found(name, "HPUB", "visits.9")] == ["10071"]
    fetches = found(name, "PUB", "$JS.API.CONSUMER.MSG.NEXT.VISITS.worker")
    assert [e.error for e in fetches] == [None, None, "408"]


def test_http_replies_have_their_status_and_only_server_errors_are_errors() -> None:
    name = "http_client.0.json"
    got = [(e.verb, e.status, e.error) for e in read(name, whole(pieces_of(name))).finished]
    assert got == [
        ("GET", 200, None),
        ("GET", 200, None),
        ("POST", 200, None),
        ("POST", 200, None),
        ("HEAD", 200, None),
        ("DELETE", 204, None),
        ("GET", 304, None),
        ("GET", 503, "503"),
        ("GET", 200, None),
    ]


def test_pipelined_requests_and_100_continue_are_read() -> None:
    finished = read("http_raw.0.json", whole(pieces_of("http_raw.0.json"))).finished
    assert [e.text for e in finished] == [*(f"/n/{n}" for n in range(5)), "/late", "/n/9"]
    late = finished[5]
    assert late.reply_bytes > finished[0].reply_bytes, "100 Continue is not part of it"


def test_a_reply_of_http_1_0_ends_with_the_connection() -> None:
    (exchange,) = read("http_old.0.json", whole(pieces_of("http_old.0.json"))).finished
    assert (exchange.status, exchange.ended) == (404, True)


def test_a_websocket_is_not_read_beyond_its_upgrade() -> None:
    conversation = read("http_websocket.0.json", whole(pieces_of("http_websocket.0.json")))
    assert conversation.unread == "upgraded to websocket"
    assert [(e.status, e.ended) for e in conversation.finished] == [(101, True)]

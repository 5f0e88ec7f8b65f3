"""WebSockets without IO: messages arrive as they were sent, however they are cut, and end in words.

The other side is the library's server, as sans-IO as the client that is tested.
"""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Asked
from websockets.protocol import State
from websockets.server import ServerProtocol

from loadpath.drive.channels import (
    INBOX_BYTES_MAX,
    INBOX_MESSAGES_MAX,
    Channel,
    HandshakeError,
    Line,
)
from loadpath.drive.socket_steps import Done, StepError, begin, looked_at
from loadpath.flow import Message, Send, close, connect, count, expect, send
from loadpath.recording.schema import RequestError


def opened(*, compress: bool = False) -> tuple[Channel, ServerProtocol]:
    """A WebSocket whose handshake is over, and its server."""
    wanted = connect("/x", compress=compress)
    channel = Channel(wanted)
    asked = Asked("/x", Headers([("Host", "x"), *channel.request(wanted).headers]))
    server = _server()
    response = server.accept(asked)
    channel.open(response.serialize(), b"", 0.0)
    return channel, server


def _server() -> ServerProtocol:
    return ServerProtocol(
        extensions=enable_server_permessage_deflate(None), max_size=None, state=State.OPEN
    )


def at(channel: Channel, step: object, began_s: float = 1.0) -> Line:
    line = Line()
    line.channels[channel.socket] = channel
    line.step = step  # type: ignore[assignment]
    begin(line, began_s, 10.0)
    return line


contents = st.one_of(st.binary(max_size=300), st.text(max_size=100))


@given(
    messages=st.lists(st.lists(contents, min_size=1, max_size=4), max_size=6),
    cuts=st.lists(st.integers(1, 80), min_size=1),
    compress=st.booleans(),
)
def test_messages_are_received_as_sent_however_they_are_cut(
    messages: list[list[bytes | str]], cuts: list[int], compress: bool
) -> None:
    channel, server = opened(compress=compress)
    sent = []
    for pieces in messages:
        text = isinstance(pieces[0], str)
        encoded = [p.encode() if isinstance(p, str) else p for p in pieces]
        if text:
            encoded = [p for p, like in zip(encoded, pieces, strict=True) if isinstance(like, str)]
        for i, piece in enumerate(encoded):
            opcode = (Opcode.TEXT if text else Opcode.BINARY) if i == 0 else Opcode.CONT
            server.send_frame(Frame(opcode, piece, fin=i == len(encoded) - 1))
            if i == 0:
                server.send_ping(b"between two pieces")
        sent.append((b"".join(encoded), not text))
    data = b"".join(server.data_to_send())
    place, turn = 0, 0
    while place < len(data):
        size = cuts[turn % len(cuts)]
        channel.feed(data[place : place + size], 2.0)
        place, turn = place + size, turn + 1
    assert channel.over is None
    assert [(m.data, m.binary) for m in channel.inbox] == sent
    assert channel.socket.received == len(sent)
    channel.collect()
    server.receive_data(b"".join(channel.outgoing))
    pongs = [e for e in server.events_received() if isinstance(e, Frame)]
    assert [e.opcode for e in pongs] == [Opcode.PONG] * len(sent)


@given(messages=st.lists(contents, max_size=6))
def test_what_is_sent_is_received_masked(messages: list[bytes | str]) -> None:
    channel, server = opened()
    for content in messages:
        line = at(channel, send(channel.socket, content))
        written = b"".join(channel.outgoing)
        assert written[1] & 0x80
        server.receive_data(written)
        channel.outgoing.clear()
        assert looked_at(line, 3.0) == Done(3.0, 3.0, sent_s=3.0)
    frames = [e for e in server.events_received() if isinstance(e, Frame)]
    encoded = [c.encode() if isinstance(c, str) else c for c in messages]
    assert [f.data for f in frames] == encoded
    assert [f.opcode is Opcode.TEXT for f in frames] == [isinstance(c, str) for c in messages]


def test_expect_passes_over_what_is_not_accepted_and_waits() -> None:
    channel, server = opened()
    line = at(channel, expect(channel.socket, lambda m: m.text == "b", timeout_s=2))
    assert looked_at(line, 1.5) is None
    for text in (b"a", b"b", b"c"):
        server.send_text(text)
    channel.feed(b"".join(server.data_to_send()), 2.5)
    done = looked_at(line, 2.6)
    assert done is not None and isinstance(done.value, Message)
    assert (done.value.text, done.at_s, channel.taken) == ("b", 2.5, 2)
    with pytest.raises(StepError, match="none of 1 messages in 2 s"):
        looked_at(at(channel, expect(channel.socket, lambda m: False, timeout_s=2)), 3.0)
    since = at(channel, expect(channel.socket, since=lambda m: m.json()["at"]))
    server.send_text(b'{"at": 0.25}')
    channel.feed(b"".join(server.data_to_send()), 5.0)
    done = looked_at(since, 5.1)
    assert done is not None and (done.since_s, done.at_s) == (0.25, 5.0)


def test_a_count_takes_what_lies_there_and_what_comes_and_keeps_none() -> None:
    channel, server = opened()
    server.send_text(b"before")
    channel.feed(b"".join(server.data_to_send()), 0.5)
    line = at(channel, count(channel.socket, seconds=2))
    server.send_text(b"in time")
    channel.feed(b"".join(server.data_to_send()), 2.0)
    assert looked_at(line, 2.9) is None and not channel.inbox
    assert looked_at(line, 3.0) == (2, 3.0, pytest.approx(float("nan"), nan_ok=True), None)
    assert channel.taken_bytes == len("beforein time")
    server.send_text(b"after")
    channel.feed(b"".join(server.data_to_send()), 3.5)
    assert [m.text for m in channel.inbox] == ["after"]


@pytest.mark.parametrize(("code", "fails"), [(1000, False), (1001, True), (4000, True)])
def test_a_close_ends_what_is_awaited(code: int, fails: bool) -> None:
    channel, server = opened()
    counting = at(channel, count(channel.socket, seconds=60))
    server.send_close(code, "why not")
    channel.feed(b"".join(server.data_to_send()), 2.0)
    assert channel.over == (RequestError.CLOSED, f"with {code} why not")
    assert channel.socket.close_code == code
    if fails:
        with pytest.raises(StepError, match=f"with {code}"):
            looked_at(counting, 2.0)
    else:
        assert looked_at(counting, 2.0) is not None
    with pytest.raises(StepError, match="why not"):
        looked_at(at(channel, expect(channel.socket)), 2.0)
    with pytest.raises(StepError, match="why not"):
        at(channel, Send(channel.socket, b"too late"))
    assert looked_at(at(channel, close(channel.socket)), 2.0) is not None
    server.receive_data(b"".join(channel.outgoing))
    assert server.close_rcvd is not None and server.close_rcvd.code == code


def test_a_full_inbox_says_so_until_it_is_taken() -> None:
    channel, server = opened()
    for _ in range(INBOX_MESSAGES_MAX):
        assert not channel.full
        server.send_text(b"")
        channel.feed(b"".join(server.data_to_send()), 0.0)
    assert channel.full
    channel.next_message()
    assert not channel.full
    server.send_binary(bytes(INBOX_BYTES_MAX))
    channel.feed(b"".join(server.data_to_send()), 0.0)
    assert channel.full
    channel.take_all()
    assert not channel.full


@pytest.mark.parametrize("left_out", ["Upgrade", "Connection", "Sec-WebSocket-Accept"])
def test_a_101_without_what_belongs_to_it_is_no_handshake(left_out: str) -> None:
    wanted = connect("/x")
    channel = Channel(wanted)
    asked = Asked("/x", Headers([("Host", "x"), *channel.request(wanted).headers]))
    response = _server().accept(asked)
    lines = [f"{k}: {v}" for k, v in response.headers.raw_items() if k != left_out]
    with pytest.raises(HandshakeError, match="not valid"):
        channel.open("\r\n".join(["HTTP/1.1 101 x", *lines, "", ""]).encode(), b"", 0.0)


@pytest.mark.parametrize("end", ["closed by us", "closed by it", "broken", "cut", "let go"])
def test_nothing_is_left_for_the_collector(end: str) -> None:
    """It is off while load runs, and each would keep some kilobytes."""
    channel, server = opened()
    gc.disable()
    try:
        if end == "broken":
            channel.feed(b"\xff\xff garbage", 0.0)
        elif end == "cut":
            channel.feed(b"\x81\x0ahalf", 0.0)
            channel.feed(b"", 0.0)
            assert channel.over == (
                RequestError.RESET,
                "the connection was closed within a message",
            )
        elif end == "let go":
            channel.dispose()
        else:
            if end == "closed by us":
                channel.say_goodbye(1000)
                server.receive_data(b"".join(channel.outgoing))
            else:
                server.send_close(1000)
            channel.feed(b"".join(server.data_to_send()), 0.0)
        gone = weakref.ref(channel._protocol)
        del channel
        assert gone() is None
    finally:
        gc.enable()

"""Flows are run by hand, without a network, as a user's own tests run them."""

from __future__ import annotations

from typing import Any

import pytest

from loadpath.flow import (
    Close,
    Connect,
    Count,
    Expect,
    Message,
    Reply,
    Send,
    Socket,
    close,
    connect,
    count,
    expect,
    get,
    send,
)


def watch(state: Any) -> Any:
    reply = yield get("/rooms")
    socket = yield connect(f"/rooms/{reply.json()['room']}", params={"from": "now"})
    if not socket.ok:
        return None
    yield send(socket, json={"subscribe": "posts"})
    message = yield expect(socket, lambda message: message.json()["kind"] == "post", timeout_s=2)
    number = yield count(socket, seconds=5)
    code = yield close(socket)
    return message.text, number, code


def test_a_flow_with_a_websocket_is_run_by_hand() -> None:
    flow = watch(None)
    assert next(flow).path == "/rooms"
    asked = flow.send(Reply(200, b'{"room": 7}'))
    assert isinstance(asked, Connect) and asked.request.path == "/rooms/7?from=now"
    socket = Socket()
    sent = flow.send(socket)
    assert isinstance(sent, Send)
    assert (sent.socket, sent.data, sent.binary) == (socket, b'{"subscribe":"posts"}', False)
    awaited = flow.send(0.5)
    assert isinstance(awaited, Expect) and awaited.timeout_s == 2 and awaited.accept is not None
    assert awaited.accept(Message('{"kind": "post"}')) and not awaited.accept(
        Message(b'{"kind": "like"}')
    )
    counted = flow.send(Message('{"kind": "post"}', 1.5))
    assert isinstance(counted, Count) and (counted.sockets, counted.seconds) == ((socket,), 5)
    closed = flow.send(3)
    assert isinstance(closed, Close) and closed.code == 1000
    with pytest.raises(StopIteration) as end:
        flow.send(1000)
    assert end.value.value == ('{"kind": "post"}', 3, 1000)


def test_a_refused_handshake_is_a_reply_that_is_not_ok() -> None:
    flow = watch(None)
    next(flow)
    flow.send(Reply(200, b'{"room": 7}'))
    with pytest.raises(StopIteration):
        flow.send(Socket(403, b"no", b"HTTP/1.1 403 Forbidden\r\nX-Why: closed\r\n\r\n"))


@pytest.mark.parametrize(
    ("data", "content", "binary"), [("ü", b"\xc3\xbc", False), (b"\0", b"\0", True)]
)
def test_text_and_bytes_are_told_apart(data: Any, content: bytes, binary: bool) -> None:
    step = send(Socket(), data)
    message = Message(data)
    assert (step.data, step.binary) == (message.data, message.binary) == (content, binary)

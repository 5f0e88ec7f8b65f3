"""HTTP/1.1 in line."""

from __future__ import annotations

from collections import deque
from enum import Enum
from http import HTTPStatus

from loadpath.tap import orders
from loadpath.tap.inline.core import Cutter, Taking, Wire
from loadpath.wire.http1_heads import Framing, ReplyHead, RequestHead, reply_head, request_head
from loadpath.wire.http1_messages import MessageReader
from loadpath.wire.unreadable import UnreadableError


def error_reply(status: int) -> bytes:
    """A reply with that status and nothing in it."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    retry = "Retry-After: 1\r\n" if status in (429, 503) else ""
    return f"HTTP/1.1 {status} {phrase}\r\n{retry}Content-Length: 0\r\n\r\n".encode()


class _Then(Enum):
    """What becomes of a reply."""

    PASS = 0
    SWALLOW = 1
    CLOSE = 2
    SAY = 3


class _Due:
    """A reply that is to come, or (`SAY`) to be said in the server's place when its turn comes."""

    __slots__ = ("method", "said", "then")

    def __init__(self, method: str, then: _Then = _Then.PASS, said: bytes = b"") -> None:
        self.method = method
        self.then = then
        self.said = said


class HttpCore:
    """One connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._asked = MessageReader(self._begin_request)
        self._told = MessageReader(self._begin_reply, b"HTTP/")
        self._requests = Cutter()
        self._replies = Cutter()
        self._due: deque[_Due] = deque()
        self._request: RequestHead | None = None
        self._reply: ReplyHead | None = None

    @property
    def idle(self) -> bool:
        return not self._due and not len(self._requests) and not len(self._replies)

    def unsent(self) -> bytes:
        return self._requests.take()

    def unsaid(self) -> bytes:
        rest = self._replies.take()
        # A reply may end with its connection: one that was to be dropped still is.
        return rest if not self._due or self._due[0].then is _Then.PASS else b""

    def requests(self, data: bytes) -> None:
        self._requests.add(data)
        for message in self._asked.feed(data, 0.0):
            raw = self._requests.cut(message.size_bytes)
            assert self._request is not None, "a message has a head"
            if not self._ask(self._request, raw):
                return

    def replies(self, data: bytes) -> None:
        self._replies.add(data)
        for message in self._told.feed(data, 0.0):
            raw = self._replies.cut(message.size_bytes)
            assert self._reply is not None, "a message has a head"
            if self._reply.status == 101:
                self._wire.to_client(raw)
                raise UnreadableError("upgraded to another protocol")
            if self._reply.status < 200:
                self._wire.to_client(raw)
                continue
            due = self._due.popleft() if self._due else _Due("")
            if due.then is _Then.CLOSE:
                self._wire.close()
                return
            if due.then is _Then.PASS:
                self._wire.to_client(raw)
            self._say()
        if not self._due or self._due[0].then is _Then.PASS:
            self._wire.to_client(self._replies.ahead())

    def _begin_request(self, head: bytes, first_s: float) -> Framing:
        self._request = request_head(head)
        if self._request.expects_continue:
            raise UnreadableError("a request that waits for 100 Continue")
        if self._request.method == "CONNECT":
            raise UnreadableError("a tunnel (CONNECT)")
        return self._request.framing

    def _begin_reply(self, head: bytes, first_s: float) -> Framing:
        self._reply = reply_head(head, self._due[0].method if self._due else "")
        return self._reply.framing

    def _ask(self, head: RequestHead, raw: bytes) -> bool:
        """Pass on one request, or do with it what was ordered; False: nothing more passes."""
        taking: Taking | None = self._wire.choose(head.method, head.target)
        due = _Due(head.method)
        match None if taking is None else taking.order:
            case orders.DropRequest():
                self._wire.close()
                return False
            case orders.DropReply():
                due.then = _Then.CLOSE
            case orders.DelayUnit(delay_s=delay_s):
                self._wire.wait(delay_s)
            case orders.Duplicate():
                self._wire.to_server(raw)
                self._due.append(due)
                due = _Due(head.method, _Then.SWALLOW)
            case orders.Fail(code=code):
                self._due.append(_Due(head.method, _Then.SAY, error_reply(int(code))))
                self._say()
                return True
        self._wire.to_server(raw)
        self._due.append(due)
        return True

    def _say(self) -> None:
        while self._due and self._due[0].then is _Then.SAY:
            self._wire.to_client(self._due.popleft().said)

"""One connection that speaks HTTP/1.1, or 1.0."""

from __future__ import annotations

from collections import deque
from typing import Final

from loadpath.wire.exchange import Exchange
from loadpath.wire.http1_heads import NO_BODY, Framing, ReplyHead, reply_head, request_head
from loadpath.wire.http1_messages import Message, MessageReader
from loadpath.wire.unreadable import UnreadableError

PENDING_MAX: Final = 10_000
"""Requests of one connection that wait for their replies."""


class _Turn:
    """A request under way: what is known of it and of its reply."""

    __slots__ = ("asked", "exchange", "expects_continue", "replied")

    def __init__(self, exchange: Exchange, *, expects_continue: bool) -> None:
        self.exchange = exchange
        self.expects_continue = expects_continue
        self.asked = False  # the request is whole
        self.replied = False  # the reply is, which may be before the request


class HttpConversation:
    """Reads a connection on which HTTP/1.1 is spoken. See `Conversation`.

    `verb` is the method, `text` the request target with its query, `parameters` a hash of the
    body alone (the query is part of the target). Replies of 1xx belong to the reply that follows
    them; `first_byte_s` is that reply's. A reply that ends with the connection is whole then. A
    reply to nothing (a server's 408 as it closes) is pushed, with no verb. After 101, and after a
    CONNECT that succeeded, the exchange has ended and the rest is unread.
    """

    def __init__(self) -> None:
        self.finished: list[Exchange] = []
        self.unread: str | None = None
        self._turns: deque[_Turn] = deque()
        self._head: ReplyHead | None = None
        self._bodies_are_certain = True
        self._requests = MessageReader(self._begin_request)
        self._replies = MessageReader(self._begin_reply, b"HTTP/")

    @property
    def idle(self) -> bool:
        """Whether every request has its reply, and no new one has begun."""
        return not self._turns and self._requests.between and self._replies.between

    def sent(self, data: bytes, at_s: float) -> None:
        """The client sent this; pieces may be cut anywhere."""
        if self.unread is not None:
            return
        try:
            if not self._bodies_are_certain and data:
                raise UnreadableError(
                    "a final reply came instead of 100 Continue: whether the body or a new "
                    "request follows cannot be known"
                )
            for message in self._requests.feed(data, at_s):
                self._asked(message)
        except UnreadableError as error:
            self._give_up(str(error), at_s)

    def received(self, data: bytes, at_s: float) -> None:
        """The server sent this; pieces may be cut anywhere."""
        if self.unread is not None:
            return
        try:
            for message in self._replies.feed(data, at_s):
                self._replied(message, at_s)
        except UnreadableError as error:
            self._give_up(str(error), at_s)

    def closed(self, at_s: float) -> None:
        """The connection is gone: what was under way is put into `finished` with `ended` False."""
        message = self._replies.end()
        if message is not None:
            self._replied(message, at_s)
        for turn in self._turns:
            if not turn.replied:
                turn.exchange.ended = False
                turn.exchange.ended_s = at_s
            self.finished.append(turn.exchange)
        self._turns.clear()

    def _give_up(self, sentence: str, at_s: float) -> None:
        # A reply that would end with the connection has not ended.
        self._replies = MessageReader(self._begin_reply)
        self._requests = MessageReader(self._begin_request)
        self.closed(at_s)
        self.unread = sentence

    def _begin_request(self, head: bytes, first_s: float) -> Framing:
        method, target, framing, expects_continue = request_head(head)
        if len(self._turns) >= PENDING_MAX:
            raise UnreadableError(f"more than {PENDING_MAX} requests wait for their replies")
        exchange = Exchange(method, target, first_s)
        exchange.request_bytes = len(head)
        self._turns.append(_Turn(exchange, expects_continue=expects_continue))
        if method == "CONNECT":
            # What follows is for whom it connects to, unless that is refused.
            self._requests.stop = True
            return NO_BODY
        return framing

    def _asked(self, message: Message) -> None:
        turn = self._turns[-1]
        turn.exchange.request_bytes = message.size_bytes
        turn.exchange.parameters = message.digest
        turn.asked = True
        if turn.replied:
            self._turns.pop()
            self.finished.append(turn.exchange)

    def _begin_reply(self, head: bytes, first_s: float) -> Framing:
        turn = self._waiting()
        self._head = reply_head(head, turn.exchange.verb if turn is not None else "")
        return self._head.framing

    def _waiting(self) -> _Turn | None:
        return self._turns[0] if self._turns and not self._turns[0].replied else None

    def _replied(self, message: Message, at_s: float) -> None:
        assert self._head is not None
        status, _, upgrade = self._head
        turn = self._waiting()
        exchange = turn.exchange if turn is not None else Exchange("", "", at_s)
        exchange.reply_bytes += message.size_bytes
        if status < 200 and status != 101:
            return
        exchange.status = status
        exchange.ended_s = at_s
        exchange.error = str(status) if status >= 500 else None
        if turn is None:
            exchange.pushed = True
            self.finished.append(exchange)
            return
        exchange.first_byte_s = message.first_byte_s
        turn.replied = True
        if not turn.asked and turn.expects_continue and not self._requests.in_body:
            self._bodies_are_certain = False
            turn.asked = True
        if turn.asked:
            self._turns.popleft()
            self.finished.append(exchange)
        if status == 101:
            raise UnreadableError(f"upgraded to {upgrade or 'another protocol'}")
        if exchange.verb == "CONNECT":
            if status < 300:
                raise UnreadableError("a tunnel (CONNECT)")
            if self._requests.dropped:
                raise UnreadableError("bytes of a tunnel (CONNECT) that was refused")
            self._requests.stop = False

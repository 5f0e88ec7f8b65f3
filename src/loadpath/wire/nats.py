"""One connection to NATS: core, headers, and what JetStream says over them."""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from loadpath.wire.exchange import Exchange
from loadpath.wire.nats_frames import CLIENTS, SERVERS, Frame, FrameReader
from loadpath.wire.nats_inboxes import Subscriptions
from loadpath.wire.unreadable import UnreadableError, shown, whole_number

AWAITED_MAX: Final = 10_000
"""Answers of one connection that are waited for; beyond, the oldest is given up."""
PENDING_MAX: Final = 100_000
"""Operations of one connection that wait for +OK or PONG."""

_PUBLISHES = {b"PUB": 1, b"HPUB": 2}  # how many sizes stand behind the subjects
_DELIVERIES = {b"MSG": 1, b"HMSG": 2}
_ACKNOWLEDGES = b"$JS.ACK."
_API = b"$JS.API."
_ANSWERS = {b"+ACK": "ACK", b"-NAK": "NAK", b"+WPI": "WPI", b"+TERM": "TERM", b"+NXT": "NXT"}
_STATUS = re.compile(rb"NATS/1\.0 +(\d{3})")
_API_ERROR = re.compile(rb'"error" *: *\{[^}]*?"(?:err_code)" *: *(\d+)')
_API_ERROR_STATUS = re.compile(rb'"error" *: *\{[^}]*?"code" *: *(\d+)')
_STAYS_OPEN = b"Invalid Publish Subject"


class NatsConversation:
    """Reads a connection of a client to a NATS server. See `Conversation`.

    `verb` is the operation, `text` its subject. A publish that names a subject to answer to, to
    which this connection listens, ends with the answer: a reply, JetStream's acknowledgement of
    what was stored, an answer of its API, or the first message that was asked for; else it ends
    when it was sent (with `verbose`, when +OK came). Acknowledgements of JetStream's deliveries
    have the verbs ACK, NAK, WPI, TERM and NXT. `error` is the status in an answer's headers (503:
    nobody listens), JetStream's error code, or the words of -ERR. Messages are pushed, except the
    answer that ends an exchange; INFO, and the server's PING, are pushed too.
    """

    def __init__(self) -> None:
        self.finished: list[Exchange] = []
        self.unread: str | None = None
        self._asked = FrameReader(CLIENTS)
        self._told = FrameReader(SERVERS)
        self._subscriptions = Subscriptions()
        self._awaited: dict[bytes, Exchange] = {}  # by the subject of the answer
        self._unconfirmed: deque[Exchange | None] = deque()  # +OK is to come; None: for a request
        self._pings: deque[Exchange] = deque()
        # A server is verbose to who has not said otherwise; nobody speaks before CONNECT.
        self._verbose = True

    @property
    def idle(self) -> bool:
        """Whether both sides are between messages; answers may still be to come."""
        return self._asked.between and self._told.between

    def sent(self, data: bytes, at_s: float) -> None:
        """The client sent this; pieces may be cut anywhere."""
        if self.unread is not None:
            return
        try:
            for frame in self._asked.feed(data, at_s):
                self._ask(frame, at_s)
        except UnreadableError as error:
            self._give_up(str(error), at_s)

    def received(self, data: bytes, at_s: float) -> None:
        """The server sent this; pieces may be cut anywhere."""
        if self.unread is not None:
            return
        try:
            for frame in self._told.feed(data, at_s):
                self._tell(frame, at_s)
        except UnreadableError as error:
            self._give_up(str(error), at_s)

    def closed(self, at_s: float) -> None:
        """The connection is gone: what was under way is put into `finished` with `ended` False."""
        confirmed = [exchange for exchange in self._unconfirmed if exchange is not None]
        pending = [*self._awaited.values(), *confirmed, *self._pings]
        for exchange in sorted(pending, key=_began):
            self._give_up_on(exchange, at_s)
        self._awaited.clear()
        self._unconfirmed.clear()
        self._pings.clear()

    def _give_up(self, sentence: str, at_s: float) -> None:
        self.closed(at_s)
        self.unread = sentence
        self._asked = FrameReader(CLIENTS)
        self._told = FrameReader(SERVERS)
        self._subscriptions = Subscriptions()

    def _give_up_on(self, exchange: Exchange, at_s: float) -> None:
        exchange.ended = False
        exchange.ended_s = at_s
        self.finished.append(exchange)

    def _ask(self, frame: Frame, at_s: float) -> None:
        operation, words, payload, digest, size, began_s = frame
        exchange = Exchange(operation.decode("ascii"), "", began_s)
        exchange.request_bytes = size
        exchange.first_byte_s = exchange.ended_s = at_s
        if len(self._pings) + len(self._unconfirmed) >= PENDING_MAX:
            raise UnreadableError(f"more than {PENDING_MAX} operations wait for +OK or PONG")
        if operation in _PUBLISHES:
            exchange.parameters = digest
            self._publish(exchange, words[: -_PUBLISHES[operation]], payload, at_s)
            return
        if operation == b"PING":
            self._pings.append(exchange)
            return
        arguments = words[0].split() if words else []
        if operation == b"SUB" and len(arguments) in {2, 3}:
            exchange.text = _text(arguments[0])
            self._subscriptions.add(arguments[-1], arguments[0])
        elif operation == b"UNSUB" and len(arguments) in {1, 2}:
            most = whole_number(arguments[1]) if len(arguments) == 2 else None
            if most:
                self._subscriptions.limit(arguments[0], most)
            else:
                self._subscriptions.drop(arguments[0])
        elif operation == b"CONNECT":
            said = words[0] if words else b""
            self._verbose = re.search(rb'"verbose"\s*:\s*false', said) is None
        elif operation in {b"SUB", b"UNSUB"}:
            raise UnreadableError(f"expected a subscription, got {shown(b' '.join(words))}")
        if self._verbose and operation in {b"SUB", b"UNSUB", b"CONNECT"}:
            self._unconfirmed.append(exchange)
        else:
            self.finished.append(exchange)

    def _publish(
        self, exchange: Exchange, subjects: list[bytes], payload: bytes, at_s: float
    ) -> None:
        subject = subjects[0]
        exchange.text = _text(subject)
        if subject.startswith(_ACKNOWLEDGES):
            kind = payload.split(None, 1)[0] if payload.strip() else b"+ACK"
            exchange.verb = _ANSWERS.get(kind, exchange.verb)
        answer = subjects[1] if len(subjects) == 2 else b""
        if answer and answer not in self._awaited and self._subscriptions.take(answer):
            if len(self._awaited) >= AWAITED_MAX:
                self._give_up_on(self._awaited.pop(next(iter(self._awaited))), at_s)
            self._awaited[answer] = exchange
            if self._verbose:
                self._unconfirmed.append(None)
        elif self._verbose:
            self._unconfirmed.append(exchange)
        else:
            self.finished.append(exchange)

    def _tell(self, frame: Frame, at_s: float) -> None:
        operation, words, _, _, size, first_s = frame
        if operation in _DELIVERIES:
            self._deliver(frame, at_s)
            return
        if operation == b"PONG" and self._pings:
            self._end(self._pings.popleft(), size, first_s, at_s)
            return
        if operation == b"+OK":
            if self._unconfirmed:
                exchange = self._unconfirmed.popleft()
                if exchange is not None:
                    self._end(exchange, size, first_s, at_s)
            return
        exchange = Exchange(operation.decode("ascii"), "", at_s)
        exchange.pushed = True
        exchange.reply_bytes = size
        if operation == b"-ERR":
            exchange.error = _words_of_error(words)
            if self._unconfirmed and not exchange.error.startswith(_STAYS_OPEN.decode()):
                answered = self._unconfirmed.popleft()
                if answered is not None:
                    answered.error = exchange.error
                    self._end(answered, size, first_s, at_s)
                    return
        self.finished.append(exchange)
        if operation == b"INFO" and words and _requires_tls(words[0]):
            raise UnreadableError("the server requires TLS")

    def _deliver(self, frame: Frame, at_s: float) -> None:
        operation, words, payload, _, size, first_s = frame
        sizes = _DELIVERIES[operation]
        subject, sid = words[0], words[1]
        answer = words[2] if len(words) == 3 + sizes else b""
        status = _STATUS.match(payload) if operation == b"HMSG" else None
        listened_to = self._subscriptions.delivered(sid)
        if not (status is not None and status[1] == b"100"):  # a heartbeat
            # A message of a stream keeps its subject; only its subscription says who asked.
            at = subject if subject in self._awaited else listened_to
            exchange = self._awaited.pop(at, None)
            if exchange is not None:
                exchange.error = _error_of(exchange, status, payload)
                delivered = answer.startswith(_ACKNOWLEDGES)
                self._end(exchange, 0 if delivered else size, first_s, at_s)
                if not delivered:
                    return
        message = Exchange(operation.decode("ascii"), _text(subject), at_s)
        message.pushed = True
        message.reply_bytes = size
        self.finished.append(message)

    def _end(self, exchange: Exchange, size: int, first_s: float, at_s: float) -> None:
        exchange.first_byte_s = first_s
        exchange.ended_s = at_s
        exchange.reply_bytes = size
        self.finished.append(exchange)


def _began(exchange: Exchange) -> float:
    return exchange.began_s


def _text(subject: bytes) -> str:
    return subject.decode("utf-8", "backslashreplace")


def _words_of_error(words: list[bytes]) -> str:
    """What -ERR says, without the subject that it may name."""
    said = words[0].strip().strip(b"'") if words else b""
    said = re.split(rb' (?:for|to) |"', said, maxsplit=1)[0].strip()
    return said[:80].decode("utf-8", "backslashreplace")


def _error_of(exchange: Exchange, status: re.Match[bytes] | None, payload: bytes) -> str | None:
    if status is not None and status[1][:1] >= b"3":
        return status[1].decode("ascii")
    # A service's own answer may look like this too; JetStream's begin so, or answer its API.
    if payload.startswith(b'{"error":') or exchange.text.startswith(_API.decode()):
        found = _API_ERROR.search(payload) or _API_ERROR_STATUS.search(payload)
        if found is not None:
            return found[1].decode("ascii")
    return None


def _requires_tls(said: bytes) -> bool:
    return re.search(rb'"tls_required"\s*:\s*true', said) is not None

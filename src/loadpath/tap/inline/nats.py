"""NATS in line: what a client publishes, by its subject, and what answers that.

There is no answer to a publish but that of JetStream, or of whoever replies. A message that is
dropped is therefore missed by nobody who does not wait for an answer; who does hears nothing.
"""

from __future__ import annotations

from typing import Final

from loadpath.tap import orders
from loadpath.tap.inline.core import Cutter, Wire
from loadpath.wire.nats_frames import CLIENTS, SERVERS, FrameReader

_SIZES: Final = {b"PUB": 1, b"HPUB": 2}
_DELIVERIES: Final = frozenset((b"MSG", b"HMSG"))
_MUTED_MAX: Final = 10_000


class NatsCore:
    """One connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._asked = FrameReader(CLIENTS)
        self._told = FrameReader(SERVERS)
        self._requests = Cutter()
        self._replies = Cutter()
        self._muted: dict[bytes, None] = {}
        self._errors = b""

    @property
    def idle(self) -> bool:
        return not len(self._requests) and not len(self._replies) and not self._muted

    def unsent(self) -> bytes:
        return self._requests.take()

    def unsaid(self) -> bytes:
        return self._replies.take()

    def requests(self, data: bytes) -> None:
        self._requests.add(data)
        for frame in self._asked.feed(data, 0.0):
            raw = self._requests.cut(frame.size_bytes)
            if frame.operation in _SIZES:
                self._publish(frame.words[: -_SIZES[frame.operation]], raw)
            else:
                self._wire.to_server(raw)

    def replies(self, data: bytes) -> None:
        self._replies.add(data)
        for frame in self._told.feed(data, 0.0):
            raw = self._replies.cut(frame.size_bytes)
            if frame.operation in _DELIVERIES and frame.words and frame.words[0] in self._muted:
                del self._muted[frame.words[0]]
                continue
            self._wire.to_client(raw)
        self._say_errors()

    def _publish(self, subjects: list[bytes], raw: bytes) -> None:
        subject = subjects[0].decode("utf-8", "backslashreplace")
        answer = subjects[1] if len(subjects) == 2 else b""
        taking = self._wire.choose("PUB", subject, answered=bool(answer))
        match None if taking is None else taking.order:
            case orders.DropRequest():
                return
            case orders.DropReply():
                if len(self._muted) > _MUTED_MAX:
                    self._muted.pop(next(iter(self._muted)))
                self._muted[answer] = None
            case orders.DelayUnit(delay_s=delay_s):
                self._wire.wait(delay_s)
            case orders.Duplicate():
                self._wire.to_server(raw)
            case orders.Fail():
                said = f"-ERR 'Permissions Violation for Publish to \"{subject}\"'\r\n"
                self._errors += said.encode()
                self._say_errors()
                return
        self._wire.to_server(raw)

    def _say_errors(self) -> None:
        """Errors come between the server's messages."""
        if self._errors and not len(self._replies):
            said, self._errors = self._errors, b""
            self._wire.to_client(said)

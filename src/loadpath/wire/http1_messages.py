"""HTTP/1.1 messages, one after the other, out of bytes: heads are handed on, bodies are counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from loadpath.wire.digest import Digest
from loadpath.wire.http1_heads import Framing
from loadpath.wire.unreadable import ENCRYPTED, UnreadableError, is_encrypted, shown

HEAD_BYTES_MAX: Final = 64 * 1024
CHUNK_LINE_BYTES_MAX: Final = 4 * 1024

_HEAD_END = re.compile(rb"\n\r?\n")
_HEX = frozenset(b"0123456789abcdefABCDEF")


class _Phase(IntEnum):
    HEAD = 0
    LENGTH = 1
    TO_CLOSE = 2
    CHUNK_SIZE = 3
    CHUNK = 4
    CHUNK_END = 5
    TRAILERS = 6


class Message(NamedTuple):
    """A whole message: its size with the head, a digest of its body, its first byte's time."""

    size_bytes: int
    digest: int
    first_byte_s: float


class MessageReader:
    """Takes pieces cut anywhere. `begin` is given each head with the time of its first byte, and
    says how that message ends.

    `starts` is what every first line starts with, if it always is the same. A message after which
    the reader was told to `stop` is the last one that it reads; `dropped` says whether more came.
    """

    __slots__ = (
        "_begin",
        "_digest",
        "_first_s",
        "_held",
        "_left",
        "_phase",
        "_size",
        "_starts",
        "_trailers",
        "dropped",
        "stop",
    )

    def __init__(self, begin: Callable[[bytes, float], Framing], starts: bytes = b"") -> None:
        self._begin = begin
        self._starts = starts
        self._held = b""
        self._phase = _Phase.HEAD
        self._left = 0
        self.stop = False
        self.dropped = False
        self._renew()

    def _renew(self) -> None:
        self._phase = _Phase.HEAD
        self._first_s: float | None = None
        self._digest = Digest()
        self._size = 0
        self._trailers = 0

    @property
    def between(self) -> bool:
        """Whether nothing of a message has come that is not whole."""
        return self._first_s is None and not self._held

    @property
    def in_body(self) -> bool:
        """Whether something of a body has come, which is not whole."""
        return self._phase is not _Phase.HEAD and bool(self._held or self._digest.value)

    def feed(self, data: bytes, at_s: float) -> Iterator[Message]:
        """The messages that are whole by now. Raises `UnreadableError` when one is none."""
        if self._held:
            data = self._held + data
            self._held = b""
        at = 0
        size = len(data)
        while at < size:
            if self.stop:
                self.dropped = True
                return
            if self._first_s is None:
                while at < size and data[at] in b"\r\n":
                    at += 1  # empty lines between messages count for nothing (section 2.2)
                if at == size:
                    return
                self._first_s = at_s
            after, whole = self._read(data, at)
            if after < 0:
                self._held = data[at:]
                return
            self._size += after - at
            at = after
            if whole:
                yield self._whole()

    def end(self) -> Message | None:
        """The connection was closed: the message that ended by that."""
        return self._whole() if self._phase is _Phase.TO_CLOSE else None

    def _whole(self) -> Message:
        assert self._first_s is not None
        message = Message(self._size, self._digest.value, self._first_s)
        self._renew()
        return message

    def _read(self, data: bytes, at: int) -> tuple[int, bool]:
        """Where what stands here ends (−1: not in this piece), and whether the message does."""
        if self._phase is _Phase.HEAD:
            return self._read_head(data, at)
        if self._phase is _Phase.TO_CLOSE:
            self._digest.add(data[at:])
            return len(data), False
        if self._phase is _Phase.LENGTH or self._phase is _Phase.CHUNK:
            piece = data[at : at + self._left]
            self._digest.add(piece)
            self._left -= len(piece)
            if self._left:
                return len(data), False
            whole = self._phase is _Phase.LENGTH
            self._phase = _Phase.CHUNK_END
            return at + len(piece), whole
        return self._read_line(data, at)

    def _read_head(self, data: bytes, at: int) -> tuple[int, bool]:
        if is_encrypted(data[at : at + 2]):
            raise UnreadableError(ENCRYPTED)
        if data[at : at + len(self._starts)] != self._starts[: len(data) - at]:
            raise UnreadableError("expected a status line of HTTP/1.1, got something else")
        found = _HEAD_END.search(data, at)
        end = found.end() if found is not None else len(data)
        if end - at > HEAD_BYTES_MAX:
            raise UnreadableError(f"a head of more than {HEAD_BYTES_MAX} bytes")
        if found is None:
            return -1, False
        assert self._first_s is not None
        framing = self._begin(data[at:end], self._first_s)
        if framing.chunked:
            self._phase = _Phase.CHUNK_SIZE
        elif framing.length is None:
            self._phase = _Phase.TO_CLOSE
        else:
            self._phase = _Phase.LENGTH
            self._left = framing.length
        return end, framing.length == 0

    def _read_line(self, data: bytes, at: int) -> tuple[int, bool]:
        """The lines around chunks: a size, the end of a chunk, trailers."""
        end = data.find(b"\n", at)
        if (end if end >= 0 else len(data)) - at > CHUNK_LINE_BYTES_MAX:
            raise UnreadableError(f"a chunk's line of more than {CHUNK_LINE_BYTES_MAX} bytes")
        if end < 0:
            return -1, False
        line = data[at : end + 1]
        if self._phase is _Phase.TRAILERS:
            self._trailers += len(line)
            if self._trailers > HEAD_BYTES_MAX:
                raise UnreadableError(f"trailers of more than {HEAD_BYTES_MAX} bytes")
            return end + 1, line in {b"\r\n", b"\n"}
        # Elsewhere no line ends but with both (section 7.1): a lone LF is how requests are hidden.
        if line[-2:] != b"\r\n":
            raise UnreadableError(f"expected a chunk's line, got {shown(line)}")
        if self._phase is _Phase.CHUNK_END:
            if line != b"\r\n":
                raise UnreadableError(f"expected the end of a chunk, got {shown(line)}")
            self._phase = _Phase.CHUNK_SIZE
            return end + 1, False
        digits = line.partition(b";")[0].strip(b" \t\r\n")
        if not digits or len(digits) > 15 or not _HEX.issuperset(digits):
            raise UnreadableError(f"expected the size of a chunk, got {shown(line)}")
        self._left = int(digits, 16)
        self._phase = _Phase.CHUNK if self._left else _Phase.TRAILERS
        return end + 1, False

"""Where a reply ends: HTTP/1.1 framing, bytes in, a finished reply out. Pure, no IO.

Only what framing takes is read (RFC 9112, section 6); the engine sends one request at a time on a
connection, so bytes after a reply are a fault of the service.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import msgspec

HEAD_BYTES_MAX = 64 * 1024
INTERIM_REPLIES_MAX = 32
CHUNK_LINE_BYTES_MAX = 4 * 1024
START_BYTES = 600

_END = b"\r\n\r\n"
_STATUS_LINES = {
    b"HTTP/1.%d %d%b" % (minor, status, after): status
    for minor in (0, 1)
    for status in range(100, 1000)
    for after in (b" ", b"\r")
}
_HEX = frozenset(b"0123456789abcdefABCDEF")


class Hasher(Protocol):
    """What digests a body."""

    def update(self, data: bytes, /) -> None:
        """Take the next of its bytes."""


class FramingError(Exception):
    """What came is not a reply in HTTP/1.1; the message says where it is not."""


class Framing(msgspec.Struct, frozen=True):
    """What a head says of its reply. `length` None: up to the end of the connection."""

    status: int
    length: int | None
    chunked: bool
    reusable: bool


class _Phase(IntEnum):
    HEAD = 0
    LENGTH = 1
    TO_CLOSE = 2
    CHUNK_SIZE = 3
    CHUNK = 4
    CHUNK_END = 5
    TRAILERS = 6
    DONE = 7


def parse_head(head: bytes, *, to_head_request: bool = False) -> Framing:
    """What a whole head (its blank line included) says. Raises `FramingError`."""
    status = _STATUS_LINES.get(head[:13])
    if status is None:
        raise FramingError(f"expected a status line of HTTP/1.1, got {head[:60]!r}")
    low = head.lower()
    reusable = _reusable(low)
    if status < 200 or status in {204, 304} or to_head_request:
        return Framing(status, 0, False, reusable)
    # A chunked body overrules a length (RFC 9112, section 6.3).
    coding = _value(low, b"\r\ntransfer-encoding:")
    if coding is not None:
        last = coding.rpartition(b",")[2].strip()
        if last == b"chunked":
            return Framing(status, None, True, reusable)
        return Framing(status, None, False, False)
    length = _length(low)
    return Framing(status, length, False, reusable and length is not None)


def _reusable(low: bytes) -> bool:
    """Whether the connection stays open after this reply."""
    at = low.find(b"\r\nconnection:")
    if at < 0:
        return low[7:8] != b"0"
    options = []
    while at >= 0:
        end = low.find(b"\r", at + 2)
        options += [option.strip() for option in low[at + 13 : end].split(b",")]
        at = low.find(b"\r\nconnection:", end)
    if b"close" in options:
        return False
    return low[7:8] != b"0" or b"keep-alive" in options


def _length(low: bytes) -> int | None:
    at = low.find(b"\r\ncontent-length:")
    if at < 0:
        return None
    end = low.find(b"\r", at + 2)
    values = low[at + 17 : end].strip()
    again = low.find(b"\r\ncontent-length:", end)
    while again >= 0:
        end = low.find(b"\r", again + 2)
        values += b"," + low[again + 17 : end].strip()
        again = low.find(b"\r\ncontent-length:", end)
    if b"," in values:
        different = {value.strip() for value in values.split(b",")}
        if len(different) > 1:
            raise FramingError(f"two different lengths, {values[:60]!r}")
        values = different.pop()
    if not values.isdigit() or len(values) > 18:
        raise FramingError(f"expected a Content-Length in digits, got {values[:60]!r}")
    return int(values)


def _value(low: bytes, name: bytes) -> bytes | None:
    """All values of a header, comma-joined; None when it is absent."""
    at = low.find(name)
    if at < 0:
        return None
    values = []
    while at >= 0:
        end = low.find(b"\r", at + 2)
        values.append(low[at + len(name) : end].strip())
        at = low.find(name, end)
    return b",".join(values)


class ReplyReader:
    """Reads one reply from pieces of any size.

    `feed` returns True when the reply is whole. Then, and after an error, `status` (0: none yet),
    `head`, `body` (empty unless kept), `received` bytes and `reusable` say what came; `start` is
    the beginning of what was received. With `upgrade`, a reply of 101 is whole with its head, and
    `rest` is what came after it. A `hasher` takes the body as it comes, whether it is kept or not.
    """

    __slots__ = (
        "_interim",
        "_keep_max",
        "_left",
        "_line",
        "_parts",
        "_phase",
        "_size",
        "_to_head_request",
        "_upgrade",
        "hasher",
        "head",
        "received",
        "rest",
        "reusable",
        "start",
        "status",
    )

    def __init__(
        self,
        *,
        to_head_request: bool = False,
        keep_body_max: int = 0,
        upgrade: bool = False,
        hasher: Hasher | None = None,
    ) -> None:
        self.hasher = hasher
        self._to_head_request = to_head_request
        self._upgrade = upgrade
        self.rest = b""
        self._keep_max = keep_body_max
        self._phase = _Phase.HEAD
        self._line = b""  # a head or chunk line of which the end has not come
        self._left = 0  # bytes to come of the body, or of the chunk
        self._parts: list[bytes] = []
        self._size = 0
        self._interim = 0
        self.status = 0
        self.head = b""
        self.received = 0
        self.reusable = False
        self.start = b""

    @property
    def body(self) -> bytes:
        """The body, as far as it was kept."""
        return b"".join(self._parts)

    def feed(self, data: bytes) -> bool:
        """Take what was received next. Raises `FramingError`; the connection is then of no use."""
        self.received += len(data)
        if len(self.start) < START_BYTES:
            self.start += data[: START_BYTES - len(self.start)]
        at = 0
        size = len(data)
        while at < size:
            if self._phase is _Phase.HEAD:
                at = self._read_head(data, at)
            elif self._phase is _Phase.LENGTH or self._phase is _Phase.CHUNK:
                at = self._read_counted(data, at)
            elif self._phase is _Phase.TO_CLOSE:
                self._keep(data[at:])
                return False
            elif self._phase is _Phase.DONE:
                self.reusable = False
                raise FramingError(f"{size - at} bytes more than the reply should have")
            else:
                at = self._read_line(data, at)
        return self._phase is _Phase.DONE

    def end(self) -> bool:
        """The connection was closed. Whether the reply is whole by that."""
        if self._phase is _Phase.TO_CLOSE:
            self._phase = _Phase.DONE
        return self._phase is _Phase.DONE

    def _read_head(self, data: bytes, at: int) -> int:
        line = self._line
        held = line + data[at:]
        # The end may lie across the two pieces; look no further back than that.
        found = held.find(_END, max(0, len(line) - 3))
        if (found if found >= 0 else len(held)) > HEAD_BYTES_MAX:
            raise FramingError(f"a head of more than {HEAD_BYTES_MAX} bytes")
        if found < 0:
            if held[:5] != b"HTTP/"[: len(held)]:
                raise FramingError(f"expected a status line of HTTP/1.1, got {held[:60]!r}")
            self._line = held
            return len(data)
        self._line = b""
        head = held[: found + 4]
        framing = parse_head(head, to_head_request=self._to_head_request)
        if framing.status < 200:
            self._interim += 1
            if framing.status == 101 and self._upgrade:
                self.status, self.head, self.rest = 101, head, held[found + 4 :]
                self._phase = _Phase.DONE
                return len(data)
            if framing.status == 101:
                raise FramingError("101: it wants to speak another protocol")
            if self._interim > INTERIM_REPLIES_MAX:
                raise FramingError("no end of 1xx replies")
        else:
            self.status = framing.status
            self.head = head
            self.reusable = framing.reusable
            self._begin_body(framing)
        return at + len(head) - len(line)

    def _begin_body(self, framing: Framing) -> None:
        if framing.chunked:
            self._phase = _Phase.CHUNK_SIZE
        elif framing.length is None:
            self._phase = _Phase.TO_CLOSE
        elif framing.length == 0:
            self._phase = _Phase.DONE
        else:
            self._phase = _Phase.LENGTH
            self._left = framing.length

    def _read_counted(self, data: bytes, at: int) -> int:
        take = min(self._left, len(data) - at)
        if self._keep_max or self.hasher is not None:
            self._keep(data[at : at + take])
        self._left -= take
        if self._left == 0:
            self._phase = _Phase.DONE if self._phase is _Phase.LENGTH else _Phase.CHUNK_END
        return at + take

    def _read_line(self, data: bytes, at: int) -> int:
        """The lines around chunks: a size, the end of a chunk, trailers."""
        end = data.find(b"\n", at)
        if end < 0:
            self._line += data[at:]
            if len(self._line) > CHUNK_LINE_BYTES_MAX:
                raise FramingError("a chunk line without an end")
            return len(data)
        line = self._line + data[at : end + 1]
        self._line = b""
        if line[-2:] != b"\r\n" or len(line) > CHUNK_LINE_BYTES_MAX:
            raise FramingError(f"expected a chunk line, got {line[:60]!r}")
        if self._phase is _Phase.CHUNK_SIZE:
            self._chunk_size(line)
        elif self._phase is _Phase.CHUNK_END:
            if line != b"\r\n":
                raise FramingError(f"expected the end of a chunk, got {line[:60]!r}")
            self._phase = _Phase.CHUNK_SIZE
        elif line == b"\r\n":
            self._phase = _Phase.DONE
        else:
            self._left += len(line)
            if self._left > HEAD_BYTES_MAX:
                raise FramingError("no end of trailers")
        return end + 1

    def _chunk_size(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip(b" \t\r\n")
        if not digits or len(digits) > 15 or not _HEX.issuperset(digits):
            raise FramingError(f"expected the size of a chunk, got {line[:60]!r}")
        self._left = int(digits, 16)
        self._phase = _Phase.CHUNK if self._left else _Phase.TRAILERS

    def _keep(self, data: bytes) -> None:
        if self.hasher is not None:
            self.hasher.update(data)
        if not self._keep_max or not data:
            return
        self._size += len(data)
        if self._size > self._keep_max:
            raise FramingError(f"a body of more than {self._keep_max} bytes, which a flow may read")
        self._parts.append(data)

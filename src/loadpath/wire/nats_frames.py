"""Messages of the NATS protocol out of bytes: a line each, behind some of them a payload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from loadpath.wire.digest import Digest, digest_of
from loadpath.wire.unreadable import ENCRYPTED, UnreadableError, is_encrypted, shown, whole_number

LINE_BYTES_MAX: Final = 64 * 1024
"""Servers take 4 KiB of most lines, and more of CONNECT; what a server says of itself is longer."""
KEPT_BYTES: Final = 512
"""The beginning of a payload that is kept until its message is whole."""
SUBJECT_BYTES_MAX: Final = 4096

# What stands behind the name: at least and at most so many words, the last ones the sizes of the
# headers (if there are some) and of everything.
_PAYLOADS = {b"PUB": (2, 3), b"HPUB": (3, 4), b"MSG": (3, 4), b"HMSG": (4, 5)}
_OF_BOTH = frozenset((b"PING", b"PONG", b"INFO"))
CLIENTS: Final = frozenset((b"CONNECT", b"PUB", b"HPUB", b"SUB", b"UNSUB", b"-ERR")) | _OF_BOTH
SERVERS: Final = frozenset((b"MSG", b"HMSG", b"+OK", b"-ERR")) | _OF_BOTH


class Frame(NamedTuple):
    """A whole message: its operation, its words, how its payload begins, a digest of all of it."""

    operation: bytes
    words: list[bytes]
    payload: bytes
    digest: int
    size_bytes: int
    first_byte_s: float


class FrameReader:
    """Takes pieces cut anywhere. `known` are the operations that this side may send."""

    __slots__ = ("_digest", "_first_s", "_frame", "_held", "_known", "_size", "_skip", "_value")

    def __init__(self, known: frozenset[bytes]) -> None:
        self._known = known
        self._held = b""
        self._first_s: float | None = None
        self._begin()

    @property
    def between(self) -> bool:
        """Whether nothing of a message has come that is not whole."""
        return self._first_s is None and not self._held

    def _begin(self) -> None:
        self._frame: tuple[bytes, list[bytes], bytes] | None = None
        self._digest = Digest()
        self._value = 0
        self._size = 0
        self._skip = 0  # bytes to come of a payload, with its end of line

    def feed(self, data: bytes, at_s: float) -> Iterator[Frame]:
        """The messages that are whole by now. Raises `UnreadableError` when one is none."""
        if self._held:
            data = self._held + data
            self._held = b""
        at = 0
        size = len(data)
        while at < size:
            if self._first_s is None:
                self._first_s = at_s
            after = self._pass_over(data, at) if self._skip else self._read(data, at)
            if after < 0:
                self._held = data[at:]
                return
            self._size += after - at
            at = after
            if self._skip == 0:
                assert self._frame is not None
                operation, words, payload = self._frame
                frame = Frame(operation, words, payload, self._value, self._size, self._first_s)
                self._first_s = None
                self._begin()
                yield frame

    def _read(self, data: bytes, at: int) -> int:
        """A line and the beginning of what belongs to it. −1: they are not whole."""
        end = data.find(b"\n", at)
        if is_encrypted(data[at : at + 2]):
            raise UnreadableError(ENCRYPTED)
        if (end if end >= 0 else len(data)) - at > LINE_BYTES_MAX:
            raise UnreadableError(f"a line of more than {LINE_BYTES_MAX} bytes")
        if end < 0:
            return -1
        line = data[at : end - 1 if data[end - 1 : end] == b"\r" else end]
        words = line.split(None, 1)
        operation = words[0].upper() if words else b""
        if operation not in self._known:
            raise UnreadableError(f"expected an operation of NATS, got {shown(line)}")
        if operation not in _PAYLOADS:
            self._frame = operation, words[1:], b""
            return end + 1
        words = line.split()[1:]
        least, most = _PAYLOADS[operation]
        length = whole_number(words[-1]) if least <= len(words) <= most else None
        if length is None:
            raise UnreadableError(f"expected a subject and a size, got {shown(line)}")
        start = end + 1
        stop = start + min(length, KEPT_BYTES)
        if stop > len(data):
            return -1
        payload = data[start:stop]
        if length == len(payload) and data[stop : stop + 2] == b"\r\n":
            # Mostly a message is short and whole.
            self._frame = operation, words, payload
            self._value = digest_of(payload)
            return stop + 2
        self._digest.add(payload)
        self._frame = operation, words, payload
        self._skip = length - len(payload) + 2
        return stop

    def _pass_over(self, data: bytes, at: int) -> int:
        """More of a payload, or the end of its line."""
        if self._skip > 2:
            piece = data[at : at + self._skip - 2]
            self._digest.add(piece)
            self._skip -= len(piece)
            return at + len(piece)
        if len(data) - at < 2:
            return -1
        if data[at : at + 2] != b"\r\n":
            raise UnreadableError("a payload that is longer than it says")
        self._skip = 0
        self._value = self._digest.value
        return at + 2

"""Redis replies out of the bytes that a server sends, RESP2 and RESP3 alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from zlib import crc32

from loadpath.wire.unreadable import UnreadableError, shown, whole_number

LINE_BYTES_MAX: Final = 64 * 1024
WORDS_KEPT: Final = 3
"""The elements of a message that say what it is: its kind, its channel, a count."""
_WORD_BYTES_MAX = 1024
_BEGINNING_BYTES = 64
_DEPTH_MAX = 1024

ARRAY: Final = ord("*")
PUSH: Final = ord(">")
ERROR: Final = ord("-")
LONG_ERROR: Final = ord("!")
STRING: Final = ord("$")

_LINES = frozenset(b"+-:_#,(")
_STRINGS = frozenset(b"$!=;")
_MAP = ord("%")
_AGGREGATES = frozenset((ARRAY, PUSH, _MAP, ord("~")))
_ATTRIBUTE = ord("|")
_CHUNK = ord(";")
_END = ord(".")

# What an open aggregate still misses is a number; these mark the others.
_STREAMED = -1
_STREAMED_STRING = -2
_OF_ATTRIBUTE = 1 << 61  # is added: attributes stand before an element and are none


class Reply(NamedTuple):
    """A whole reply: its type, the beginning of its first line or string, its first elements.

    `crc` is of its bytes, where that was asked for; else 0.
    """

    kind: int
    beginning: bytes
    words: list[bytes]
    size_bytes: int
    first_byte_s: float
    crc: int


class ReplyReader:
    """Takes pieces cut anywhere. `between`: nothing of a reply has come that is not whole.

    Strings are counted, not kept, however long. Types nest up to a depth at which no server's do.
    """

    __slots__ = (
        "_beginning",
        "_crc",
        "_digests",
        "_first_s",
        "_held",
        "_kind",
        "_open",
        "_size",
        "_skip",
        "_words",
        "between",
    )

    def __init__(self, *, digests: bool = False) -> None:
        self._digests = digests
        self._held = b""
        self._open: list[int] = []
        self._begin(0.0)
        self.between = True

    def _begin(self, at_s: float) -> None:
        self.between = False
        self._first_s = at_s
        self._size = self._crc = 0
        self._skip = 0  # bytes to come of a long string, with its end of line
        self._kind = 0
        self._beginning = b""
        self._words: list[bytes] = []

    def feed(self, data: bytes, at_s: float) -> Iterator[Reply]:
        """The replies that are whole by now. Raises `UnreadableError` when one is none."""
        if self._held:
            data = self._held + data
            self._held = b""
        at = 0
        size = len(data)
        while at < size:
            if self.between:
                self._begin(at_s)
            after, whole = self._pass_over(data, at) if self._skip else self._read(data, at)
            if after < 0:
                self._held = data[at:]
                return
            self._size += after - at
            if self._digests:
                self._crc = crc32(data[at:after], self._crc)
            at = after
            if whole:
                self.between = True
                yield Reply(
                    self._kind,
                    self._beginning,
                    self._words,
                    self._size,
                    self._first_s,
                    self._crc,
                )

    def _read(self, data: bytes, at: int) -> tuple[int, bool]:
        """One element, or the head of one: where it ends (−1: not here), whether all is whole."""
        end = data.find(b"\r\n", at)
        if (end if end >= 0 else len(data)) - at > LINE_BYTES_MAX:
            raise UnreadableError(f"a reply with a line of more than {LINE_BYTES_MAX} bytes")
        if end < 0:
            return -1, False
        kind = data[at]
        line = data[at + 1 : end]
        if not self._open and kind != _ATTRIBUTE:
            self._kind = kind
            self._beginning = line[:_BEGINNING_BYTES]
        after = end + 2
        if self._open and self._open[-1] == _STREAMED_STRING and kind != _CHUNK:
            raise UnreadableError(f"expected more of a streamed string, got {shown(data[at:end])}")
        if kind in _LINES:
            return after, self._element(line)
        if kind in _STRINGS:
            return self._read_string(data, at, kind, line)
        if kind == _END and line == b"" and self._open and self._open[-1] == _STREAMED:
            self._open.pop()
            return after, self._element(b"", ended=True)
        if kind == _ATTRIBUTE or kind in _AGGREGATES:
            return after, self._read_aggregate(kind, line)
        raise UnreadableError(f"expected a reply of Redis, got {shown(data[at:end])}")

    def _read_aggregate(self, kind: int, line: bytes) -> bool:
        if len(self._open) >= _DEPTH_MAX:
            raise UnreadableError(f"a reply nested deeper than {_DEPTH_MAX}")
        if line == b"?" and kind != _ATTRIBUTE:
            self._word(b"")
            self._open.append(_STREAMED)
            return False
        if line == b"-1" and kind == ARRAY:
            return self._element(b"")
        count = whole_number(line)
        if count is None:
            raise UnreadableError(f"expected the number of elements, got {shown(line)}")
        if kind in {_MAP, _ATTRIBUTE}:
            count *= 2
        if kind == _ATTRIBUTE:
            if count:
                self._open.append(count + _OF_ATTRIBUTE)
            return False
        if count == 0:
            return self._element(b"")
        self._word(b"")
        self._open.append(count)
        return False

    def _read_string(self, data: bytes, at: int, kind: int, line: bytes) -> tuple[int, bool]:
        start = at + len(line) + 3
        if kind == STRING:
            if line == b"-1":
                return start, self._element(b"")
            if line == b"?":
                self._open.append(_STREAMED_STRING)
                return start, False
        length = whole_number(line)
        if length is None:
            raise UnreadableError(f"expected the length of a string, got {shown(line)}")
        if kind == _CHUNK:
            if not self._open or self._open[-1] != _STREAMED_STRING:
                raise UnreadableError("a piece of a streamed string where none had begun")
            if length == 0:
                self._open.pop()
                return start, self._element(b"")
        if length > _WORD_BYTES_MAX:
            stop = start + _BEGINNING_BYTES
            if stop > len(data):
                return -1, False
            if len(self._open) == 0:
                self._beginning = data[start:stop]
            self._skip = length - _BEGINNING_BYTES + 2
            return stop, False
        stop = start + length
        if stop + 2 > len(data):
            return -1, False
        if data[stop : stop + 2] != b"\r\n":
            raise UnreadableError("a string that is longer than it says")
        if kind == _CHUNK:
            return stop + 2, False
        word = data[start:stop]
        if len(self._open) == 0:
            self._beginning = word[:_BEGINNING_BYTES]
        return stop + 2, self._element(word)

    def _pass_over(self, data: bytes, at: int) -> tuple[int, bool]:
        """More of a long string, or the end of its line."""
        if self._skip > 2:
            take = min(self._skip - 2, len(data) - at)
            self._skip -= take
            return at + take, False
        if len(data) - at < 2:
            return -1, False
        if data[at : at + 2] != b"\r\n":
            raise UnreadableError("a string that is longer than it says")
        self._skip = 0
        if self._open and self._open[-1] == _STREAMED_STRING:
            return at + 2, False
        return at + 2, self._element(b"")

    def _word(self, word: bytes) -> None:
        if len(self._open) == 1 and len(self._words) < WORDS_KEPT and self._kind in {ARRAY, PUSH}:
            self._words.append(word)

    def _element(self, word: bytes, *, ended: bool = False) -> bool:
        """An element is whole, `ended` one that has been noted when it began. Is the reply?"""
        opened = self._open
        if len(opened) == 1 and not ended:
            self._word(word)
        while opened:
            if opened[-1] == _STREAMED:
                return False
            opened[-1] -= 1
            if opened[-1] == _OF_ATTRIBUTE:
                opened.pop()
                return False
            if opened[-1]:
                return False
            opened.pop()
        return True

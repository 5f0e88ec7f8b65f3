"""Redis commands out of the bytes that a client sends, in either of their two forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from zlib import crc32

from loadpath.wire.resp_commands import ARGUMENTS_KEPT
from loadpath.wire.unreadable import ENCRYPTED, UnreadableError, is_encrypted, shown, whole_number

LINE_BYTES_MAX: Final = 64 * 1024
"""As servers have it for inline commands."""
KEPT_BYTES: Final = 1024
"""Of an argument; what is longer is hashed as it passes by."""
_HEADER_BYTES_MAX = 32

_WORD = re.compile(rb'(?:[^\s"\']|"(?:\\.|[^"\\])*"|\'(?:[^\'\\]|\\.)*\')+', re.DOTALL)
_QUOTED = re.compile(rb'"((?:\\.|[^"\\])*)"|\'((?:[^\'\\]|\\.)*)\'|([^"\']+)', re.DOTALL)


class Request(NamedTuple):
    """A whole command: its first arguments, how many there were, a hash of the rest, its size."""

    arguments: list[bytes]
    total: int
    rest: int
    size_bytes: int
    began_s: float


class RequestReader:
    """Takes pieces cut anywhere. `between`: nothing of a command has come that is not whole."""

    __slots__ = (
        "_arguments",
        "_began_s",
        "_count",
        "_crc",
        "_held",
        "_long",
        "_missing",
        "_rest",
        "_size",
        "_skip",
        "between",
    )

    def __init__(self) -> None:
        self.between = True
        self._held = b""  # the beginning of an element of which the end has not come
        self._began_s: float | None = None
        self._begin(0, 0)

    def _begin(self, count: int, size: int) -> None:
        self._arguments: list[bytes] = []
        self._count = count
        self._missing = count
        self._rest = 0
        self._size = size
        self._skip = 0  # bytes to come of a long argument, with its end of line
        self._long = 0
        self._crc = 0

    def feed(self, data: bytes, at_s: float) -> Iterator[Request]:
        """The commands that are whole by now. Raises `UnreadableError` when one is none."""
        if self._held:
            data = self._held + data
            self._held = b""
        at = 0
        size = len(data)
        while at < size:
            if self._skip:
                after = self._pass_over(data, at)
            elif self._missing:
                after = self._read_argument(data, at)
            else:
                if self._began_s is None:
                    self._began_s = at_s
                    self.between = False
                after = self._read_line(data, at)
            if after < 0:
                self._held = data[at:]
                return
            at = after
            if self._missing == 0 and self._skip == 0:
                if self._count:
                    assert self._began_s is not None
                    yield Request(
                        self._arguments, self._count, self._rest, self._size, self._began_s
                    )
                    self._begin(0, 0)
                self._began_s = None
                self.between = True

    def _read_line(self, data: bytes, at: int) -> int:
        """The first line of a command, which may be all of it. −1: it is not whole."""
        end = data.find(b"\n", at)
        if is_encrypted(data[at : at + 2]):
            raise UnreadableError(ENCRYPTED)
        if (end if end >= 0 else len(data)) - at > LINE_BYTES_MAX:
            raise UnreadableError(f"a command in a line of more than {LINE_BYTES_MAX} bytes")
        if end < 0:
            return -1
        line = data[at : end - 1 if data[end - 1 : end] == b"\r" else end]
        if line[:1] == b"*":
            count = whole_number(line[1:])
            if count is None and line != b"*-1":
                raise UnreadableError(
                    f"expected the number of a command's arguments, got {shown(line)}"
                )
            self._begin(count or 0, end + 1 - at)
            return end + 1
        words = inline_words(line)
        if words is None:
            raise UnreadableError(f"an inline command with a quote left open: {shown(line)}")
        self._begin(len(words), end + 1 - at)
        for word in words:
            self._keep(word[:KEPT_BYTES])
            if len(word) > KEPT_BYTES:
                rest = word[KEPT_BYTES:]
                self._rest = hash((self._rest, crc32(rest), len(rest)))
        return end + 1

    def _read_argument(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at, at + _HEADER_BYTES_MAX)
        if end < 0:
            if data[at] != 36 or len(data) - at >= _HEADER_BYTES_MAX:
                raise UnreadableError(f"expected an argument's length, got {shown(data[at:])}")
            return -1
        length = whole_number(data[at + 1 : end])
        if data[at] != 36 or length is None:  # 36: $
            raise UnreadableError(f"expected an argument's length, got {shown(data[at:end])}")
        start = end + 2
        if length > KEPT_BYTES:
            stop = start + KEPT_BYTES
            if stop > len(data):
                return -1
            self._long = length - KEPT_BYTES
            self._skip = self._long + 2
            self._crc = 0
            self._size += stop - at
            self._keep(data[start:stop])
            return stop
        stop = start + length
        if stop + 2 > len(data):
            return -1
        if data[stop : stop + 2] != b"\r\n":
            raise UnreadableError("an argument that is longer than it says")
        self._size += stop + 2 - at
        self._keep(data[start:stop])
        return stop + 2

    def _keep(self, argument: bytes) -> None:
        if len(self._arguments) < ARGUMENTS_KEPT:
            self._arguments.append(argument)
        else:
            self._rest = hash((self._rest, argument))
        self._missing -= 1

    def _pass_over(self, data: bytes, at: int) -> int:
        """More of a long argument, or the end of its line."""
        if self._skip > 2:
            piece = data[at : at + self._skip - 2]
            self._crc = crc32(piece, self._crc)
            self._skip -= len(piece)
            self._size += len(piece)
            return at + len(piece)
        if len(data) - at < 2:
            return -1
        if data[at : at + 2] != b"\r\n":
            raise UnreadableError("an argument that is longer than it says")
        self._skip = 0
        self._size += 2
        self._rest = hash((self._rest, self._crc, self._long))
        return at + 2


def inline_words(line: bytes) -> list[bytes] | None:
    """The words of an inline command, quotes taken off as a server does; None: one is left open."""
    if b'"' not in line and b"'" not in line:
        return line.split()
    words = []
    at = 0
    while at < len(line):
        if line[at : at + 1].isspace():
            at += 1
            continue
        found = _WORD.match(line, at)
        if found is None or (found.end() < len(line) and not line[found.end() :][:1].isspace()):
            return None
        words.append(b"".join(_unquoted(part) for part in _QUOTED.finditer(found[0])))
        at = found.end()
    return words


def _unquoted(part: re.Match[bytes]) -> bytes:
    if part[1] is not None:
        return part[1].replace(b'\\"', b'"')
    if part[2] is not None:
        return part[2].replace(b"\\'", b"'")
    return part[3]

"""PostgreSQL's messages (protocol 3): where each begins and ends, and how long it may be.

This layer knows bytes, not meaning; `postgres.py` matches replies to requests on top of it. It is
apart because a relay that injects faults needs the boundaries alone: it feeds the same pieces to a
`MessageStream` of its own, and since a `Message` has its place in the buffer, the relay can pass on
everything up to the reply of the statement it is after, hold the rest back (delay), leave whole
messages out (drop), or put an ErrorResponse followed by a ReadyForQuery in their place (synthesize)
without ever cutting through one. Which message that is, the conversation says: its exchanges finish
in the order of the replies.

Memory is bounded: of a message longer than `KEPT_BYTES` only the beginning is kept, and a row is
never kept at all once it is longer than that.
"""

from __future__ import annotations

import hashlib
from struct import Struct
from typing import Final, TypeAlias

KEPT_BYTES: Final = 64 * 1024
"""Of one message, type and length included."""

HEADER = Struct(">BI").unpack_from
_LENGTH = Struct(">I").unpack_from

SMALL: Final = 30_000
"""No message but rows, errors, notices and notifications is longer, as libpq sees it too."""
LARGE: Final = 0x4000_0000
"""PostgreSQL refuses to make or to take a message longer than a gibibyte."""

TOKEN: Final = 0x1_0100
"""The longest token of GSSAPI, with room for its frame."""

# What a client sends. The first byte of a message is its type.
BIND: Final = ord("B")
CLOSE: Final = ord("C")
COPY_DATA: Final = ord("d")
COPY_DONE: Final = ord("c")
COPY_FAIL: Final = ord("f")
DESCRIBE: Final = ord("D")
EXECUTE: Final = ord("E")
FLUSH: Final = ord("H")
FUNCTION_CALL: Final = ord("F")
PARSE: Final = ord("P")
PASSWORD: Final = ord("p")
QUERY: Final = ord("Q")
SYNC: Final = ord("S")
TERMINATE: Final = ord("X")

# What a server sends; the letters mean other things in this direction.
AUTHENTICATION: Final = ord("R")
BACKEND_KEY: Final = ord("K")
BIND_COMPLETE: Final = ord("2")
CLOSE_COMPLETE: Final = ord("3")
COMMAND_COMPLETE: Final = ord("C")
COPY_BOTH: Final = ord("W")
COPY_IN: Final = ord("G")
COPY_OUT: Final = ord("H")
DATA_ROW: Final = ord("D")
EMPTY_QUERY: Final = ord("I")
ERROR: Final = ord("E")
FUNCTION_RESULT: Final = ord("V")
NEGOTIATE: Final = ord("v")
NO_DATA: Final = ord("n")
NOTICE: Final = ord("N")
NOTIFICATION: Final = ord("A")
PARAMETERS: Final = ord("t")
PARAMETER_STATUS: Final = ord("S")
PARSE_COMPLETE: Final = ord("1")
READY: Final = ord("Z")
ROW_DESCRIPTION: Final = ord("T")
SUSPENDED: Final = ord("s")

# The codes that stand where a StartupMessage has its version.
CANCEL_CODE: Final = 80877102
TLS_CODE: Final = 80877103
GSS_CODE: Final = 80877104

LONGEST_STARTUP: Final = 10_000

Limits: TypeAlias = dict[int, tuple[int, int]]

REQUESTS: Final[Limits] = {
    BIND: (12, LARGE),
    CLOSE: (6, SMALL),
    COPY_DATA: (4, LARGE),
    COPY_DONE: (4, 4),
    COPY_FAIL: (5, LARGE),
    DESCRIBE: (6, SMALL),
    EXECUTE: (9, SMALL),
    FLUSH: (4, 4),
    FUNCTION_CALL: (14, LARGE),
    PARSE: (8, LARGE),
    PASSWORD: (4, TOKEN),
    QUERY: (5, LARGE),
    SYNC: (4, 4),
    TERMINATE: (4, 4),
}
"""The least and the greatest length of each message of a client; the type byte is not counted."""

REPLIES: Final[Limits] = {
    AUTHENTICATION: (8, TOKEN),
    BACKEND_KEY: (8, 264),
    BIND_COMPLETE: (4, 4),
    CLOSE_COMPLETE: (4, 4),
    COMMAND_COMPLETE: (5, SMALL),
    COPY_BOTH: (7, SMALL),
    COPY_DATA: (4, LARGE),
    COPY_DONE: (4, 4),
    COPY_IN: (7, SMALL),
    COPY_OUT: (7, SMALL),
    DATA_ROW: (6, LARGE),
    EMPTY_QUERY: (4, 4),
    ERROR: (5, LARGE),
    FUNCTION_RESULT: (8, LARGE),
    NEGOTIATE: (12, SMALL),
    NO_DATA: (4, 4),
    NOTICE: (5, LARGE),
    NOTIFICATION: (10, LARGE),
    PARAMETERS: (6, LARGE),
    PARAMETER_STATUS: (6, SMALL),
    PARSE_COMPLETE: (4, 4),
    READY: (5, 5),
    ROW_DESCRIPTION: (6, LARGE),
    SUSPENDED: (4, 4),
}
"""The same for the messages of a server."""


Message: TypeAlias = tuple[int, bytes, int, int, int, float, int]
"""`(kind, buffer, start, stop, size_bytes, began_s, rest)`: plain, as it is made so often.

The body is `buffer[start:stop]`, or the beginning of it. `size_bytes` is the whole message with its
type and length; it is more than the body's where the message was too long to be kept (`rest` is
then a digest of what was not), and where rows that follow each other in one piece were put
together. `began_s` is when the first byte was read.
"""


class MessageStream:
    """One direction of a connection, past the startup packet, cut into messages.

    Once `trouble` is not None it says what no PostgreSQL sends, and nothing more comes out.
    `between` says whether the last piece ended where a message ends: then, and only then, whoever
    knows a whole piece at sight may leave it out.
    """

    def __init__(
        self, limits: Limits, sender: str, rows: int, *, digest_rows: bool = False
    ) -> None:
        """`rows` is the message that carries data by the thousand; nobody looks into it. With
        `digest_rows` one that is too long to be kept has a digest as its `rest`."""
        self.trouble: str | None = None
        self.between = True
        self._limits = limits
        self._sender = sender
        self._rows = rows
        self._undigested = -1 if digest_rows else rows
        self._began_s = 0.0
        # The beginning of a message that is not whole yet, and what is still to come of one that
        # is too long to be kept.
        self._held = bytearray()
        self._growing = bytearray()
        self._left = 0
        self._size = 0
        self._digest = hashlib.blake2b(digest_size=8)

    def feed(self, data: bytes, at_s: float) -> list[Message]:
        """The messages that end in this piece."""
        messages = self._feed(data, at_s)
        self.between = not self._left and not self._growing
        return messages

    def _feed(self, data: bytes, at_s: float) -> list[Message]:
        messages: list[Message] = []
        i = 0
        if self._left or self._growing:
            i = self._continue(data, at_s, messages)
            if i < 0:
                return messages
        limits, rows, end = self._limits, self._rows, len(data)
        while i + 5 <= end:
            kind, length = HEADER(data, i)
            limit = limits.get(kind)
            if limit is None or not limit[0] <= length <= limit[1]:
                self._fail(kind, length)
                return messages
            stop = i + length + 1
            if stop > end or length >= KEPT_BYTES:
                if length < KEPT_BYTES:
                    break
                i = self._begin_long(data, i, length + 1, at_s, messages)
                if i < 0:
                    return messages
                continue
            if kind == rows:
                # Rows come in runs: one message of the run's size is cheaper than one each.
                while stop + 5 <= end and data[stop] == rows:
                    length = _LENGTH(data, stop + 1)[0]
                    following = stop + length + 1
                    if length < limit[0] or following > end or length >= KEPT_BYTES:
                        break
                    stop = following
            messages.append((kind, data, i + 5, stop, stop - i, at_s, 0))
            i = stop
        if i < end:
            self._growing += data[i:]
            self._began_s = at_s
        return messages

    def _continue(self, data: bytes, at_s: float, messages: list[Message]) -> int:
        """Go on with the message that the last piece left unfinished.

        Returns where in `data` the next one begins, -1 when there is nothing more to read.
        """
        if self._left:
            return self._pass_over(data, 0, messages)
        growing, used = self._growing, 0
        if len(growing) < 5:
            used = 5 - len(growing)
            growing += data[:used]
            if len(growing) < 5:
                return -1
        kind: int
        length: int
        kind, length = HEADER(growing, 0)
        limit = self._limits.get(kind)
        if limit is None or not limit[0] <= length <= limit[1]:
            self._fail(kind, length)
            return -1
        used = min(used, len(data))
        if length >= KEPT_BYTES:
            whole = bytes(growing) + data[used:]
            self._growing = bytearray()
            before = len(growing) - used
            after = self._begin_long(whole, 0, length + 1, self._began_s, messages)
            return after - before if after >= 0 else -1
        missing = length + 1 - len(growing)
        growing += data[used : used + missing]
        if len(growing) <= length:
            return -1
        whole = bytes(growing)
        self._growing = bytearray()
        messages.append((kind, whole, 5, length + 1, length + 1, self._began_s, 0))
        return used + missing

    def _begin_long(
        self, data: bytes, start: int, size: int, at_s: float, messages: list[Message]
    ) -> int:
        kept = 5 if data[start] == self._rows else KEPT_BYTES
        self._held = bytearray(data[start : start + kept])
        self._size, self._left, self._began_s = size, size, at_s
        self._digest = hashlib.blake2b(digest_size=8)
        return self._pass_over(data, start, messages)

    def _pass_over(self, data: bytes, start: int, messages: list[Message]) -> int:
        """Read on in a message too long to be kept. Returns as `_continue` does."""
        done = self._size - self._left
        taken = min(self._left, len(data) - start)
        if self._held[0] != self._undigested:
            wanted = 5 if self._held[0] == self._rows else KEPT_BYTES
            kept = max(0, min(wanted - done, taken))
            if done and kept:
                self._held += data[start : start + kept]
            self._digest.update(memoryview(data)[start + kept : start + taken])
        self._left -= taken
        if self._left:
            return -1
        held, self._held = bytes(self._held), bytearray()
        rest = int.from_bytes(self._digest.digest(), "big")
        messages.append((held[0], held, 5, len(held), self._size, self._began_s, rest))
        return start + taken

    def _fail(self, kind: int, length: int) -> None:
        name = chr(kind) if 32 < kind < 127 else f"0x{kind:02x}"
        self._growing = bytearray()
        if kind in self._limits:
            low, high = self._limits[kind]
            expected = f"{low}" if low == high else f"between {low} and {high}"
            self.trouble = (
                f"the {self._sender} sent a message {name!r} with the length {length}, "
                f"which PostgreSQL's protocol has {expected}"
            )
        else:
            self.trouble = (
                f"the {self._sender} sent a message of the type {name!r}, "
                "which PostgreSQL's protocol 3 does not have"
            )

"""PostgreSQL in line: statements dropped, held, or failed as the server itself would fail them.

A statement that shall fail is replaced by one that cannot succeed, and the error that comes back by
the one that was ordered. So the server skips what follows and gives up its transaction exactly
where it would have, whatever was pipelined, and both ends agree on what is next.

The acknowledgement of a statement is the ReadyForQuery that says that its transaction is over: its
own in autocommit, otherwise the one of the COMMIT that follows.
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Final

from loadpath.tap import orders
from loadpath.tap.inline.core import Cutter, Taking, Wire
from loadpath.wire import postgres_messages as m
from loadpath.wire.postgres_texts import Statements, split_statements
from loadpath.wire.unreadable import ENCRYPTED, UnreadableError

MARK: Final = b"loadpath_fault"
_FAILING_QUERY: Final = b"Q" + (len(MARK) + 5).to_bytes(4) + MARK + b"\0"
_FAILING_EXECUTE: Final = b"E" + (len(MARK) + 9).to_bytes(4) + MARK + b"\0" + b"\0\0\0\0"

_LENGTH = Struct(">I").unpack_from
_STARTS_CYCLE = frozenset((m.PARSE, m.BIND, m.DESCRIBE, m.EXECUTE, m.CLOSE, m.FLUSH))

_MUST_PASS = frozenset((m.COPY_IN, m.COPY_OUT, m.COPY_BOTH, m.AUTHENTICATION))
"""Without these the client would not go on."""
_KEPT_MAX_BYTES = 1 << 22
_PORTALS_MAX = 1000

_TEXTS: Final = {
    "40001": "could not serialize access due to concurrent update",
    "40P01": "deadlock detected",
    "53100": 'could not extend file "base/16384/2601": No space left on device',
    "53200": "out of memory",
    "53300": "sorry, too many clients already",
    "55P03": "canceling statement due to lock timeout",
    "57014": "canceling statement due to statement timeout",
    "57P01": "terminating connection due to administrator command",
    "25006": "cannot execute statement in a read-only transaction",
}
FATAL: Final = frozenset(("53300", "57P01"))
"""Errors after which the server closes the connection."""


def error_response(code: str) -> bytes:
    """An ErrorResponse as the server writes it."""
    severity = "FATAL" if code in FATAL else "ERROR"
    text = _TEXTS.get(code, "an error that was ordered from Loadpath")
    fields = f"S{severity}\0V{severity}\0C{code}\0M{text}\0\0".encode()
    return b"E" + (len(fields) + 4).to_bytes(4) + fields


class _Cycle:
    """What the server answers with one ReadyForQuery. `whole`: the client has said all of it.

    `extended` ones end with a Sync.
    """

    __slots__ = ("extended", "fails", "taking", "whole")

    def __init__(self, *, extended: bool = False) -> None:
        self.extended = extended
        self.whole = not extended
        self.fails: str | None = None
        self.taking: Taking | None = None


class PostgresCore:
    """One connection. `prepared` are the statements of one that is joined while it is open; None:
    it has just been made."""

    def __init__(self, wire: Wire, prepared: dict[bytes, str] | None = None) -> None:
        self._wire = wire
        self._started = prepared is not None
        self._packets = bytearray()  # of a session that has not begun
        self._statements = Statements()
        for name, text in (prepared or {}).items():
            self._statements.put(name, text)
        self._portals: dict[bytes, str] = {}
        self._asked = m.MessageStream(m.REQUESTS, "client", m.COPY_DATA)
        self._told = m.MessageStream(m.REPLIES, "server", m.DATA_ROW)
        self._requests = Cutter()
        self._replies = Cutter()
        self._answers_due = 0
        self._cycles: deque[_Cycle] = deque()
        self._open: _Cycle | None = None
        self._commit_due: Taking | None = None
        self._kept = bytearray()  # of the answer that may have to be dropped
        self._failed = False
        self._tag = b""
        self._passing = False

    @property
    def idle(self) -> bool:
        between = self._asked.between and self._told.between
        return self._passing or (
            self._started and between and not self._cycles and self._commit_due is None
        )

    def unsent(self) -> bytes:
        packets = bytes(self._packets)
        self._packets.clear()
        return packets + self._requests.take()

    def unsaid(self) -> bytes:
        kept = bytes(self._kept)
        self._kept.clear()
        return kept + self._replies.take()

    # What the client sends

    def requests(self, data: bytes) -> None:
        if self._passing:
            self._wire.to_server(data)
            return
        if not self._started:
            data = self._start(data)
        self._requests.add(data)
        for message in self._asked.feed(data, 0.0):
            raw = self._requests.cut(message[4])
            if not self._ask(message, raw):
                return
        if self._asked.trouble is not None:
            raise UnreadableError(self._asked.trouble)

    def _start(self, data: bytes) -> bytes:
        """Packets without a type, up to the one that begins the session; what is behind it."""
        packets = self._packets
        packets += data
        while len(packets) >= 8:
            length, code = _LENGTH(packets, 0)[0], _LENGTH(packets, 4)[0]
            if packets[0] == 0x16:
                raise UnreadableError(ENCRYPTED)
            if not 8 <= length <= m.LONGEST_STARTUP:
                raise UnreadableError(f"the client's first packet has the length {length}")
            if len(packets) < length:
                break
            packet = bytes(packets[:length])
            del packets[:length]
            if code in (m.TLS_CODE, m.GSS_CODE):
                self._answers_due += 1
            elif code == m.CANCEL_CODE:
                self._passing = True
            else:
                self._started = True
                taking = self._wire.choose("startup", "")
                if taking is not None and isinstance(taking.order, orders.Fail):
                    self._wire.to_client(error_response(taking.order.code))
                    self._wire.close()
                    return b""
                self._cycles.append(_Cycle())
            self._wire.to_server(packet)
            if self._started or self._passing:
                rest = bytes(packets)
                packets.clear()
                return rest
        return b""

    def _ask(self, message: m.Message, raw: bytes) -> bool:
        """Pass on one message, or do with it what was ordered; False: nothing more passes."""
        kind, buffer, start, stop, _, _, _ = message
        texts: list[str] = []
        if kind == m.QUERY:
            self._ask_at_once()
            text = buffer[start:stop].rstrip(b"\0").decode("utf-8", "replace")
            texts = split_statements(text)
        elif kind == m.FUNCTION_CALL:
            self._ask_at_once()
        elif kind == m.SYNC:
            if self._open is None:
                self._cycles.append(_Cycle())
            else:
                self._open.whole = True
                self._open = None
        elif kind in _STARTS_CYCLE:
            if self._open is None:
                self._open = _Cycle(extended=True)
                self._cycles.append(self._open)
            texts = self._extended(kind, buffer, start, stop)
        taking = next((t for text in texts if (t := self._wire.choose("query", text))), None)
        if taking is None:
            self._wire.to_server(raw)
            return True
        return self._take(taking, kind, raw)

    def _ask_at_once(self) -> None:
        """A request that is answered whole; what was flushed before it has no answer of its own."""
        cycle, self._open = self._open, None
        if cycle is None:
            self._cycles.append(_Cycle())
        else:
            cycle.whole, cycle.extended = True, False

    def _extended(self, kind: int, buffer: bytes, start: int, stop: int) -> list[str]:
        """Note what is prepared and bound; the statement that is executed."""
        if kind in (m.FLUSH, m.DESCRIBE):
            return []
        first = start + 1 if kind == m.CLOSE else start
        end = buffer.index(0, first, stop)
        name = buffer[first:end]
        if kind == m.PARSE:
            until = buffer.find(0, end + 1, stop)
            text = buffer[end + 1 : until if until >= 0 else stop]
            self._statements.put(name, text.decode("utf-8", "replace"))
        elif kind == m.BIND:
            statement = buffer[end + 1 : buffer.index(0, end + 1, stop)]
            if len(self._portals) > _PORTALS_MAX:
                self._portals.clear()
            self._portals[name] = self._statements.get(statement)
        elif kind == m.EXECUTE:
            bound = self._portals.get(name, "")
            return [bound] if bound else []
        elif buffer[start] == ord("S"):
            self._statements.forget(name)
        return []

    def _take(self, taking: Taking, kind: int, raw: bytes) -> bool:
        cycle = self._cycles[-1]
        match taking.order:
            case orders.DropRequest():
                self._wire.close()
                return False
            case orders.DropReply():
                cycle.taking = taking
                self._wire.to_server(raw)
            case orders.DelayUnit(delay_s=delay_s):
                self._wire.wait(delay_s)
                self._wire.to_server(raw)
            case orders.Fail(code=code):
                cycle.fails = code
                self._wire.to_server(_FAILING_QUERY if kind == m.QUERY else _FAILING_EXECUTE)
            case _:
                taking.missed()
                self._wire.to_server(raw)
        return True

    # What the server sends

    def replies(self, data: bytes) -> None:
        if self._answers_due and data:
            answer, data = data[:1], data[1:]
            self._wire.to_client(answer)
            if answer != b"N":
                self._replies.add(data)
                raise UnreadableError(ENCRYPTED)
            self._answers_due -= 1
        if self._passing:
            self._wire.to_client(data)
            return
        self._replies.add(data)
        for message in self._told.feed(data, 0.0):
            raw = self._replies.cut(message[4])
            if not self._tell(message, raw):
                return
        if self._told.trouble is not None:
            raise UnreadableError(self._told.trouble)

    def _tell(self, message: m.Message, raw: bytes) -> bool:
        kind, buffer, start, stop, _, _, _ = message
        cycle = self._cycles[0] if self._cycles else None
        if cycle is None:
            self._wire.to_client(raw)
            return True
        if kind == m.ERROR:
            self._failed = True
            if cycle.fails is not None and MARK in buffer[start:stop]:
                raw = error_response(cycle.fails)
                if cycle.fails in FATAL:
                    self._pass_kept()
                    self._wire.to_client(raw)
                    self._wire.close()
                    return False
        elif kind == m.COMMAND_COMPLETE:
            self._tag = buffer[start : stop - 1]
        elif kind == m.COPY_IN and cycle.extended and cycle is self._cycles[-1]:
            # While it takes rows, the server ignores the Sync that came along with Execute.
            cycle.whole = False
            self._open = cycle
        kept = (cycle.taking or self._commit_due) is not None and cycle.whole
        if kept and kind not in _MUST_PASS:
            if len(self._kept) > _KEPT_MAX_BYTES and kind == m.DATA_ROW:
                self._pass_kept()  # rows acknowledge nothing
            self._kept += raw
        else:
            self._pass_kept()
            self._wire.to_client(raw)
        return self._ready(cycle, buffer[start]) if kind == m.READY else True

    def _ready(self, cycle: _Cycle, status: int) -> bool:
        self._cycles.popleft()
        failed, self._failed = self._failed, False
        tag, self._tag = self._tag, b""
        taking = cycle.taking or self._commit_due
        if taking is None:
            return True
        self._commit_due = None
        if status == ord("T"):
            self._commit_due = taking
        elif failed or status == ord("E") or tag == b"ROLLBACK":
            taking.missed()
        else:
            self._kept.clear()
            self._wire.close()
            return False
        self._pass_kept()
        return True

    def _pass_kept(self) -> None:
        if self._kept:
            self._wire.to_client(bytes(self._kept))
            self._kept.clear()

"""What a client asks of PostgreSQL: messages put together into what will be one exchange each."""

from __future__ import annotations

from collections import OrderedDict, deque
from struct import Struct
from typing import Final

import msgspec

from loadpath.wire import postgres_messages as m
from loadpath.wire.exchange import Bound, Exchange
from loadpath.wire.postgres_texts import CUT, STATEMENTS_MAX, Statements

PENDING_MAX: Final = 50_000
"""Requests under way on one connection, beyond which nobody could still match them."""
PENDING_TEXT_MAX: Final = 64 * 1024 * 1024
"""Characters of the statements that they hold."""
PORTALS_MAX: Final = 1_000

ENDS_IN_READY: Final = "SQFA"
"""The steps that the server answers with ReadyForQuery."""

_U16 = Struct(">H").unpack_from
_I32 = Struct(">i").unpack_from
_LENGTH = Struct(">I").unpack_from

_EXECUTE_SYNC = b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"
_TAILS: Final = {_EXECUTE_SYNC: "BES", b"D\0\0\0\x06P\0" + _EXECUTE_SYNC: "BDES"}
"""What most drivers send after Bind, byte for byte, and the steps that it asks for."""


class Unit(msgspec.Struct, gc=False):
    """An exchange under way, and the steps in which the server will answer it.

    A step is a letter: Parse, Bind, describe a statement (d) or a portal (D), Execute, Close, Sync,
    Query, FunctionCall, the stArtup, and c for a CopyDone, which is not answered. `replaced` is the
    statement's name and former text, to be put back if Parse fails.
    """

    exchange: Exchange
    steps: str
    text_size: int = 0
    statement: bytes = b""
    portal: bytes | None = None
    limit: int = 0
    replaced: tuple[bytes, str | None] | None = None
    answered: bool = False


class Requests:
    """The requests that one connection has under way, oldest first, and what it has prepared.

    `open` is the newest of them while the client may still add to it. While `copying_in`, the
    client sends rows, and the server ignores Sync and Flush. With `keep_parameters` an exchange
    also carries the bytes that its statement was run with.
    """

    def __init__(self, *, keep_parameters: bool = False) -> None:
        self.pending: deque[Unit] = deque()
        self.pending_text = 0
        self.open: Unit | None = None
        self.copying_in = False
        self.statements = Statements()
        self._portals: OrderedDict[bytes, tuple[str, int, bool]] = OrderedDict()
        self._keep_parameters = keep_parameters
        self._types: OrderedDict[bytes, bytes] = OrderedDict()

    def take_at_once(self, data: bytes, at_s: float) -> bool:
        """Take a piece that is one usual request, whole; False, and nothing done, if it is not.

        That is a query, or what drivers send for a prepared statement: Bind, perhaps Describe,
        Execute, Sync. The piece must begin where a message begins.
        """
        size = len(data)
        if size < 6 or self.open is not None or len(self.pending) >= PENDING_MAX:
            return False
        stop: int = _LENGTH(data, 1)[0] + 1
        if data[0] == m.QUERY:
            if stop != size or size > m.KEPT_BYTES or data.find(0, 5) != size - 1:
                return False
            text = data[5:-1].decode("utf-8", "replace")
            exchange = Exchange("query", text, at_s)
            exchange.request_bytes = size
            self.pending_text += len(text)
            self.pending.append(Unit(exchange, "Q", len(text)))
            return True
        if data[0] != m.BIND or data[5] or not 13 <= stop <= m.KEPT_BYTES:
            return False
        steps = _TAILS.get(data[stop:])
        after = data.find(0, 6, stop) + 1
        if steps is None or not after or self.copying_in:
            return False
        parameters = _parameters(data, after, stop, 0)
        if parameters is None:
            return False
        text = self.statements.get(data[6 : after - 1])
        exchange = Exchange("execute", text, at_s)
        exchange.parameters = parameters
        if self._keep_parameters:
            exchange.bound = self._bound(data[6 : after - 1], data[after:stop])
        exchange.request_bytes = size
        self._portals[b""] = (text, parameters, True)
        self.pending.append(Unit(exchange, steps))
        return True

    def take(self, message: m.Message) -> str | None:
        """Take a client's message; a sentence where it cannot be right."""
        kind, buffer, start, stop, size, began_s, rest = message
        if len(self.pending) >= PENDING_MAX or self.pending_text > PENDING_TEXT_MAX:
            return "more requests wait for their replies than can be remembered"
        if kind == m.QUERY:
            self.open = None
            text = _text(buffer, start, stop, bool(rest))
            if text is None:
                return "the client sent a query that does not end where its message does"
            self.pending_text += len(text)
            self.begin(Exchange("query", text, began_s), "Q", size).text_size = len(text)
        elif kind in (m.COPY_DATA, m.COPY_DONE, m.COPY_FAIL):
            self._request_copy(kind, size)
        elif kind == m.SYNC:
            self._request_sync(size, began_s)
        elif kind == m.FLUSH:
            self._add_bytes(size)
            if not self.copying_in:
                self.open = None
        elif kind == m.PASSWORD:
            if not self.pending or self.pending[0].steps != "A":
                return "the client sent a password when none was asked for"
            self.pending[0].exchange.request_bytes += size
        elif kind == m.TERMINATE:
            self.open = None
        elif kind == m.FUNCTION_CALL:
            self.open = None
            exchange = Exchange("call", "", began_s)
            exchange.parameters = hash((buffer[start:stop], rest))
            self.begin(exchange, "F", size)
        else:
            return self._request_extended(message)
        return None

    def _request_extended(self, message: m.Message) -> str | None:
        kind, buffer, start, stop, _, _, rest = message
        first = start + 1 if kind in (m.DESCRIBE, m.CLOSE) else start
        end = buffer.find(0, first, stop)
        if end < 0:
            return f"the client sent a message {chr(kind)!r} without the name it must begin with"
        name = buffer[first:end]
        if kind == m.PARSE:
            text = _text(buffer, end + 1, stop, bool(rest), oids=True)
            if text is None:
                return "the client sent a Parse whose statement does not end"
            if self._keep_parameters:
                types = b"" if rest else buffer[buffer.index(0, end + 1, stop) + 1 : stop]
                self._keep_types(name, types)
            self._request_parse(name, text, message)
        elif kind == m.BIND:
            after = buffer.find(0, end + 1, stop) + 1
            parameters = _parameters(buffer, after, stop, rest) if after else None
            if parameters is None:
                return "the client sent a Bind whose parameters do not fit into it"
            unit = self._request_bind(name, buffer[end + 1 : after - 1], parameters, message)
            if self._keep_parameters and not rest:
                unit.exchange.bound = self._bound(unit.statement, buffer[after:stop])
        elif kind == m.EXECUTE:
            if stop - end != 5:
                return "the client sent an Execute of a wrong length"
            self._request_execute(name, _I32(buffer, end + 1)[0], message)
        elif stop - end != 1 or buffer[start] not in b"SP":
            return f"the client sent a message {chr(kind)!r} that names no statement or portal"
        elif kind == m.DESCRIBE:
            self._request_describe(name, buffer[start] == ord("S"), message)
        else:
            if buffer[start] == ord("S"):
                self.statements.forget(name)
            else:
                self._portals.pop(name, None)
            unit = self._joined(self.open is not None, "sync", "", message)
            unit.steps += "C"
        return None

    def _request_parse(self, name: bytes, text: str, message: m.Message) -> None:
        opened = self.open
        joins = opened is not None and not opened.steps.strip("C")
        unit = self._joined(joins, "prepare", text, message)
        unit.steps += "P"
        unit.statement = name
        unit.exchange.verb, unit.exchange.text = "prepare", text
        unit.replaced = (name, self.statements.put(name, text))
        unit.text_size += len(text)
        self.pending_text += len(text)

    def _request_bind(
        self, portal: bytes, statement: bytes, parameters: int, message: m.Message
    ) -> Unit:
        text = self.statements.get(statement)
        opened = self.open
        joins = opened is not None and (
            not opened.steps.strip("C") or (opened.portal is None and opened.statement == statement)
        )
        unit = self._joined(joins, "prepare", text, message)
        unit.steps += "B"
        unit.statement, unit.portal = statement, portal
        unit.exchange.verb, unit.exchange.text = "prepare", text
        unit.exchange.parameters = parameters
        self._bind(portal, (text, parameters, False))
        return unit

    def _keep_types(self, name: bytes, types: bytes) -> None:
        self._types[name] = types
        self._types.move_to_end(name)
        if len(self._types) > STATEMENTS_MAX:
            self._types.popitem(last=False)

    def _bound(self, statement: bytes, values: bytes) -> Bound | None:
        """What a statement is run with; None where its types are not known any more."""
        types = self._types.get(statement)
        return Bound(types, values, bool(statement)) if types else None

    def _request_describe(self, name: bytes, statement: bool, message: m.Message) -> None:
        opened = self.open
        if statement:
            text = self.statements.get(name)
            joins = opened is not None and opened.portal is None and opened.statement == name
            joins = joins and opened is not None and bool(opened.steps.strip("C"))
        else:
            text, _, _ = self._portals.get(name, ("", 0, False))
            joins = opened is not None and opened.portal == name
        unit = self._joined(joins, "prepare", text, message)
        unit.steps += "d" if statement else "D"
        if statement:
            unit.statement = name
        else:
            unit.portal = name

    def _request_execute(self, portal: bytes, limit: int, message: m.Message) -> None:
        text, parameters, executed = self._portals.get(portal, ("", 0, False))
        opened = self.open
        joins = opened is not None and opened.portal == portal
        unit = self._joined(joins, "execute", text, message)
        unit.steps += "E"
        unit.limit = limit
        unit.exchange.verb = "fetch" if executed else "execute"
        unit.exchange.parameters = parameters
        self._bind(portal, (text, parameters, True))
        self.open = None

    def _request_sync(self, size: int, began_s: float) -> None:
        if self.copying_in:
            return self._add_bytes(size)
        self.open = None
        last = self.pending[-1] if self.pending else None
        if last is not None and last.steps[-1] not in ENDS_IN_READY:
            last.steps += "S"
            last.exchange.request_bytes += size
        else:
            self.begin(Exchange("sync", "", began_s), "S", size)
        return None

    def _request_copy(self, kind: int, size: int) -> None:
        # Without a request they belong to a COPY that has failed: the server ignores them as well.
        self._add_bytes(size)
        if kind == m.COPY_DATA:
            return
        if self.copying_in:
            self.copying_in = False
        elif self.pending and self.pending[-1].steps[-1] in "ES":
            self.pending[-1].steps += "c"

    def _joined(self, joins: bool, verb: str, text: str, message: m.Message) -> Unit:
        """The unit that this message belongs to: the open one if it `joins` that, or a new one."""
        unit = self.open
        if joins and unit is not None:
            unit.exchange.request_bytes += message[4]
            return unit
        self.open = None
        unit = self.begin(Exchange(verb, text, message[5]), "", message[4])
        self.open = unit
        return unit

    def begin(self, exchange: Exchange, steps: str, size: int) -> Unit:
        exchange.request_bytes = size
        unit = Unit(exchange, steps)
        self.pending.append(unit)
        return unit

    def _bind(self, portal: bytes, bound: tuple[str, int, bool]) -> None:
        self._portals[portal] = bound
        if len(self._portals) > PORTALS_MAX:
            self._portals.popitem(last=False)

    def _add_bytes(self, size: int) -> None:
        if self.pending:
            # The rows of a COPY belong to what is being answered; the rest to what was asked last.
            unit = self.pending[0 if self.copying_in else -1]
            unit.exchange.request_bytes += size


def _text(buffer: bytes, start: int, stop: int, cut: bool, *, oids: bool = False) -> str | None:
    """The statement that begins at `start`; None when it does not end where it must."""
    if cut:
        return buffer[start:stop].rstrip(b"\0").decode("utf-8", "replace") + CUT
    end = buffer.find(0, start, stop)
    if end < 0:
        return None
    if oids:
        if stop - end < 3 or stop - end - 3 != 4 * _U16(buffer, end + 1)[0]:
            return None
    elif end != stop - 1:
        return None
    return buffer[start:end].decode("utf-8", "replace")


def _parameters(buffer: bytes, start: int, stop: int, rest: int) -> int | None:
    """A hash of what Bind gives the statement, from behind the names on; None: it does not fit."""
    if start + 2 > stop:
        return None
    count_at = start + 2 + 2 * _U16(buffer, start)[0]
    if count_at + 2 > stop:
        return None
    if not _U16(buffer, count_at)[0]:
        return 0
    given = hash(buffer[start:stop]) if not rest else hash((buffer[start:stop], rest))
    return given or 1

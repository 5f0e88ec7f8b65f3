"""PostgreSQL, read: the messages of one connection matched into exchanges. Protocols 3.0 and 3.2.

A simple query gives one exchange for each of its statements that was completed or failed, so that
counts are those of pg_stat_statements. In the extended protocol an Execute gives one, together with
the Parse, Bind and Describe before it; a Parse or Describe that nothing executes before the next
Flush or Sync gives `prepare`; an Execute that continues a portal gives `fetch`. The last one before
a Sync takes that along and ends with its answer, since that is where an implicit transaction
commits. A Sync with nothing to answer for, or only with Closes, gives `sync`. What the server
skipped after an error gives exchanges with the error `skipped`: it never ran.

Further verbs: `call` (FunctionCall), and pushed `notify` (text: the channel) and `error` (the
server gives the connection up). The text of `startup` is the database; the text of a statement that
was prepared too long ago is empty, and of one too long to keep ends in `CUT`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final
from zlib import crc32

from loadpath.wire import postgres_messages as m
from loadpath.wire.digest import sealed
from loadpath.wire.exchange import Exchange, Transaction
from loadpath.wire.postgres_requests import ENDS_IN_READY, Requests, Unit
from loadpath.wire.postgres_startup import Startup
from loadpath.wire.postgres_texts import (
    CUT,
    error_fields,
    leads_to,
    split_statements,
    tag_meaning,
)

__all__ = ["CUT", "PostgresConversation"]

# The step that each of these replies completes; `Unit` says what the letters mean.
_COMPLETES: Final = {
    m.PARSE_COMPLETE: "P",
    m.BIND_COMPLETE: "B",
    m.ROW_DESCRIPTION: "dD",
    m.NO_DATA: "dD",
    m.CLOSE_COMPLETE: "C",
}
_STATES: Final[dict[int, Transaction]] = {ord("I"): "none", ord("T"): "open", ord("E"): "failed"}
_READY: Final = b"Z\0\0\0\x05"
_MAY_DESCRIBE: Final = frozenset({m.ROW_DESCRIPTION})
_MUST_DESCRIBE: Final = frozenset({m.ROW_DESCRIPTION, m.NO_DATA})
_USUAL: Final[dict[str, tuple[bytes, frozenset[int] | None]]] = {
    "Q": (b"", _MAY_DESCRIBE),
    "BES": (b"2\0\0\0\x04", None),
    "BDES": (b"2\0\0\0\x04", _MUST_DESCRIBE),
    "PBDES": (b"1\0\0\0\x042\0\0\0\x04", _MUST_DESCRIBE),
}
"""How the reply to these steps begins when all goes well, and what may describe its rows."""

_LENGTH = Struct(">I").unpack_from

_RUNS: Final = frozenset("EQ")
_SYNTAX_ERROR: Final = "42601"


class PostgresConversation:
    """One connection of a client to PostgreSQL, from its first byte on. A `Conversation`.

    With `keep_parameters` exchanges carry what statements were run with (`Exchange.bound`), with
    `digest_replies` a digest of the rows that came back.
    """

    def __init__(self, *, keep_parameters: bool = False, digest_replies: bool = False) -> None:
        self.finished: list[Exchange] = []
        self.unread: str | None = None
        self._startup: Startup | None = Startup()
        self._sent = m.MessageStream(m.REQUESTS, "client", m.COPY_DATA)
        self._received = m.MessageStream(
            m.REPLIES, "server", m.DATA_ROW, digest_rows=digest_replies
        )
        self._digests = digest_replies
        self._crc = self._row_bytes = 0  # of the rows of the statement that is being answered
        self._requests = Requests(keep_parameters=keep_parameters)
        self._pending = self._requests.pending
        self._transaction: Transaction = "none"
        self._at = 0  # the step of the oldest request that is due
        self._skipping = False  # the server ignores everything until the next Sync
        self._texts: list[str] | None = None  # the statements of the query that is being answered
        self._completed = 0  # of them
        self._complete = False  # the last of them, which is finished by what comes next

    @property
    def idle(self) -> bool:
        """Whether the server waits for the client, in whatever transaction."""
        begun = self._startup is None or self._startup.exchange is not None
        between = self._sent.between and self._received.between
        return begun and between and not self._pending and not self._requests.copying_in

    def prepared(self) -> dict[bytes, str]:
        """The statements that are prepared, by name."""
        return self._requests.statements.all()

    # ---- what the client sends

    def sent(self, data: bytes, at_s: float) -> None:
        """The client sent this; pieces may be cut anywhere."""
        if self.unread is not None or not data:
            return
        requests = self._requests
        if self._startup is not None and self._startup.exchange is None:
            data = self._begin(self._startup, data, at_s)
            if not data:
                return
        if self._sent.between and requests.take_at_once(data, at_s):
            return
        for message in self._sent.feed(data, at_s):
            trouble = requests.take(message)
            if trouble is not None:
                return self._give_up(trouble, at_s)
            if self._at and self._at == len(self._pending[0].steps):
                # It was answered before the client said that this was all.
                self._finish_unless_open(self._pending[0])
        if self._sent.trouble is not None:
            self._give_up(self._sent.trouble, at_s)

    def _begin(self, startup: Startup, data: bytes, at_s: float) -> bytes:
        data = startup.sent(data, at_s)
        exchange = startup.exchange
        if startup.trouble is not None:
            self._give_up(startup.trouble, at_s)
            return b""
        if exchange is not None and exchange.verb == "cancel":
            self.finished.append(exchange)
        elif exchange is not None:
            self._requests.begin(exchange, "A", exchange.request_bytes)
        return data

    # ---- what the server sends

    def received(self, data: bytes, at_s: float) -> None:
        """The server sent this; pieces may be cut anywhere."""
        if self.unread is not None or not data:
            return
        if self._startup is not None and self._startup.answers_due:
            data = self._startup.received(data)
            if self._startup.trouble is not None:
                return self._give_up(self._startup.trouble, at_s)
            if not data:
                return None
        pending = self._pending
        if pending and self._received.between and self._answered_at_once(pending[0], data, at_s):
            return None
        for message in self._received.feed(data, at_s):
            kind, _, _, _, size, began_s, _ = message
            if not pending or kind == m.NOTIFICATION:
                trouble = self._unasked(message)
            else:
                unit = pending[0]
                exchange = unit.exchange
                if self._complete and kind not in _AFTER_A_STATEMENT and unit.steps == "Q":
                    self._next_statement(unit, at_s)
                    exchange = unit.exchange
                if not unit.answered:
                    unit.answered = True
                    exchange.first_byte_s = began_s
                exchange.reply_bytes += size
                if self._digests and kind == m.DATA_ROW:
                    self._digest(message)
                trouble = self._reply(unit, exchange, message, at_s)
            if trouble is not None:
                return self._give_up(trouble, at_s)
        if self._received.trouble is not None:
            self._give_up(self._received.trouble, at_s)

    def _answered_at_once(self, unit: Unit, data: bytes, at_s: float) -> bool:
        """Take a piece that is the usual reply, whole; False, and nothing done, if it is not."""
        usual = _USUAL.get(unit.steps)
        if usual is None or unit.answered or self._skipping:
            return False
        begins, description = usual
        last = len(data) - 6
        if last < 0 or not data.startswith(begins) or data[last : last + 5] != _READY:
            return False
        state = _STATES.get(data[-1])
        i = len(begins)
        if description is not None:
            if data[i] in description:
                i += 1 + _LENGTH(data, i + 1)[0]
            elif description is not _MAY_DESCRIBE:
                return False
        rows_at = i
        while i < last and data[i] == m.DATA_ROW:
            length = _LENGTH(data, i + 1)[0]
            if not 6 <= length < m.KEPT_BYTES:
                return False
            i += 1 + length
        if i >= last or data[i] != m.COMMAND_COMPLETE or state is None:
            return False
        if i + 1 + _LENGTH(data, i + 1)[0] != last:
            return False
        exchange = unit.exchange
        exchange.rows, _ = tag_meaning(data[i + 5 : last - 1])
        exchange.first_byte_s = exchange.ended_s = at_s
        exchange.reply_bytes += last + 6
        if self._digests:
            exchange.digest = sealed(crc32(data[rows_at:i]), i - rows_at)
        exchange.transaction = self._transaction = state
        if unit.text_size:
            self._requests.pending_text -= unit.text_size
        self.finished.append(exchange)
        self._pending.popleft()
        return True

    def _reply(self, unit: Unit, exchange: Exchange, message: m.Message, at_s: float) -> str | None:
        """Take a server's message for `unit`; a sentence where it cannot be right."""
        kind = message[0]
        steps = unit.steps
        step = steps[self._at] if self._at < len(steps) else ""
        if self._skipping and kind not in _WHILE_SKIPPING:
            return _misplaced(kind, exchange)
        completes = _COMPLETES.get(kind)
        if completes is not None:
            if step and step in completes:
                self._advance(unit, at_s)
            elif kind != m.ROW_DESCRIPTION or step != "Q":
                return _misplaced(kind, exchange)
        elif kind == m.DATA_ROW:
            if step not in _RUNS:
                return _misplaced(kind, exchange)
        elif kind == m.COMMAND_COMPLETE:
            if step not in _RUNS:
                return _misplaced(kind, exchange)
            exchange.rows, change = tag_meaning(message[1][message[2] : message[3] - 1])
            if change is not None:
                self._transaction = leads_to(change, exchange.text, self._transaction)
            self._completed_one(unit, step, at_s)
        elif kind == m.READY:
            return self._ready(unit, step, message, at_s)
        elif kind == m.ERROR:
            self._error(unit, step, message, at_s)
        elif kind in (m.EMPTY_QUERY, m.SUSPENDED):
            if step not in _RUNS or (step == "Q" and kind == m.SUSPENDED):
                return _misplaced(kind, exchange)
            if kind == m.SUSPENDED:
                exchange.rows = unit.limit
            self._completed_one(unit, step, at_s)
        else:
            return self._seldom(unit, step, kind)
        return None

    def _digest(self, message: m.Message) -> None:
        """Take a run of rows, or a long one of which only a digest is left."""
        _, buffer, start, stop, size, _, rest = message
        self._crc = crc32(buffer[start - 5 : stop], self._crc)
        if rest:
            self._crc = crc32(rest.to_bytes(8, "big"), self._crc)
        self._row_bytes += size

    def _sealed(self) -> int:
        """The digest of the rows since the last statement."""
        if not self._digests:
            return 0
        digest = sealed(self._crc, self._row_bytes)
        self._crc = self._row_bytes = 0
        return digest

    def _seldom(self, unit: Unit, step: str, kind: int) -> str | None:
        fits = True
        if kind in (m.COPY_DATA, m.COPY_DONE):
            fits = unit.exchange.verb == "copy" and step in ("E", "Q")
        elif kind in (m.COPY_IN, m.COPY_OUT):
            fits = step in ("E", "Q")
            unit.exchange.verb = "copy"
            if fits and kind == m.COPY_IN:
                self._begin_copying_in(unit, step)
        elif kind == m.COPY_BOTH:
            return "the connection is used for replication, which is not read"
        elif kind in (m.AUTHENTICATION, m.BACKEND_KEY, m.NEGOTIATE):
            fits = step == "A"
        elif kind == m.FUNCTION_RESULT:
            fits = step == "F"
            self._complete = fits
        elif kind == m.PARAMETERS:
            fits = step == "d"
        return None if fits else _misplaced(kind, unit.exchange)

    def _begin_copying_in(self, unit: Unit, step: str) -> None:
        # While it takes rows the server ignores Sync: one that came along with Execute, as libpq
        # sends it, is never answered; the one that follows CopyDone is.
        if step == "E":
            before, done, after = unit.steps[self._at :].partition("c")
            unit.steps = unit.steps[: self._at] + before.replace("S", "") + after.replace("c", "")
            self._requests.copying_in = not done
        else:
            self._requests.copying_in = True

    def _advance(self, unit: Unit, at_s: float) -> None:
        self._at += 1
        unit.exchange.ended_s = at_s
        if self._at == len(unit.steps):
            self._finish_unless_open(unit)

    def _finish_unless_open(self, unit: Unit) -> None:
        if unit is not self._requests.open:
            self._finish(unit)

    def _completed_one(self, unit: Unit, step: str, at_s: float) -> None:
        """A statement has run, to its end or as far as the client wanted."""
        self._requests.copying_in = False
        if step == "E":
            self._advance(unit, at_s)
        else:
            unit.exchange.ended_s = at_s
            self._complete = True

    def _next_statement(self, unit: Unit, at_s: float) -> None:
        """A simple query goes on after a statement: what was kept for it is finished."""
        before = unit.exchange
        if self._texts is None:
            self._texts = split_statements(before.text)
            before.text = self._texts[0]
        before.transaction = self._transaction
        before.digest = self._sealed()
        self.finished.append(before)
        self._complete = False
        self._completed += 1
        text = self._texts[self._completed] if self._completed < len(self._texts) else ""
        unit.exchange = Exchange("query", text, before.began_s)
        unit.answered = False

    def _ready(self, unit: Unit, step: str, message: m.Message, at_s: float) -> str | None:
        state = _STATES.get(message[1][message[2]])
        if state is None:
            return "the server is ready in a transaction state that PostgreSQL does not have"
        if self._skipping:
            return self._stop_skipping(state, at_s)
        if not step or step not in ENDS_IN_READY or (step in "QF" and not self._complete):
            return _misplaced(m.READY, unit.exchange)
        self._transaction = state
        unit.exchange.ended_s = at_s
        self._at += 1
        if step == "S" and self._at < len(unit.steps):
            self._finish_synced(unit)
        else:
            self._finish(unit)
        return None

    def _finish_synced(self, unit: Unit) -> None:
        """A unit was answered whole, but a second Sync was added to it by a COPY that failed."""
        left = unit.steps[self._at :].replace("c", "")
        self._finish(unit)
        if left:
            exchange = Exchange("sync", "", unit.exchange.began_s)
            self._pending.appendleft(Unit(exchange, left))

    def _stop_skipping(self, state: Transaction, at_s: float) -> str | None:
        """The Sync that the server was skipping to is answered."""
        self._transaction = state
        failed = True
        while self._pending:
            unit = self._pending[0]
            synced = unit.steps.find("S", self._at)
            if not failed:
                unit.exchange.error = "skipped" if unit.exchange.verb != "sync" else None
                unit.exchange.first_byte_s = at_s
                unit.exchange.reply_bytes = 0
            if not failed or synced >= 0:
                unit.exchange.ended_s = at_s
            if unit.replaced is not None and "P" in unit.steps[self._at :]:
                self._requests.statements.restore(*unit.replaced)
            failed = False
            if synced >= 0:
                self._skipping = False
                self._at = synced + 1
                self._finish_synced(unit)
                return None
            self._finish(unit)
        return "the server answered a Sync that the client did not send"

    def _error(self, unit: Unit, step: str, message: m.Message, at_s: float) -> None:
        code, fatal = error_fields(message[1], message[2], message[3])
        exchange = unit.exchange
        exchange.error = code
        exchange.ended_s = at_s
        self._requests.copying_in = False
        if self._transaction == "open":
            self._transaction = "failed"
        if fatal or step == "A":
            if unit is self._requests.open:
                self._requests.open = None
            self._finish(unit)
        elif step and step in "QF":
            self._complete = True
            if self._texts is None and code != _SYNTAX_ERROR:  # that is an error of all of them
                self._texts = split_statements(exchange.text)
        else:
            self._skipping = True

    def _unasked(self, message: m.Message) -> str | None:
        """A message that came while nothing was asked."""
        kind, buffer, start, stop, size, began_s, _ = message
        if kind == m.NOTIFICATION:
            self._notified(message)
        elif kind == m.ERROR:
            exchange = Exchange("error", "", began_s)
            exchange.error, _ = error_fields(buffer, start, stop)
            self._push(exchange, size)
        elif kind not in _AT_ANY_TIME:
            return f"the server sent a message {chr(kind)!r} when nothing was asked of it"
        return None

    def _notified(self, message: m.Message) -> None:
        _, buffer, start, stop, size, began_s, rest = message
        end = buffer.find(0, start + 4, stop)
        channel = buffer[start + 4 : max(end, start + 4)].decode("utf-8", "replace")
        exchange = Exchange("notify", channel, began_s)
        if stop - end > 2:
            exchange.parameters = hash((buffer[end + 1 : stop], rest))
        self._push(exchange, size)

    def _push(self, exchange: Exchange, size: int) -> None:
        exchange.pushed = True
        exchange.reply_bytes = size
        exchange.transaction = self._transaction
        self.finished.append(exchange)

    # ---- the end of an exchange, and of the connection

    def _finish(self, unit: Unit) -> None:
        """The first unit under way is over."""
        exchange = unit.exchange
        exchange.transaction = self._transaction
        exchange.digest = self._sealed()
        self._requests.pending_text -= unit.text_size
        if self._texts is not None and self._completed < len(self._texts):
            exchange.text = self._texts[self._completed]
        self._texts, self._completed, self._complete = None, 0, False
        self.finished.append(exchange)
        self._pending.popleft()
        self._at = 0

    def closed(self, at_s: float) -> None:
        """The connection is gone: what was under way is put into `finished` with `ended` False."""
        for unit in self._pending:
            exchange = unit.exchange
            exchange.ended = False
            exchange.ended_s = at_s
            if not unit.answered:
                exchange.first_byte_s = at_s
            exchange.transaction = self._transaction
            self.finished.append(exchange)
        self._pending.clear()

    def _give_up(self, sentence: str, at_s: float) -> None:
        if self.unread is None:
            self.closed(at_s)
            self.unread = sentence
            self._requests = Requests()


_AT_ANY_TIME: Final = frozenset({m.NOTICE, m.PARAMETER_STATUS})
_AFTER_A_STATEMENT: Final = _AT_ANY_TIME | {m.READY}
_WHILE_SKIPPING: Final = _AT_ANY_TIME | {m.READY, m.ERROR}


def _misplaced(kind: int, exchange: Exchange) -> str:
    return (
        f"the server sent a message {chr(kind)!r} that does not answer "
        f"the {exchange.verb} that was due"
    )

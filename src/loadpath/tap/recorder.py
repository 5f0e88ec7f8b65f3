"""What the taps see, kept while a window is recorded: rows of a fixed size, and the texts once."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable

from loadpath.tap.link import Link
from loadpath.wire import Exchange

ROWS_PER_BLOCK = 50_000
TEXTS_PER_BLOCK = 50_000
CHARACTERS_PER_BLOCK = 32 * 1024 * 1024
CONNECTIONS_PER_BLOCK = 20_000
NAMES_MAX = 4_000
OTHER = "(other)"

EXCHANGE = struct.Struct("<HIIHQdddQQdHHBBBQ")
EXCHANGE_FIELDS = (
    ("tap", "u2"),
    ("connection", "u4"),
    ("text", "u4"),
    ("verb", "u2"),
    ("parameters", "u8"),
    ("began_s", "f8"),
    ("first_byte_s", "f8"),
    ("ended_s", "f8"),
    ("request_bytes", "u8"),
    ("reply_bytes", "u8"),
    ("rows", "f8"),
    ("status", "u2"),
    ("error", "u2"),
    ("transaction", "u1"),
    ("pushed", "?"),
    ("ended", "?"),
    ("digest", "u8"),
)
"""The fields of `EXCHANGE`, as numpy names them."""

TRANSACTIONS = ("none", "open", "failed")
_TRANSACTION = {state: number for number, state in enumerate(TRANSACTIONS)}
_64_BITS = (1 << 64) - 1


class Names:
    """Numbers for words of which there are few; past `NAMES_MAX` every new one is `OTHER`."""

    def __init__(self, *words: str) -> None:
        self._numbers: dict[str, int] = {}
        self.words: list[str] = []
        for word in (OTHER, *words):
            self._add(word)

    def number(self, word: str) -> int:
        """The word's number."""
        number = self._numbers.get(word)
        return self._add(word) if number is None else number

    def _add(self, word: str) -> int:
        if len(self.words) >= NAMES_MAX:
            return 0
        number = self._numbers[word] = len(self.words)
        self.words.append(word)
        return number


class ConnectionRow:
    """A connection as it stands at one moment; `closed_s` nan: it is open."""

    __slots__ = (
        "closed_s",
        "connected_s",
        "ending",
        "exchange_count",
        "left_s",
        "number",
        "opened_s",
        "received_bytes",
        "sent_bytes",
        "tap",
        "unfinished_count",
        "unread",
    )

    def __init__(self, link: Link) -> None:
        self.tap = link.tap
        self.number = link.number
        self.opened_s = link.opened_s
        self.connected_s = link.connected_s
        self.closed_s = link.closed_s
        self.left_s = link.left_s
        # One end has closed and the other has not yet: that is still an open connection.
        self.ending = "" if math.isnan(link.closed_s) else link.ending
        self.sent_bytes = link.client.byte_count
        self.received_bytes = link.server.byte_count
        self.exchange_count = link.exchange_count
        self.unfinished_count = link.unfinished_count
        self.unread = link.unread or ""


class Block:
    """Some rows, the texts that they name (by tap), and connections that closed meanwhile."""

    __slots__ = ("characters", "connections", "rows", "text_count", "texts", "used")

    def __init__(self) -> None:
        self.rows = bytearray(EXCHANGE.size * ROWS_PER_BLOCK)
        self.used = 0
        self.texts: dict[int, dict[str, int]] = {}
        self.text_count = 0
        self.characters = 0
        self.connections: list[ConnectionRow] = []


class Recorder:
    """Takes exchanges on the path of the bytes, so it only packs them; `pass_on` gets full blocks.

    Between windows it counts and keeps nothing.
    """

    def __init__(self, pass_on: Callable[[Block], None]) -> None:
        self.verbs = Names()
        self.errors = Names("")
        self.faults: Counter[str] = Counter()
        self.exchange_count = 0
        self.unread: dict[int, Counter[str]] = {}
        self._pass_on = pass_on
        self._block: Block | None = None

    def begin(self) -> None:
        """Keep what comes from now on."""
        self.exchange_count = 0
        self.unread = {}
        self._block = Block()

    def end(self) -> Block | None:
        """Keep no more; what was not passed on yet."""
        block, self._block = self._block, None
        return block

    def take(self, tap: int, connection: int, finished: list[Exchange]) -> None:
        """Keep exchanges of one connection."""
        block = self._block
        if block is None:
            return
        self.exchange_count += len(finished)
        texts = block.texts.get(tap)
        if texts is None:
            texts = block.texts[tap] = {}
        for exchange in finished:
            text = texts.get(exchange.text)
            if text is None:
                text = texts[exchange.text] = len(texts)
                block.text_count += 1
                block.characters += len(exchange.text)
            rows, error = exchange.rows, exchange.error
            EXCHANGE.pack_into(
                block.rows,
                block.used,
                tap,
                connection,
                text,
                self.verbs.number(exchange.verb),
                exchange.parameters & _64_BITS,
                exchange.began_s,
                exchange.first_byte_s,
                exchange.ended_s,
                exchange.request_bytes,
                exchange.reply_bytes,
                math.nan if rows is None else rows,
                exchange.status or 0,
                1 if error is None else self.errors.number(error),
                _TRANSACTION[exchange.transaction],
                exchange.pushed,
                exchange.ended,
                exchange.digest & _64_BITS,
            )
            block.used += EXCHANGE.size
            if (
                block.used == len(block.rows)
                or block.text_count >= TEXTS_PER_BLOCK
                or block.characters >= CHARACTERS_PER_BLOCK
            ):
                block = self._next(block)
                texts = block.texts[tap] = {}

    def gone(self, link: Link) -> None:
        """Keep a connection that is over."""
        block = self._block
        if block is not None:
            block.connections.append(ConnectionRow(link))
            if len(block.connections) >= CONNECTIONS_PER_BLOCK:
                self._next(block)

    def became_unread(self, tap: int, reason: str) -> None:
        """Count a connection that is not read any more."""
        if self._block is not None:
            self.unread.setdefault(tap, Counter())[reason] += 1

    def fault(self, what: str) -> None:
        """Count something that went wrong in the tap itself."""
        if what in self.faults or len(self.faults) < NAMES_MAX:
            self.faults[what] += 1

    def _next(self, block: Block) -> Block:
        self._pass_on(block)
        following = self._block = Block()
        return following

"""One connection to Redis or Valkey: RESP2 and RESP3."""

from __future__ import annotations

from collections import deque
from typing import Final
from zlib import crc32

from loadpath.wire.digest import sealed
from loadpath.wire.exchange import Exchange, Transaction
from loadpath.wire.resp_commands import ARGUMENTS_KEPT, describe
from loadpath.wire.resp_replies import (
    ARRAY,
    ERROR,
    LINE_BYTES_MAX,
    LONG_ERROR,
    PUSH,
    STRING,
    Reply,
    ReplyReader,
)
from loadpath.wire.resp_requests import KEPT_BYTES, RequestReader
from loadpath.wire.unreadable import UnreadableError

PENDING_MAX: Final = 100_000
"""Commands of one connection that wait for their replies."""

_COUNTS = {b"*%d" % count: count for count in range(1, ARGUMENTS_KEPT + 1)}
_HEADERS = {length: b"$%d" % length for length in range(KEPT_BYTES + 1)}
_header = _HEADERS.get
_FAST_BYTES_MAX = 4096
_FAST_LINES = frozenset(b"+:_")

_MESSAGES = frozenset((b"message", b"pmessage", b"smessage"))
# What each command that is confirmed channel by channel counts.
_CHANNELS = {
    "SUBSCRIBE": "channels",
    "UNSUBSCRIBE": "channels",
    "PSUBSCRIBE": "patterns",
    "PUNSUBSCRIBE": "patterns",
    "SSUBSCRIBE": "shards",
    "SUNSUBSCRIBE": "shards",
}
_STREAMS = {
    "MONITOR": "MONITOR: what follows is what others ask",
    "SYNC": "SYNC: the connection replicates",
    "PSYNC": "PSYNC: the connection replicates",
}
# The commands of which the reply changes what the connection is.
_TURNING = frozenset(("MULTI", "EXEC", "DISCARD", "RESET", "HELLO", "WATCH", *_STREAMS))
_SPECIAL = frozenset((*_TURNING, *_CHANNELS, "CLIENT REPLY"))


class RedisConversation:
    """Reads a connection to Redis, Valkey or what speaks like them. See `Conversation`.

    `verb` is the command with its subcommand (`GET`, `CLIENT INFO`), `text` its first key, or its
    first channel. A command within MULTI is an exchange of which the reply is QUEUED; EXEC is one
    more. Commands within a script cannot be seen. SUBSCRIBE ends with the last of its
    confirmations. Under CLIENT REPLY OFF and SKIP an exchange ends when it was sent.
    Pushed: verb `MESSAGE`, `PMESSAGE`, `SMESSAGE`, `INVALIDATE`, …, with the channel as text, and
    `ERROR` for an error that answers nothing. With `digest_replies` an exchange has a digest of
    its reply, byte for byte: what a server keeps in no order may differ and say the same.
    """

    def __init__(self, *, digest_replies: bool = False) -> None:
        self.finished: list[Exchange] = []
        self.unread: str | None = None
        self._requests = RequestReader()
        self._digests = digest_replies
        self._replies = ReplyReader(digests=digest_replies)
        self._pending: deque[Exchange] = deque()
        self._transaction: Transaction = "none"
        self._resp3 = False
        self._versions: deque[bytes] = deque()  # what each HELLO under way asked for
        self._subscribed = {"channels": 0, "patterns": 0, "shards": 0}
        # Confirmations to come, one number a command under way; −1: one for each that there is.
        self._confirmations: deque[int] = deque()
        self._in_multi = False  # as far as was sent
        self._muted = False
        self._mute_next = False

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, no transaction either, and no messages can come."""
        between = self._requests.between and self._replies.between
        listens = any(self._subscribed.values()) or self._muted or self._mute_next
        return between and not self._pending and self._transaction == "none" and not listens

    def sent(self, data: bytes, at_s: float) -> None:
        """The client sent this; pieces may be cut anywhere."""
        if self.unread is not None or not data:
            return
        try:
            if self._requests.between and len(data) <= _FAST_BYTES_MAX:
                arguments = _one_command(data)
                if arguments is not None:
                    self._asked(arguments, len(arguments), 0, len(data), at_s, at_s)
                    return
            for words, count, rest, size, began_s in self._requests.feed(data, at_s):
                self._asked(words, count, rest, size, began_s, at_s)
        except UnreadableError as error:
            self._give_up(str(error), at_s)

    def received(self, data: bytes, at_s: float) -> None:
        """The server sent this; pieces may be cut anywhere."""
        if self.unread is not None or not data:
            return
        if self._replies.between and self._transaction == "none" and self._pending:
            exchange = self._pending[0]
            if exchange.verb not in _SPECIAL and _is_one_plain_reply(data):
                self._pending.popleft()
                exchange.first_byte_s = exchange.ended_s = at_s
                exchange.reply_bytes = len(data)
                if self._digests:
                    exchange.digest = sealed(crc32(data), len(data))
                self.finished.append(exchange)
                return
        try:
            for reply in self._replies.feed(data, at_s):
                self._replied(reply, at_s)
        except UnreadableError as error:
            self._give_up(str(error), at_s)

    def closed(self, at_s: float) -> None:
        """The connection is gone: what was under way is put into `finished` with `ended` False."""
        for exchange in self._pending:
            exchange.ended = False
            exchange.ended_s = at_s
            exchange.transaction = self._transaction
            self.finished.append(exchange)
        self._pending.clear()

    def _give_up(self, sentence: str, at_s: float) -> None:
        self.closed(at_s)
        self.unread = sentence
        # Nothing of what was held is needed again.
        self._requests = RequestReader()
        self._replies = ReplyReader()

    def _asked(
        self, words: list[bytes], count: int, rest: int, size: int, began_s: float, at_s: float
    ) -> None:
        verb, text, parameters = describe(words, rest)
        exchange = Exchange(verb, text, began_s)
        exchange.parameters = parameters
        exchange.request_bytes = size
        may_be_silent = self._muted or self._mute_next or verb in _SPECIAL
        if may_be_silent and self._is_silent(verb, words, count):
            exchange.first_byte_s = exchange.ended_s = at_s
            if verb in _TURNING:
                self._turn(verb, None)
            exchange.transaction = self._transaction
            self.finished.append(exchange)
            return
        if len(self._pending) >= PENDING_MAX:
            raise UnreadableError(f"more than {PENDING_MAX} commands wait for their replies")
        self._pending.append(exchange)

    def _is_silent(self, verb: str, words: list[bytes], count: int) -> bool:
        """Whether no reply will come; and what else there is to note when a command is sent."""
        if verb == "CLIENT REPLY" and count == 3:
            way = words[2].upper()
            if self._in_multi:
                # It takes effect within EXEC's reply, of which the parts are not told apart.
                raise UnreadableError("CLIENT REPLY within MULTI")
            if way == b"ON":
                self._muted = self._mute_next = False
                return False
            if way == b"OFF":
                self._muted = True
                return True
            if way == b"SKIP":
                self._mute_next = not self._muted
                return True
        silent = self._muted or self._mute_next
        self._mute_next = False
        if verb in _CHANNELS:
            # Confirmations are pushed, which no mode suppresses.
            self._confirmations.append(count - 1 or -1)
            return False
        if verb == "RESET":
            self._muted = self._in_multi = False
            silent = False
        elif verb in {"MULTI", "EXEC", "DISCARD"}:
            self._in_multi = verb == "MULTI"
        elif verb == "HELLO":
            self._versions.append(words[1] if count > 1 else b"")
        return silent

    def _replied(self, reply: Reply, at_s: float) -> None:
        kind, beginning, words, _, _, crc = reply
        pending = self._pending
        if kind == PUSH:
            if not self._is_confirmation(words):
                self._pushed(reply, at_s)
                return
        elif kind == ARRAY and self._listens() and words and words[0] in _MESSAGES:
            self._pushed(reply, at_s)
            return
        error = None
        if kind in {ERROR, LONG_ERROR}:
            error = first_word(beginning)
        if not pending:
            if error is None:
                raise UnreadableError("a reply where nothing had been asked")
            self._refused(reply, error, at_s)
            return
        exchange = pending[0]
        verb = exchange.verb
        if exchange.reply_bytes == 0:
            exchange.first_byte_s = reply.first_byte_s
        exchange.reply_bytes += reply.size_bytes
        if verb in _CHANNELS:
            if kind in {ARRAY, PUSH} and self._confirmed(verb, words):
                return
            self._confirmations.popleft()
        pending.popleft()
        exchange.ended_s = at_s
        exchange.error = error
        if self._digests:
            exchange.digest = sealed(crc, reply.size_bytes)
        if verb in _TURNING:
            self._turn(verb, error)
        elif error is not None and self._transaction == "open":
            self._transaction = "failed"
        exchange.transaction = self._transaction
        self.finished.append(exchange)
        if verb in _STREAMS and error is None:
            raise UnreadableError(_STREAMS[verb])

    def _listens(self) -> bool:
        """Whether messages can come between replies, looking like them: in RESP2 alone."""
        if self._resp3:
            return False
        return any(self._subscribed.values()) or (
            bool(self._pending) and self._pending[0].verb in _CHANNELS
        )

    def _is_confirmation(self, words: list[bytes]) -> bool:
        """Whether a push answers the command that waits first."""
        if not self._pending or not words:
            return False
        verb = self._pending[0].verb
        return verb in _CHANNELS and words[0].decode("latin-1").upper() == verb

    def _confirmed(self, verb: str, words: list[bytes]) -> bool:
        """Note one confirmation. Whether more are to come."""
        counted = _CHANNELS[verb]
        left = self._confirmations[0]
        if left < 0:
            left = max(1, self._subscribed[counted])
        self._confirmations[0] = left - 1
        if len(words) > 2 and words[2].isdigit() and len(words[2]) < 18:
            # Channels and patterns are counted together.
            others = {"channels": "patterns", "patterns": "channels"}.get(counted)
            besides = self._subscribed[others] if others else 0
            self._subscribed[counted] = max(0, int(words[2]) - besides)
        return left > 1

    def _turn(self, verb: str, error: str | None) -> None:
        """What the connection is after a reply."""
        if verb == "HELLO":
            version = self._versions.popleft()
            if error is None and version:
                self._resp3 = version == b"3"
            if error is not None and self._transaction == "open":
                self._transaction = "failed"
        elif verb == "MULTI":
            if error is None:
                self._transaction = "open"
        elif verb in {"EXEC", "DISCARD"}:
            self._transaction = "none"
        elif verb == "RESET" and error is None:
            self._transaction = "none"
            self._resp3 = False
            self._subscribed = dict.fromkeys(self._subscribed, 0)

    def _pushed(self, reply: Reply, at_s: float) -> None:
        words = reply.words
        verb = words[0][:64].decode("ascii", "backslashreplace").upper() if words else "PUSH"
        text = words[1].decode("utf-8", "backslashreplace") if len(words) > 1 else ""
        exchange = Exchange(verb, text, at_s)
        exchange.pushed = True
        exchange.reply_bytes = reply.size_bytes
        exchange.transaction = self._transaction
        self.finished.append(exchange)

    def _refused(self, reply: Reply, error: str, at_s: float) -> None:
        """A server that has no connection to spare says so before it is asked anything."""
        exchange = Exchange("ERROR", "", at_s)
        exchange.pushed = True
        exchange.error = error
        exchange.reply_bytes = reply.size_bytes
        self.finished.append(exchange)


def first_word(line: bytes) -> str:
    """The first word of an error, which says which one it is."""
    return line.split(None, 1)[0].decode("utf-8", "backslashreplace") if line.strip() else ""


def _one_command(data: bytes) -> list[bytes] | None:
    """The arguments, if this is one command, whole, and nothing else, as a client mostly sends it.

    Where every header fits what stands behind it, no argument was cut at an end of line within.
    """
    parts = data.split(b"\r\n")
    count = _COUNTS.get(parts[0])
    if count is None or len(parts) != 2 * count + 2 or parts[-1]:
        return None
    if count == 2:
        if _header(len(parts[2])) == parts[1] and _header(len(parts[4])) == parts[3]:
            return parts[2::2]
        return None
    arguments = parts[2::2]
    return arguments if list(map(_header, map(len, arguments))) == parts[1:-1:2] else None


def _is_one_plain_reply(data: bytes) -> bool:
    """Whether this is one string, status or number, whole, and nothing else."""
    if data[0] == STRING:
        header, _, body = data.partition(b"\r\n")
        return _header(len(body) - 2) == header and body[-2:] == b"\r\n"
    end = data.find(b"\r\n")
    return data[0] in _FAST_LINES and 0 < end == len(data) - 2 <= LINE_BYTES_MAX

"""Redis and Valkey in line. A command that shall fail is replaced by one that no server knows, and
its error by the one that was ordered: so a transaction that it was queued in fails as it should."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final

from loadpath.tap import orders
from loadpath.tap.inline.core import Cutter, Taking, Wire
from loadpath.wire.resp_commands import describe
from loadpath.wire.resp_replies import ERROR, LONG_ERROR, PUSH, ReplyReader
from loadpath.wire.resp_requests import RequestReader
from loadpath.wire.unreadable import UnreadableError

STAND_IN: Final = b"*1\r\n$14\r\nLOADPATH.FAULT\r\n"

_TEXTS: Final = {
    "LOADING": "Valkey is loading the dataset in memory",
    "OOM": "command not allowed when used memory > 'maxmemory'.",
    "READONLY": "You can't write against a read only replica.",
    "BUSY": "Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MASTERDOWN": "Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF": "Valkey is configured to save RDB snapshots, but it's currently unable to persist to"
    " disk.",
    "CLUSTERDOWN": "The cluster is down",
    "TRYAGAIN": "Multiple keys request during rehashing of slot",
}
# Connections on which replies are no answers to commands one by one.
_UNREADABLE = frozenset(
    (
        *("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"),
        *("MONITOR", "SYNC", "PSYNC", "CLIENT REPLY"),
    )
)
_UNIQUE = frozenset(("MULTI", "EXEC", "DISCARD", "WATCH", "AUTH", "HELLO", "RESET", "QUIT"))


def error_reply(code: str) -> bytes:
    """An error as the server writes it."""
    text = _TEXTS.get(code, "an error that was ordered from Loadpath")
    return f"-{code} {text}\r\n".encode()


class _Then(Enum):
    """What becomes of a reply."""

    PASS = 0
    REPLACE = 1
    SWALLOW = 2
    CLOSE = 3


class _Due:
    """A reply that is to come."""

    __slots__ = ("code", "taking", "then")

    def __init__(self, then: _Then, taking: Taking | None = None, code: str = "") -> None:
        self.then = then
        self.taking = taking
        self.code = code


_PASS = _Due(_Then.PASS)


class RedisCore:
    """One connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._asked = RequestReader()
        self._told = ReplyReader()
        self._requests = Cutter()
        self._replies = Cutter()
        self._due: deque[_Due] = deque()
        self._in_multi = False
        self._drop_exec: Taking | None = None

    @property
    def idle(self) -> bool:
        between = self._asked.between and self._told.between
        return between and not self._due and not self._in_multi

    def unsent(self) -> bytes:
        return self._requests.take()

    def unsaid(self) -> bytes:
        return self._replies.take()

    def requests(self, data: bytes) -> None:
        self._requests.add(data)
        for words, _, rest, size, _ in self._asked.feed(data, 0.0):
            raw = self._requests.cut(size)
            verb, key, _ = describe(words, rest)
            if verb in _UNREADABLE:
                self._wire.to_server(raw)
                raise UnreadableError(f"{verb}: what follows answers no command")
            if not self._ask(verb, key, raw):
                return
        if self._asked.between:
            self._wire.to_server(self._requests.take())

    def replies(self, data: bytes) -> None:
        self._replies.add(data)
        for kind, _, _, size, *_ in self._told.feed(data, 0.0):
            raw = self._replies.cut(size)
            due = self._due.popleft() if self._due and kind != PUSH else _PASS
            failed = kind in (ERROR, LONG_ERROR)
            if due.then is _Then.REPLACE and failed:
                raw = error_reply(due.code)
            elif due.then is _Then.SWALLOW:
                continue
            elif due.then is _Then.CLOSE and due.taking is not None:
                if not failed and raw not in (b"*-1\r\n", b"_\r\n"):
                    self._wire.close()
                    return
                due.taking.missed()
            self._wire.to_client(raw)
        if not self._due or self._due[0].then is _Then.PASS:
            self._wire.to_client(self._replies.ahead())

    def _ask(self, verb: str, key: str, raw: bytes) -> bool:
        """Pass on one command, or do with it what was ordered; False: nothing more passes."""
        due = _PASS
        taking = self._wire.choose(verb, key)
        match None if taking is None else taking.order:
            case orders.DropRequest():
                self._wire.close()
                return False
            case orders.DelayUnit(delay_s=delay_s):
                self._wire.wait(delay_s)
            case orders.Fail(code=code):
                due = _Due(_Then.REPLACE, taking, code)
                raw = STAND_IN
            case orders.DropReply():
                if self._in_multi and verb not in ("EXEC", "DISCARD"):
                    self._drop_exec = taking
                else:
                    due = _Due(_Then.CLOSE, taking)
            case orders.Duplicate() if taking is not None:
                if self._in_multi or verb in _UNIQUE:
                    taking.missed()
                else:
                    self._wire.to_server(raw)
                    self._due.append(_PASS)
                    due = _Due(_Then.SWALLOW)
        if verb == "MULTI":
            self._in_multi = True
        elif verb in ("EXEC", "DISCARD", "RESET"):
            self._in_multi = False
            dropped, self._drop_exec = self._drop_exec, None
            if dropped is not None and verb == "EXEC":
                due = _Due(_Then.CLOSE, dropped)
            elif dropped is not None:
                dropped.missed()
        self._wire.to_server(raw)
        self._due.append(due)
        return True

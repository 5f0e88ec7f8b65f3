"""What PostgreSQL's messages say in words: statements, command tags, errors, startup parameters."""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from loadpath.wire.exchange import Transaction
from loadpath.wire.sql_lexer import top_level_statements

CUT: Final = " …"
"""At the end of a statement of which only the beginning was kept."""

STATEMENTS_MAX: Final = 10_000
STATEMENTS_TEXT_MAX: Final = 16 * 1024 * 1024
"""Characters of all statements that one connection has prepared."""

Change: TypeAlias = Literal["begin", "commit", "rollback"]

_CHANGES: Final[dict[bytes, Change]] = {
    b"BEGIN": "begin",
    b"START TRANSACTION": "begin",
    b"COMMIT": "commit",
    b"ROLLBACK": "rollback",
    b"PREPARE TRANSACTION": "commit",
}
_STAYS_OPEN: Final = re.compile(r"\bTO\b|\bAND\s+CHAIN\b", re.IGNORECASE)


class Statements:
    """The statements that one connection prepared, by name; the least used are forgotten first."""

    def __init__(self) -> None:
        self._texts: OrderedDict[bytes, str] = OrderedDict()
        self._size = 0

    def get(self, name: bytes) -> str:
        """Its text; "" when there is none of that name, or it was forgotten."""
        text = self._texts.get(name)
        if text is None:
            return ""
        self._texts.move_to_end(name)
        return text

    def put(self, name: bytes, text: str) -> str | None:
        """Remember it; returns what had that name before."""
        before = self.forget(name)
        self._texts[name] = text
        self._size += len(text)
        while len(self._texts) > STATEMENTS_MAX or self._size > STATEMENTS_TEXT_MAX:
            _, old = self._texts.popitem(last=False)
            self._size -= len(old)
        return before

    def forget(self, name: bytes) -> str | None:
        """Returns what had that name."""
        text = self._texts.pop(name, None)
        if text is not None:
            self._size -= len(text)
        return text

    def all(self) -> dict[bytes, str]:
        """Every one that is remembered."""
        return dict(self._texts)

    def restore(self, name: bytes, text: str | None) -> None:
        """Undo a `put` that returned `text`: the server refused the statement."""
        if text is None:
            self.forget(name)
        else:
            self.put(name, text)


@lru_cache(maxsize=1024)
def tag_meaning(tag: bytes) -> tuple[int | None, Change | None]:
    """The rows that a command tag counts, and what it does to the transaction."""
    change = _CHANGES.get(tag)
    last = tag.rpartition(b" ")[2]
    rows = int(last) if last.isdigit() and len(last) < 20 and last != tag else None
    return rows, change


def leads_to(change: Change, text: str, before: Transaction) -> Transaction:
    """The transaction state after a statement whose tag says `change`.

    ROLLBACK is also the tag of ROLLBACK TO, and both it and COMMIT may chain to a new transaction.
    """
    if change == "begin" or (before != "none" and _STAYS_OPEN.search(text)):
        return "open"
    return "none"


def split_statements(text: str) -> list[str]:
    """The statements of a simple query, without those that are empty; at least one."""
    return top_level_statements(text) or [text]


def error_fields(buffer: bytes, start: int, stop: int) -> tuple[str, bool]:
    """The SQLSTATE of an ErrorResponse, and whether the server closes the connection after it."""
    code, severity, localized = "", b"", b""
    for field in buffer[start:stop].split(b"\0"):
        if field[:1] == b"C":
            code = field[1:6].decode("ascii", "replace")
        elif field[:1] == b"V":
            severity = field[1:]
        elif field[:1] == b"S":
            localized = field[1:]
    return code or "unknown", (severity or localized) in (b"FATAL", b"PANIC")


def startup_database(packet: bytes) -> str:
    """The database of a StartupMessage, which is the user's name when none is given."""
    fields = packet.split(b"\0")
    given = dict(zip(fields[::2], fields[1::2], strict=False))
    name = given.get(b"database") or given.get(b"user") or b""
    return name.decode("utf-8", "replace")

"""Where each key of a TOML document stands: key path → line. `tomllib` does not say.

`key_lines` walks a document that `tomllib` has already accepted, so it need not judge it: it only
has to skip values rightly (strings that hold brackets, comments that hold quotes) and to follow
TOML's rules for what a header or a dotted key adds to.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PLAIN_VALUE = re.compile(r"[^,\]}#\r\n]*")
_BASIC_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LITERAL_STRING = re.compile(r"'([^']*)'")
# Up to five quotes may end a multi-line string: three that close it, two that are its own.
_MULTILINE_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL)
_MULTILINE_LITERAL = re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}", re.DOTALL)
_ESCAPE = re.compile(r'\\(?:U([0-9A-Fa-f]{8})|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([btnfre"\\]))')
_ESCAPED = dict(zip('btnfre"\\', '\b\t\n\f\r\x1b"\\', strict=True))


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every key and table of a valid TOML document.

    A path holds table and key names, and the index of an element of an array. A table that several
    headers add to stands where it was first named.
    """
    walk = _Walk(text.replace("\r\n", "\n"))
    walk.document()
    return walk.lines


def split_key(text: str) -> tuple[tuple[str, ...], str]:
    """A dotted key at the start of `text`, as its names, and the rest of `text` after it.

    Raises `ValueError` when there is none.
    """
    walk = _Walk(text)
    names = walk.key()
    return names, text[walk.at :]


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._array_tables: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK_LINES)
        while self.at < len(self.text):
            if self.text.startswith("[[", self.at):
                table = self._header(2)
            elif self.text[self.at] == "[":
                table = self._header(1)
            else:
                self._pair(table)
            self._skip(_BLANK_LINES)

    def key(self) -> tuple[str, ...]:
        names = [self._name()]
        self._skip(_BLANK)
        while self.text.startswith(".", self.at):
            self.at += 1
            names.append(self._name())
            self._skip(_BLANK)
        return tuple(names)

    def _header(self, brackets: int) -> KeyPath:
        line = self._line()
        self.at += brackets
        names = self.key()
        self.at += brackets
        path = self._along((), names[:-1], line)
        path = (*path, names[-1])
        self.lines.setdefault(path, line)
        if brackets == 2:
            index = self._array_tables.get(path, -1) + 1
            self._array_tables[path] = index
            path = (*path, index)
            self.lines[path] = line
        elif path in self._array_tables:
            path = (*path, self._array_tables[path])
        return path

    def _along(self, path: KeyPath, names: tuple[str, ...], line: int) -> KeyPath:
        """Follow names from a path, into the last table of each array of tables on the way."""
        for name in names:
            path = (*path, name)
            self.lines.setdefault(path, line)
            if path in self._array_tables:
                path = (*path, self._array_tables[path])
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        names = self.key()
        path = self._along(table, names, line)
        self.at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        for quote, multiline, single in (
            ('"', _MULTILINE_BASIC, _BASIC_STRING),
            ("'", _MULTILINE_LITERAL, _LITERAL_STRING),
        ):
            if self.text.startswith(quote * 3, self.at):
                return self._skip(multiline)
            if self.text.startswith(quote, self.at):
                return self._skip(single)
        if self.text.startswith("[", self.at):
            return self._array(path)
        if self.text.startswith("{", self.at):
            return self._inline_table(path)
        return self._skip(_PLAIN_VALUE)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        self._skip(_BLANK_LINES)
        while not self.text.startswith("]", self.at):
            self._more()
            self.lines[*path, index] = self._line()
            self._value((*path, index))
            index += 1
            self._separator()
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        self._skip(_BLANK_LINES)
        while not self.text.startswith("}", self.at):
            self._more()
            self._pair(path)
            self._separator()
        self.at += 1

    def _separator(self) -> None:
        self._skip(_BLANK_LINES)
        if self.text.startswith(",", self.at):
            self.at += 1
            self._skip(_BLANK_LINES)

    def _name(self) -> str:
        self._skip(_BLANK)
        if found := _BARE_KEY.match(self.text, self.at):
            name = found.group()
        elif found := _LITERAL_STRING.match(self.text, self.at):
            name = found.group(1)
        elif found := _BASIC_STRING.match(self.text, self.at):
            name = _ESCAPE.sub(_unescaped, found.group(1))
        else:
            raise ValueError(f"a key was expected at {self.text[self.at : self.at + 20]!r}")
        self.at = found.end()
        return name

    def _more(self) -> None:
        if self.at >= len(self.text):
            raise ValueError("the document ends inside a value")

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if found := pattern.match(self.text, self.at):
            self.at = found.end()
            return
        raise ValueError(f"a value was expected at {self.text[self.at : self.at + 20]!r}")

    def _line(self) -> int:
        return bisect_right(self._line_starts, self.at)


def _unescaped(found: re.Match[str]) -> str:
    eight, four, two, letter = found.groups()
    if letter:
        return _ESCAPED[letter]
    return chr(int(eight or four or two, 16))

"""The words of a fault, taken one by one, and errors that point at the one that is wrong: pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TypeVar

from loadpath.errors import ConfigurationError
from loadpath.faults import quantities
from loadpath.tap.orders import Direction

_WORD = re.compile(r"\+|[^\s+]\S*")
_FLAGS = "--faults"

T = TypeVar("T")


class Words:
    """What is left to be read of `text`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._words = [(found.start(), found[0]) for found in _WORD.finditer(text)]
        self._at = 0

    @property
    def next(self) -> str:
        """The next word; "" at the end."""
        return self._words[self._at][1] if self._at < len(self._words) else ""

    def following(self, count: int) -> tuple[str, ...]:
        """The next so many words, fewer at the end."""
        return tuple(word for _, word in self._words[self._at : self._at + count])

    def skip(self, count: int = 1) -> None:
        """Pass over words that have been understood."""
        self._at += count

    def take(self, *literals: str) -> bool:
        """Pass over these words if they are next; whether they were."""
        if tuple(word.lower() for word in self.following(len(literals))) != literals:
            return False
        self.skip(len(literals))
        return True

    def rest(self) -> str:
        """All that is left, as it was written."""
        if self._at >= len(self._words):
            return ""
        start = self._words[self._at][0]
        self._at = len(self._words)
        return self.text[start:].strip()

    def end(self) -> None:
        """Raise `ConfigurationError` when there is more."""
        if self.next:
            raise self.wrong("nothing more")

    def duration_s(self) -> float:
        """Take a duration."""
        return self._one(quantities.duration_s, "a duration such as 200ms")

    def size_bytes(self) -> int:
        """Take a size."""
        return self._one(quantities.size_bytes, "a size such as 10kB")

    def whole(self, what: str) -> int:
        """Take a whole number of at least one."""
        return self._one(lambda word: int(word) or None if word.isdecimal() else None, what)

    def direction(self) -> Direction:
        """Take a direction if one is next."""
        if self.take("requests"):
            return "requests"
        return "replies" if self.take("replies") else "both"

    def wrong(self, expected: str, *, choices: Iterable[str] = ()) -> ConfigurationError:
        """The error that points at the next word."""
        found = self.next
        start = self._words[self._at][0] if found else len(self.text)
        near = get_close_matches(found, list(choices), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        came = f'"{found}" came' if found else "nothing more came"
        line = f"  {self.text}\n  {' ' * start}{'^' * max(1, len(found))}"
        return ConfigurationError(
            f"expected {expected}, {came}{hint}\n{line}",
            key=_FLAGS,
            advice="--list-faults says how each fault is written.",
        )

    def _one(self, read: Callable[[str], T | None], expected: str) -> T:
        value = read(self.next)
        if value is None:
            raise self.wrong(expected)
        self.skip()
        return value

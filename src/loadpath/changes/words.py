"""The words of one change, read from left to right; what is wrong is pointed at."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from loadpath.changes.change import ChangeError
from loadpath.spec import Operation, Setup, quantities
from loadpath.spec.problem import hint

_WORD = re.compile(r"\S+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class Known(msgspec.Struct, frozen=True):
    """What the words of a change may name: the parts of a setup, on a host of so many cores."""

    setup: Setup
    cores: int

    @property
    def operations(self) -> dict[str, Operation]:
        """The operations by name."""
        return {operation.name: operation for operation in self.setup.workload.operations}

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The names of the dependencies."""
        return tuple(dependency.name for dependency in self.setup.service.dependencies)

    @property
    def knobs(self) -> tuple[str, ...]:
        """The names of the knobs."""
        return tuple(knob.name for knob in self.setup.service.knobs)


class Words:
    """A reader of one change. Every method that reads raises `ChangeError` where it cannot."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        self._at = 0

    def first(self) -> str:
        """The first word of all; empty when there is none."""
        return self.text.partition(" ")[0]

    def second(self) -> str:
        """The word after it; empty when there is none."""
        return self.text.partition(" ")[2].partition(" ")[0]

    def peek(self) -> str:
        """The next word; empty at the end."""
        found = _WORD.match(self.text, self._at)
        return found[0] if found else ""

    def word(self, expected: str) -> str:
        """The next word, whatever it is."""
        found = self.peek()
        if not found:
            raise self.wrong(f"expected {expected}, and there is nothing more")
        self._pass(found)
        return found

    def keyword(self, *words: str) -> str:
        """The next word, which has to be one of these."""
        found = self.peek()
        if found not in words:
            raise self.wrong(f"expected {' or '.join(f'`{word}`' for word in words)}")
        self._pass(found)
        return found

    def keyword_assigned(self, name: str) -> None:
        """`name=`, with or without blanks around the sign."""
        self.symbol(name)
        self.symbol("=")

    def rest(self, expected: str) -> str:
        """All that is left."""
        left = self.text[self._at :]
        if not left:
            raise self.wrong(f"expected {expected}, and there is nothing more")
        self._pass(left)
        return left

    def symbol(self, symbol: str) -> None:
        """Text that stands next, with or without a blank before and after it."""
        if not self.text.startswith(symbol, self._at):
            raise self.wrong(f"expected `{symbol}`")
        self._pass(symbol)

    def name(self, what: str, names: Iterable[str], *, ends: str = "") -> str:
        """One of those names, the longest that stands next; one of `ends` may follow it."""
        known = sorted(names, key=len, reverse=True)
        for name in known:
            after = self.text[self._at + len(name) :]
            if self.text.startswith(name, self._at) and (not after or after[0] in " " + ends):
                self._pass(name)
                return name
        written = self._written(known, ends)
        if not written:
            raise self.wrong(f"expected {what}{hint('', known)}")
        raise self.wrong(f"`{written}` is no {what}{hint(written, known)}", len(written))

    def operation(self, known: Known, *, ends: str = "") -> str:
        """The name of an operation."""
        return self.name("operation", known.operations, ends=ends)

    def dependency(self, known: Known) -> str:
        """The name of a dependency."""
        return self.name("dependency", known.dependencies)

    def number(self, expected: str, *, least: float = 0.0) -> float:
        """A number, more than `least`."""
        found = _NUMBER.match(self.text, self._at)
        if not found or float(found[0]) <= least:
            raise self.wrong(f"expected {expected}")
        self._pass(found[0])
        return float(found[0])

    def count(self, expected: str) -> int:
        """A whole number above 0."""
        found = _WORD.match(self.text, self._at)
        if not found or not found[0].isdecimal() or int(found[0]) < 1:
            raise self.wrong(f"expected {expected}, a whole number above 0")
        self._pass(found[0])
        return int(found[0])

    def duration_s(self, expected: str) -> float:
        """A duration such as `5ms`."""
        found = self.peek()
        try:
            seconds = quantities.positive_duration_s(found)
        except ValueError:
            raise self.wrong(f"expected {expected}, a duration such as `5ms`") from None
        self._pass(found)
        return seconds

    def share(self, expected: str, *, example: str) -> float:
        """A share such as `30%`, above 0 and below 1."""
        found = self.peek()
        try:
            ratio = quantities.ratio(found) if found.endswith("%") else 0.0
        except ValueError:
            ratio = 0.0
        if not ratio:
            raise self.wrong(f"expected {expected}, a share such as `{example}`, below 100%")
        self._pass(found)
        return ratio

    def end(self) -> None:
        """Nothing may follow."""
        if self.peek():
            rest = len(self.text) - self._at
            raise self.wrong("expected nothing more", rest)

    def wrong(
        self, message: str, length: int | None = None, *, at: int | None = None, advice: str = ""
    ) -> ChangeError:
        """The error that points at what stands next (or at `at`)."""
        if at is None:
            at = self._at
            length = len(self.peek()) if length is None else length
        marks = "^" * max(1, length or 0)
        return ChangeError(
            f"column {at + 1} of the change: {message}",
            excerpt=(self.text, f"{' ' * at}{marks}"),
            advice=advice or "`loadpath what-if --help` shows how changes are written.",
        )

    def _pass(self, text: str) -> None:
        self._at += len(text)
        while self._at < len(self.text) and self.text[self._at] == " ":
            self._at += 1

    def _written(self, known: list[str], ends: str) -> str:
        """What stands where a name should: as many words as such names have."""
        most = max((name.count(" ") for name in known), default=0) + 1
        words = self.text[self._at :].split(" ")[:most]
        for place, word in enumerate(words):
            cut = min((word.index(end) for end in ends if end in word), default=None)
            if cut is not None:
                words = [*words[:place], word[:cut]]
                break
        return " ".join(words).strip()

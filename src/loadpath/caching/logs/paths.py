"""Paths grouped into operations: `/users/4711/posts` and `/users/12/posts` are one.

What looks like an id is replaced at once; where a place in the paths holds more words than an API
has, they are taken for names when all has been read. The number of templates is bounded.
"""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np

from loadpath.caching.stream import Ids

WORDS_MAX = 40
"""Different words in one place of the paths; with more they are names, such as titles."""
TEMPLATES_MAX = 3000
"""Templates told apart while reading; later ones are counted together."""
FOLDERS_MAX = 10_000
"""Beginnings of paths that need not be worked out again."""
DEPTH_MAX = 8
OTHERS = "(others)"

_SHAPES = re.compile(
    r"(?P<id>-?\d[\d_.:-]*)"
    r"|(?P<uuid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"|(?P<hex>(?=\D*\d)[0-9a-fA-F]{8,})"
    r"|(?P<word>v\d+(?:\.\d+)?|[a-z_-]{1,39})"
    r"|(?P<file>.+\.[a-z][a-z0-9]{1,4})"
    r"|(?P<code>(?=\D*\d)(?=.*[A-Za-z]).{5,}|(?=.*[a-z][A-Z]).{6,}|.{40,})"
)


class Paths:
    """Gives each request's operation a number; `names` says at the end what they are."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}
        self._words: dict[tuple[str, ...], set[str]] = defaultdict(set)
        self._full: set[tuple[str, ...]] = set()
        self._folders: dict[bytes, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def number_of(self, request: bytes) -> int:
        """The number of the operation of a request such as `GET /a/1?b=c`."""
        before, slash, last = request.partition(b"?")[0].rpartition(b"/")
        if not slash:
            before, last = last, b""
        parts = self._folders.get(before)
        if parts is None:
            if len(self._folders) > FOLDERS_MAX:
                self._folders.clear()
            parts = self._folders[before] = self._parts(before.decode("utf-8", "replace"))
        if slash and len(parts) <= DEPTH_MAX:
            parts = (*parts, self._place(parts, _shape(last.decode("utf-8", "replace"))))
        number = self._numbers.get(parts)
        if number is None:
            if len(self._numbers) >= TEMPLATES_MAX:
                parts = (f"{parts[0].partition(' ')[0]} {OTHERS}",)
            number = self._numbers.setdefault(parts, len(self._numbers))
        return number

    def _parts(self, before: str) -> tuple[str, ...]:
        """What a request has before its last slash, as parts of a template."""
        method, _, target = before.partition(" ")
        host, *segments = target.split("/")
        parts: tuple[str, ...] = (f"{method} {host}",)
        for segment in segments[: DEPTH_MAX - 1]:
            parts = (*parts, self._place(parts, _shape(segment)))
        return parts if len(segments) < DEPTH_MAX else (*parts, "…")

    def _place(self, before: tuple[str, ...], shape: str) -> str:
        if shape.startswith("{") or not shape:
            return shape
        words = self._words[before]
        if shape not in words:
            if len(words) >= WORDS_MAX:
                self._full.add(before)
                return "{name}"
            words.add(shape)
        return shape

    def names(self, requests: Ids) -> tuple[list[str], Ids]:
        """The operations in the end, and which of them each number belongs to.

        `requests`: how many there were of each number. In a place with too many words, one that
        leads on to others, or has a tenth of the requests there, stays; the others are names.
        """
        through: dict[tuple[str, ...], int] = defaultdict(int)
        children: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for parts, number in self._numbers.items():
            for depth in range(1, len(parts) + 1):
                through[parts[:depth]] += int(requests[number])
            for depth in range(1, len(parts)):
                children[parts[:depth]].add(parts[depth])
        found: dict[str, int] = {}
        belongs = np.zeros(len(self._numbers), dtype=np.int64)
        for parts, number in self._numbers.items():
            told = [parts[0]]
            for depth in range(1, len(parts)):
                before, word = parts[:depth], parts[depth]
                is_name = before in self._full and word in self._words[before]
                if is_name and (
                    children[(*before, word)] or through[(*before, word)] * 10 >= through[before]
                ):
                    is_name = False
                told.append("{name}" if is_name else word)
            name = "/".join(told) if len(told) > 1 else told[0]
            belongs[number] = found.setdefault(name, len(found))
        return list(found), belongs


def _shape(segment: str) -> str:
    """A segment as it stands in a template."""
    found = _SHAPES.fullmatch(segment)
    kind = found.lastgroup if found else None
    if kind == "file":
        name, _, suffix = segment.rpartition(".")
        inner = _shape(name)
        return f"{inner}.{suffix}" if inner.startswith("{") else segment
    return segment if kind in {None, "word"} else f"{{{kind}}}"

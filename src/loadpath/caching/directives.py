"""The Cache-Control field, read with its mistakes: what a recipient makes of it, and what is wrong.

RFC 9111, 5.2. Not a Structured Field (RFC 8941): arguments come as tokens and as quoted strings.
"""

from __future__ import annotations

import re

import msgspec

LONGEST_S = 2**31
"""A number of seconds that is too large for us means this (1.2.2)."""

_PART = re.compile(
    r"""\s*(?P<name>[^\s=,"]+)(?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^,]*)))?\s*"""
    r"(?P<rest>[^,]*)(?:,|$)"
)


class Directives(msgspec.Struct, frozen=True):
    """`given`: the first argument of each directive, by its lower-case name; None without one ·
    `repeated`: those that came again with another argument · `malformed`: parts as written whose
    argument is no number where one is due, or that are no directive."""

    given: dict[str, str | None]
    repeated: tuple[str, ...]
    malformed: tuple[str, ...]

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def seconds(self, name: str) -> float | None:
        """A directive's time: None where it is not there; 0 where it is no number (4.2.1)."""
        if name not in self.given:
            return None
        return _number(self.given[name]) or 0.0

    def is_whole(self, name: str) -> bool:
        """Whether it holds for the whole answer, not only for the fields it names (5.2.2.4, .7)."""
        return name in self.given and not self.given[name]


TIMED = frozenset(
    {"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error", "max-stale", "min-fresh"}
)
KNOWN = TIMED | {
    *("immutable", "must-revalidate", "must-understand", "no-cache", "no-store", "no-transform"),
    *("only-if-cached", "private", "proxy-revalidate", "public"),
}


def read_directives(lines: list[str]) -> Directives:
    """The directives of all Cache-Control lines of a message, in order."""
    given: dict[str, str | None] = {}
    repeated: list[str] = []
    malformed: list[str] = []
    for found in _PART.finditer(", ".join(lines)):
        name = found["name"].lower()
        argument = found["quoted"] if found["quoted"] is not None else found["token"]
        if argument is not None:
            argument = re.sub(r"\\(.)", r"\1", argument).strip()
        is_bad = name in TIMED and (_number(argument) is None) and name != "max-stale"
        if is_bad or found["rest"].strip():
            malformed.append(found[0].rstrip(",").strip())
        if name in given:
            if given[name] != argument and name not in repeated:
                repeated.append(name)
            continue  # the first counts (4.2.1)
        given[name] = argument
    return Directives(given, tuple(repeated), tuple(malformed))


def _number(argument: str | None) -> float | None:
    if argument is None or not re.fullmatch(r"[0-9]+", argument):
        return None
    return float(min(LONGEST_S, int(argument[:12])))

"""The `{fields}` of a declared request: keys by name, and what fills itself (`{unique}`, `{n}` …).

A field is written without blanks: `{n}` is one, `{ n }` is text. What is neither a key nor one of
the words below is text as well, for a body may hold braces of its own.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Literal, TypeAlias

import msgspec

_FIELD = re.compile(r"\{([A-Za-z_]\w*)(?::([^{}\s\"']*))?\}")
_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")
_OPTIONS = {"now": ("", "ms", "iso"), "n": ("",), "unique": ("",)}

WORDS = ("{unique}", "{n}", "{now}", "{now:ms}", "{now:iso}", "{random:1..100}")
"""The fields that fill themselves, as they are written."""

NAMES = frozenset(("unique", "n", "now", "random"))


class Fill(msgspec.Struct, frozen=True):
    """A field that fills itself. `random`: a whole number from `low` to `high`, both included."""

    kind: Literal["unique", "n", "now", "now:ms", "now:iso", "random"]
    low: int = 0
    high: int = 0


class KeyField(msgspec.Struct, frozen=True):
    """A field that a key set fills."""

    name: str


class FieldError(ValueError):
    """A field whose word is known and whose option is not. `at` is where in the text it stands."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


Part: TypeAlias = str | KeyField | Fill


def split_fields(text: str, keys: Container[str]) -> list[Part]:
    """A text cut at its fields; names in `keys` are keys, before any word. Raises `FieldError`."""
    parts: list[Part] = []
    at = 0
    for match in _FIELD.finditer(text):
        name, option = match[1], match[2]
        field: Part
        if option is None and name in keys:
            field = KeyField(name)
        elif name in NAMES:
            field = _fill(match)
        else:
            continue
        parts += [text[at : match.start()], field]
        at = match.end()
    parts.append(text[at:])
    return [part for part in parts if part != ""]


def written(field: KeyField | Fill) -> str:
    """A field as it is written."""
    if isinstance(field, KeyField):
        return f"{{{field.name}}}"
    if field.kind == "random":
        return f"{{random:{field.low}..{field.high}}}"
    return f"{{{field.kind}}}"


def field_names(text: str) -> list[str]:
    """The names of `{name}` in a text, each once, whatever fills them."""
    return list(dict.fromkeys(match[1] for match in _FIELD.finditer(text) if match[2] is None))


def field_at(text: str, name: str) -> int:
    """Where `{name}` stands first in a text."""
    return next((m.start() for m in _FIELD.finditer(text) if m[1] == name), 0)


def _fill(match: re.Match[str]) -> Fill:
    name, option = match[1], match[2]
    if name == "random":
        bounds = _RANGE.fullmatch(option or "")
        low, high = (int(bounds[1]), int(bounds[2])) if bounds else (1, 0)
        if low > high:
            raise FieldError(
                f"{match[0]}: expected a range of whole numbers such as {{random:1..100}}",
                match.start(),
            )
        return Fill("random", low, high)
    if (option or "") not in _OPTIONS[name]:
        valid = ", ".join(word for word in WORDS if word.startswith((f"{{{name}}}", f"{{{name}:")))
        raise FieldError(f"{match[0]}: expected {valid}", match.start())
    return Fill(f"{name}:{option}" if option else name)  # type: ignore[arg-type]

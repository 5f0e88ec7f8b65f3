"""What is wrong with a service file, in words: the key, what was expected and what came."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches

from loadpath.spec.locate import KeyPath


class Problem(Exception):  # noqa: N818 - it becomes a ConfigurationError
    """A key at `path` says something that cannot be meant; the loader adds file and line."""

    def __init__(self, path: KeyPath, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.advice = advice


def dotted(path: KeyPath) -> str:
    """The path as TOML writes it: `operations."GET /{code}".expect[0]`."""
    text = ""
    for name in path:
        if isinstance(name, int):
            text += f"[{name}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", name)
            text += ("." if text else "") + (name if bare else json.dumps(name, ensure_ascii=False))
    return text


def wrong_value(path: KeyPath, expected: str, value: object, why: str = "") -> Problem:
    """The value at `path` is not what was expected."""
    reason = f" ({why})" if why else ""
    return Problem(path, f"`{dotted(path)}`: expected {expected}, got {shown(value)}{reason}")


def missing(path: KeyPath, expected: str, *, advice: str | None = None) -> Problem:
    """The key at `path` has to be there."""
    return Problem(path, f"`{dotted(path)}` is missing: expected {expected}", advice=advice)


def unknown(
    what: str, path: KeyPath, valid: Iterable[str], *, advice: str | None = None
) -> Problem:
    """The last name of `path` is none of the valid ones; `what` says a name of what."""
    name = str(path[-1])
    return Problem(
        path,
        f"unknown {what} `{name}`{within(path[:-1])}{hint(name, valid)}",
        advice=advice,
    )


def within(path: KeyPath) -> str:
    """` in [table]`, or nothing at the top of the file."""
    return f" in [{dotted(path)}]" if path else ""


def hint(name: str, valid: Iterable[str]) -> str:
    """`; did you mean …?`, or all that is valid when nothing is near."""
    known = sorted(valid)
    near = nearest(name, known)
    if near is not None:
        return f"; did you mean `{near}`?"
    if not known:
        return ""
    return "; valid: " + ", ".join(f"`{k}`" for k in known)


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that was probably meant, or None."""
    names = list(valid)
    folded = {n.casefold(): n for n in reversed(names)}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def shown(value: object) -> str:
    """A value as the file has it, short; tables and lists by their kind."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str | bool | int | float):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 60 else text[:57] + "…" + text[-1]
    return f"a {type(value).__name__}"

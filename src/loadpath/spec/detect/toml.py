"""TOML as people write it: keys bare where they can be, tables on one line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence


def string(text: str) -> str:
    """A basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A key, quoted only where it must be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else string(name)


def inline(value: object) -> str:
    """A string, number, boolean, list or table on one line. There is no null in TOML: what holds
    one raises `ValueError`."""
    if isinstance(value, str):
        return string(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key(str(n))} = {inline(v)}" for n, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(inline(v) for v in value)}]"
    raise ValueError(f"no TOML for {value!r}")

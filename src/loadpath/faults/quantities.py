"""Durations, sizes and rates as faults are told in, read and written: pure."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|kB|KB|MB)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)/s")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")

_UNITS = {"us": (1, 1_000_000), "ms": (1, 1000), "s": (1, 1), "min": (60, 1)}
_BYTES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 1_000_000}


def duration_s(word: str) -> float | None:
    """`200ms` → 0.2; None when it is no duration."""
    found = _DURATION.fullmatch(word)
    if found is None:
        return None
    times, parts = _UNITS[found[2]]
    return float(found[1]) * times / parts


def size_bytes(word: str) -> int | None:
    """`10kB` → 10000; None when it is no size, or none of at least a byte."""
    found = _SIZE.fullmatch(word)
    return round(float(found[1]) * _BYTES[found[2]]) or None if found else None


def rate_per_s(word: str) -> float | None:
    """`500/s` → 500.0; None when it is no rate."""
    found = _RATE.fullmatch(word)
    return float(found[1]) if found else None


def ordinal(word: str) -> int | None:
    """`3rd` → 3; None when it is no ordinal, or the zeroth."""
    found = _ORDINAL.fullmatch(word)
    return int(found[1]) or None if found else None


def duration_words(seconds: float) -> str:
    """The shortest way to write it."""
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.9g}s"
    return f"{seconds * 1e3:.9g}ms"


def size_words(size: int) -> str:
    """The shortest way to write it."""
    for unit, factor in (("MB", 1_000_000), ("kB", 1000)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def rate_words(rate: float) -> str:
    """`500/s`."""
    return f"{rate:.9g}/s"


def count_words(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 <= number % 100 <= 20 else ending}"

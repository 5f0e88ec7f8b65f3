"""Durations, rates and shares as a service file writes them, read into seconds and ratios."""

from __future__ import annotations

import math
import re

_NUMBER = r"(?P<number>\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"{_NUMBER}\s*(?P<unit>us|µs|ms|s|m|min|h)")
_RATE = re.compile(rf"{_NUMBER}\s*(?P<scale>k|M)?\s*/\s*(?P<unit>s|sec|m|min|h)")
_PERCENTAGE = re.compile(rf"{_NUMBER}\s*%")

_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0} | {
    "h": 3600.0
}
_SCALE = {None: 1.0, "k": 1e3, "M": 1e6}


def duration_s(text: str) -> float:
    """Seconds of `100ms`, `1.5s`, `2m`, `250us`, `1h`. A unit is required.

    Raises `ValueError`.
    """
    if not (found := _DURATION.fullmatch(text.strip())):
        raise ValueError(f"{text!r} is no duration")
    return _rounded(float(found["number"]) * _SECONDS[found["unit"]])


def positive_duration_s(text: str) -> float:
    """As `duration_s`, more than zero. Raises `ValueError`."""
    seconds = duration_s(text)
    if seconds <= 0:
        raise ValueError("a duration of zero makes no sense here")
    return seconds


def rate_per_s(text: str) -> float:
    """Requests per second of `200/s`, `12k/min`, `0.5M/h`; more than zero. Raises `ValueError`."""
    if not (found := _RATE.fullmatch(text.strip())):
        raise ValueError(f"{text!r} is no rate")
    rate = float(found["number"]) * _SCALE[found["scale"]] / _SECONDS[found["unit"]]
    if rate <= 0:
        raise ValueError("a rate of zero sends nothing")
    return rate


def ratio(value: str | float) -> float:
    """The ratio of `"0.1%"` or `0.001`, at least 0 and below 1. Raises `ValueError`.

    1 is refused as a number: one who writes it may mean one percent or all of them.
    """
    if isinstance(value, str) and (found := _PERCENTAGE.fullmatch(value.strip())):
        share = _rounded(float(found["number"]) / 100)
    else:
        share = float(value)
    if not 0 <= share < 1 or math.isnan(share):
        raise ValueError(f"{value!r} is no share between 0 and 1")
    return share


def _rounded(value: float) -> float:
    # 250 * 1e-6 is 0.00025 but 100 * 1e-6 is 9.999999999999999e-05: say what was written.
    return float(f"{value:.12g}")

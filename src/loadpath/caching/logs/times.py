"""The ways in which access logs write a time."""

from __future__ import annotations

from datetime import UTC, datetime

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)}


def common_time_s(text: str) -> float:
    """`10/Oct/2000:13:55:36 -0700` in Unix time. Raises `ValueError`."""
    day, month, rest = text.split("/", 2)
    year, hour, minute, second = rest[:13].split(":")
    if rest[13] != " " or len(rest) != 19 or month not in _MONTHS:
        raise ValueError(f"no time of the Common Log Format: {text}")
    when = datetime(
        int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC
    )
    offset_s = 3600 * int(rest[15:17]) + 60 * int(rest[17:19])
    return when.timestamp() - (offset_s if rest[14] == "+" else -offset_s)


def any_time_s(value: object) -> float:
    """A time as JSON logs have it, in Unix time: a number since 1970, ISO 8601, or as in Common.

    A number's unit is told by its size: seconds, milliseconds, microseconds or nanoseconds, for
    times after 1973. A time without a zone is taken as UTC. Raises `ValueError`.
    """
    if isinstance(value, str):
        text = value.strip().strip("[]")
        if "/" in text:
            return common_time_s(text)
        try:
            value = float(text)
        except ValueError:
            when = datetime.fromisoformat(text)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"no time: {value!r}")
    number = float(value)
    for _ in range(3):
        if number < 1e11:
            break
        number /= 1000
    if not 1e8 <= number < 1e11:
        raise ValueError(f"no time after 1973: {value!r}")
    return number

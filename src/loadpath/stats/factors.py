"""An estimate that is uncertain by a factor as well, for another reason than its scatter."""

from __future__ import annotations

import math

import msgspec

from loadpath.answer import Interval


def widened(found: Interval, low: float, high: float) -> Interval:
    """`found` when the true value may be from `low` (at most 1) to `high` (at least 1) times that.

    The two reasons are independent of each other, so on the logarithm, where factors add up, the
    distances to the value are added as the sides of a right triangle (propagation of independent
    errors, ISO/IEC Guide 98-3:2008, 5.1.2), each side by itself. Raises `ValueError` for factors on
    the wrong side of 1.
    """
    if not 0 <= low <= 1 <= high:
        raise ValueError(f"a factor from {low} to {high} does not hold 1")
    return msgspec.structs.replace(
        found,
        low=found.value * _together(min(1.0, found.low / found.value), low),
        high=found.value * _together(max(1.0, found.high / found.value), high),
    )


def _together(one: float, other: float) -> float:
    """Two factors on the same side of 1, or at it."""
    if one <= 0 or other <= 0:
        return 0.0
    if math.isinf(one) or math.isinf(other):
        return math.inf
    distance = math.hypot(math.log(one), math.log(other))
    return math.exp(-distance if min(one, other) < 1 else distance)

"""Where a response time quantile crosses its limit, from short stretches at several rates.

A queue's response times grow as 1 / (capacity − rate), so the limit divided by the quantile falls
on a line in the rate: 1 at the knee, 0 at the capacity. The line is fitted to all stretches at
once; each of them alone is too short to be believed.

Short stretches read late. A quantile far out is made of rare bursts, and most short stretches hold
fewer of them than their share, so they show less than the service would in the long run. By how
much follows from how many times the queue forgets within a stretch: its memory is about
limit / (2.3 · margin), with margin = 1 − knee / capacity. The share that a knee is read too high is
then `LATE` · √(margin · limit / length). `LATE` was fitted to exact simulations of M/D/1, M/D/2,
M/D/3 and M/D/10 queues at margins of 0.1 to 0.44, held for 2 to 10 s;
`tests/unit/stats/test_crossing.py` repeats them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from loadpath.answer import Interval
from loadpath.stats.batches import student_critical

LATE = 1.15
MARGIN_MIN = 0.02
MARGIN_UNKNOWN = 0.1

RATIO_RANGE = (0.2, 5.0)
"""Beyond, a stretch says that it is far from the knee, not how far: an overloaded one takes as
long as its queue had time to grow."""

USUAL_SPREAD = 0.3
USUAL_WEIGHT = 4
"""The relative spread of such a quantile about the line, and how many stretches that counts as:
three stretches that happen to lie on a line are no proof of precision."""


def crossing(
    rates: Sequence[float],
    ratios: Sequence[float],
    *,
    limit_s: float,
    stretch_s: float,
    confidence: float = 0.95,
) -> Interval | None:
    """The rate at which `ratios` (quantile ÷ limit) reach 1 in the long run; None: no line.

    `stretch_s` is how long a stretch was, on average. It takes three stretches near the knee, and
    at least one either side of it.
    """
    low, high = RATIO_RANGE
    near = [(r, 1 / q) for r, q in zip(rates, ratios, strict=True) if low <= q <= high]
    if len(near) < 3:
        return None
    x, y = (np.array(column) for column in zip(*near, strict=True))
    if y.min() > 1 or y.max() < 1 or np.ptp(x) == 0:
        return None
    # What is twice as large scatters twice as much.
    fitted = y
    for _ in range(4):
        weights = 1 / np.clip(fitted, 1 / high, 1 / low) ** 2
        total = float(weights.sum())
        x_mean, y_mean = float(weights @ x) / total, float(weights @ y) / total
        spread = float(weights @ (x - x_mean) ** 2)
        slope = float(weights @ ((x - x_mean) * (y - y_mean))) / spread
        if slope >= 0:
            return None
        fitted = y_mean + slope * (x - x_mean)
    degrees = len(x) - 2 + USUAL_WEIGHT
    residual = float(weights @ (y - fitted) ** 2) + USUAL_WEIGHT * USUAL_SPREAD**2
    value, capacity = x_mean + (1 - y_mean) / slope, x_mean - y_mean / slope
    if not value > 0:
        return None
    error = math.sqrt(residual / degrees * (1 / total + (value - x_mean) ** 2 / spread)) / -slope
    margin = max(MARGIN_MIN, 1 - value / capacity)
    late = lateness(limit_s, stretch_s, margin)
    half = math.hypot(late, student_critical(confidence, degrees) * error / value)
    value /= 1 + late
    return Interval(
        value,
        value * max(0.0, 1 - half),
        value * (1 + half),
        confidence,
        "line of limit ÷ quantile over the rate",
        len(x),
    )


def lateness(limit_s: float, stretch_s: float, margin: float = MARGIN_UNKNOWN) -> float:
    """By what share stretches of that length put a knee too high, on average."""
    return min(0.5, LATE * math.sqrt(margin * limit_s / stretch_s))

"""Phrases that answers share."""

from __future__ import annotations

import math

from loadpath.answer import Interval
from loadpath.figures import ms
from loadpath.spec import Objective

_MULTIPLE_FROM = 10.0


def limits(objective: Objective) -> str:
    """`p99 ≤ 50 ms`, or several joined by commas; without any, the errors that are allowed."""
    if not objective.quantiles:
        return f"errors ≤ {objective.errors_ratio * 100:g} %"
    return ", ".join(
        f"p{q.quantile * 100:g}".replace(".", "") + f" ≤ {ms(q.limit_s)}"
        for q in objective.quantiles
    )


AT_LEAST = "at least "


def change(ratio: Interval) -> str:
    """A ratio as a change with its interval: `−12 % (−20 to −4)`; of a single pair, without.

    From ten times on as a multiple, `52 × (38 to 71)`: nobody sees at once what +5,100 % is.
    """
    if math.isfinite(ratio.value) and ratio.value >= _MULTIPLE_FROM:
        single, unit = _multiple, "×"
    else:
        single, unit = _signed, "%"
    if ratio.samples < 2:
        return f"{single(ratio.value)} {unit}"
    return f"{single(ratio.value)} {unit} ({single(ratio.low)} to {single(ratio.high)})"


def _multiple(ratio: float) -> str:
    return "∞" if math.isinf(ratio) else f"{ratio:.2g}" if ratio < 99.5 else f"{ratio:,.0f}"


def _signed(ratio: float) -> str:
    if math.isinf(ratio):
        return "+∞"
    percent = (ratio - 1) * 100
    return f"{'−' if percent < 0 else '+'}{abs(percent):,.0f}"

"""Phrases that answers share."""

from __future__ import annotations

from loadpath.answer import Interval
from loadpath.figures import ms
from loadpath.spec import Objective


def limits(objective: Objective) -> str:
    """`p99 ≤ 50 ms`, or several joined by commas; without any, the errors that are allowed."""
    if not objective.quantiles:
        return f"errors ≤ {objective.errors_ratio * 100:g} %"
    return ", ".join(
        f"p{q.quantile * 100:g}".replace(".", "") + f" ≤ {ms(q.limit_s)}"
        for q in objective.quantiles
    )


def change(ratio: Interval) -> str:
    """A ratio as a change with its interval: `−12 % (−20 to −4)`; of a single pair, without."""
    if ratio.samples < 2:
        return f"{_signed(ratio.value)} %"
    return f"{_signed(ratio.value)} % ({_signed(ratio.low)} to {_signed(ratio.high)})"


def _signed(ratio: float) -> str:
    percent = (ratio - 1) * 100
    if percent > 999:
        return "+∞"
    return f"{'−' if percent < 0 else '+'}{abs(percent):.0f}"

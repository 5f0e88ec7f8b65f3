"""Phrases that answers share."""

from __future__ import annotations

import math

import pytest

from loadpath.answer import Interval
from loadpath.questions.words import change, limits
from loadpath.spec import Objective, QuantileLimit


def ratio(value: float, low: float, high: float, samples: int = 4) -> Interval:
    return Interval(value, low, high, 0.95, "by hand", samples)


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (ratio(0.88, 0.80, 0.96), "−12 % (−20 to −4)"),
        (ratio(1.31, 1.20, 1.43), "+31 % (+20 to +43)"),
        (ratio(1.02, 0.90, 1.15), "+2 % (−10 to +15)"),
        (ratio(1.29, 0.67, math.inf), "+29 % (−33 to +∞)"),
        (ratio(1.5, 0.0, math.inf, samples=1), "+50 %"),
        (ratio(9.5, 8.0, 12.0), "+850 % (+700 to +1,100)"),
        (ratio(52.0, 38.4, 71.2), "52 × (38 to 71)"),
        (ratio(1234.0, 0.9, math.inf), "1,234 × (0.9 to ∞)"),
        (ratio(math.inf, 3.0, math.inf), "+∞ % (+200 to +∞)"),
    ],
)
def test_a_ratio_is_told_as_a_change(interval: Interval, said: str) -> None:
    assert change(interval) == said


@pytest.mark.parametrize(
    ("quantiles", "said"),
    [
        ([(0.99, 0.05)], "p99 ≤ 50 ms"),
        ([(0.5, 0.0025), (0.999, 1.0)], "p50 ≤ 2.5 ms, p999 ≤ 1,000 ms"),
        ([(0.95, 0.25)], "p95 ≤ 250 ms"),
    ],
)
def test_limits(quantiles: list[tuple[float, float]], said: str) -> None:
    assert limits(Objective(tuple(QuantileLimit(*q) for q in quantiles))) == said


def test_an_objective_on_errors_alone_says_so() -> None:
    assert limits(Objective((), 0.001)) == "errors ≤ 0.1 %"

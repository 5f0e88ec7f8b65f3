"""A against B: the verdict follows from the interval, and drift falls on both alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.answer import Interval
from loadpath.stats import Verdict, compare, interleaved, judge_ratio


def interval(low: float, high: float, samples: int = 4) -> Interval:
    """Any interval of a ratio."""
    return Interval((low * high) ** 0.5, low, high, 0.95, "by hand", samples)


def test_the_order_is_a_b_b_a() -> None:
    """In either arm's favor nothing: each pair turns round."""
    assert "".join(interleaved(4)) == "ABBAABBA"
    assert interleaved(0) == ()


@given(st.integers(1, 20), st.floats(-5, 5))
def test_a_steady_drift_cancels_over_two_pairs(rounds: int, drift: float) -> None:
    """The sum of the places of A is that of B whenever the pairs are even in number."""
    places: dict[str, list[int]] = {"A": [], "B": []}
    for place, arm in enumerate(interleaved(2 * rounds)):
        places[arm].append(place)
    assert drift * sum(places["A"]) == drift * sum(places["B"])


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.10, 1.20, Verdict.BETTER),
        (1.01, 1.20, Verdict.BETTER),
        (0.80, 0.90, Verdict.WORSE),
        (0.97, 1.04, Verdict.SAME),
        (1.01, 1.04, Verdict.SAME),
        (0.90, 1.10, Verdict.CANNOT_TELL),
        (0.99, 1.06, Verdict.CANNOT_TELL),
        (float("-inf"), float("inf"), Verdict.CANNOT_TELL),
    ],
)
def test_verdicts(low: float, high: float, verdict: Verdict) -> None:
    """More is better; a certain difference below 5 % is none."""
    assert judge_ratio(interval(low, high), 1.05, higher_is_better=True) is verdict


@given(st.floats(0.5, 2), st.floats(1, 1.5))
def test_what_is_better_for_rates_is_worse_for_times(low: float, width: float) -> None:
    """The other two verdicts do not depend on it."""
    ratio = interval(low, low * width)
    turned = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
    rate = judge_ratio(ratio, higher_is_better=True)
    time = judge_ratio(ratio, higher_is_better=False)
    assert time is turned.get(rate, rate)


def test_one_pair_tells_nothing() -> None:
    """Without a second one there is no idea of the noise."""
    found = compare([100.0], [200.0], higher_is_better=True)
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.ratio.value == pytest.approx(2.0)


def test_pairs_see_through_drift_that_averages_do_not() -> None:
    """Capacity falls by half during the run; treatment is 8 % better in every pair."""
    level = np.linspace(100, 50, 6)
    found = compare(list(level), list(level * 1.08), higher_is_better=True)
    assert found.verdict is Verdict.BETTER
    assert found.ratio.value == pytest.approx(1.08)
    assert found.rounds == 6


@pytest.mark.parametrize(("effect", "wrong"), [(1.0, Verdict.BETTER), (1.2, Verdict.WORSE)])
def test_verdicts_are_seldom_wrong(effect: float, wrong: Verdict) -> None:
    """4 pairs, 4 % noise (what was seen in CPU time): a false verdict is rarer than stated."""
    random = np.random.default_rng(10)
    verdicts = [
        compare(
            list(100 * random.lognormal(0, 0.04, 4)),
            list(100 * effect * random.lognormal(0, 0.04, 4)),
            higher_is_better=True,
        ).verdict
        for _ in range(500)
    ]
    assert verdicts.count(wrong) / 500 <= 0.05
    if effect > 1:
        assert verdicts.count(Verdict.BETTER) / 500 >= 0.9


def test_a_smallest_ratio_of_one_means_nothing() -> None:
    """It would make every difference one that matters."""
    with pytest.raises(ValueError, match="above 1"):
        compare([1.0, 1.0], [1.0, 1.0], higher_is_better=True, smallest_ratio=1.0)

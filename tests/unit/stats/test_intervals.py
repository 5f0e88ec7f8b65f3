"""Intervals hold as often as they say, and say how they were made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.answer import Interval
from loadpath.stats import (
    correlated_ratio_interval,
    design_effect,
    mean_interval,
    quantile_interval,
    ratio_interval,
    ratio_of_pairs_interval,
    response_quantile_interval,
    sectioned_quantile_interval,
)

Floats = np.ndarray[Any, np.dtype[np.float64]]


def mm1_response_times(random: np.random.Generator, count: int, load: float) -> Floats:
    """Responses of a steady M/M/1 queue with mean service time 1, by Lindley's recursion (1952)."""
    warm = 3000
    between = random.exponential(1 / load, count + warm)
    service = random.exponential(1.0, count + warm)
    walk = np.concatenate([[0.0], np.cumsum(service[:-1] - between[1:])])
    return (walk - np.minimum.accumulate(walk) + service)[warm:]


def coverage(make: Callable[[np.random.Generator], Interval], truth: float, runs: int) -> float:
    """The share of intervals that hold the truth, from a fixed seed."""
    random = np.random.default_rng(20261122)
    intervals = [make(random) for _ in range(runs)]
    return sum(each.low <= truth <= each.high for each in intervals) / runs


def test_wilson_as_published() -> None:
    """81 of 263: the example of Newcombe (1998), table I, method 3."""
    found = ratio_interval(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert (found.samples, found.method, found.confidence) == (263, "Wilson", 0.95)
    none = ratio_interval(0, 20)
    assert (none.low, round(none.high, 4)) == (0.0, 0.1611)


@given(st.integers(0, 10**6), st.data(), st.sampled_from([0.8, 0.95, 0.999]))
def test_a_share_and_its_bounds_stay_shares(
    count: int, data: st.DataObject, confidence: float
) -> None:
    """Also with no events, or nothing but events, or no requests at all."""
    hits = data.draw(st.integers(0, count))
    found = ratio_interval(hits, count, confidence)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (found.low == 0) == (hits == 0)
    assert (found.high == 1) == (hits == count)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3])
def test_wilson_holds_as_often_as_it_says(share: float) -> None:
    """On average over counts; near 0 single counts swing a few percent either way."""
    found = coverage(
        lambda random: ratio_interval(int(random.binomial(n := 4000, share)), n), share, 2000
    )
    assert 0.93 <= found <= 0.975


def test_independent_events_get_about_wilsons_interval() -> None:
    """Judging correlation costs a little width, not much."""
    flags = np.random.default_rng(1).random(20_000) < 0.01
    plain = ratio_interval(int(flags.sum()), len(flags))
    batched = correlated_ratio_interval(flags)
    width = (batched.high - batched.low) / (plain.high - plain.low)
    assert 1.0 <= width < 2.0


def test_clumped_events_get_a_wider_one() -> None:
    """200 slow responses in one pause of the service tell less than 200 scattered ones."""
    flags = np.zeros(20_000)
    flags[7000:7200] = 1
    plain = ratio_interval(200, 20_000)
    batched = correlated_ratio_interval(flags)
    assert batched.value == plain.value
    assert batched.high - batched.low > 10 * (plain.high - plain.low)
    assert batched.samples < 200
    assert design_effect(flags) > 100


@pytest.mark.parametrize("flags", [[], [0], [1], [0, 0], [0, 1, 0]])
def test_a_handful_of_events_has_an_interval(flags: list[int]) -> None:
    """Wide, and never an error: the first second of a quiet service has few requests."""
    found = correlated_ratio_interval(flags)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_mean_by_student() -> None:
    """Student's own sleep data (1908), differences of the two drugs."""
    found = mean_interval([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert found.value == pytest.approx(1.58)
    assert (round(found.low, 4), round(found.high, 4)) == (0.7001, 2.4599)
    assert mean_interval([3.0]).high == math.inf
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=10),
    st.floats(0.01, 100),
)
def test_a_ratio_does_not_depend_on_units_or_sides(
    pairs: list[tuple[float, float]], unit: float
) -> None:
    """Milliseconds for seconds changes nothing; swapping the sides inverts the interval."""
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    found = ratio_of_pairs_interval(a, b)
    scaled = ratio_of_pairs_interval([x * unit for x in a], [y * unit for y in b])
    swapped = ratio_of_pairs_interval(b, a)
    for name in ("low", "value", "high"):
        assert getattr(scaled, name) == pytest.approx(getattr(found, name), rel=1e-6)
    assert swapped.low == pytest.approx(1 / found.high, rel=1e-6)
    assert swapped.value == pytest.approx(1 / found.value, rel=1e-6)


def test_a_ratio_needs_positive_pairs() -> None:
    """A rate of 0 has no ratio, and values without a partner no pair."""
    with pytest.raises(ValueError, match="above 0"):
        ratio_of_pairs_interval([1.0, 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="2 baselines for 1"):
        ratio_of_pairs_interval([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("q", "count"), [(0.5, 20), (0.9, 200), (0.99, 2000)])
def test_order_statistics_hold_whatever_the_distribution(q: float, count: int) -> None:
    """At least as often as stated (they are conservative), for a heavy tail too."""
    truth = (1 - q) ** (-1 / 1.5) - 1
    found = coverage(lambda random: quantile_interval(random.pareto(1.5, count), q), truth, 1500)
    assert 0.94 <= found <= 0.985


def test_order_statistics_by_the_table() -> None:
    """Median of 20 at 95 %: the 6th and the 15th (Conover 1999, table A3)."""
    found = quantile_interval(np.arange(1, 21), 0.5)
    assert (found.low, found.high) == (6, 15)


@pytest.mark.parametrize("interval", [quantile_interval, response_quantile_interval])
def test_too_few_values_leave_a_quantile_open_above(
    interval: Callable[[Floats, float], Interval],
) -> None:
    """100 requests cannot bound a p99 from above."""
    found = interval(np.random.default_rng(1).exponential(1, 100), 0.99)
    assert found.high == math.inf
    assert 0 < found.low <= found.value


def test_independent_values_by_batches_hold_too() -> None:
    """The method for correlated values is right, if wider, for independent ones."""
    found = coverage(
        lambda random: response_quantile_interval(random.exponential(1, 4000), 0.99),
        -math.log(0.01),
        300,
    )
    assert found >= 0.95


def test_queues_remember_so_intervals_must_be_wider() -> None:
    """p99 of an M/M/1 queue at half load: batched intervals hold, the others pretend."""
    truth = -math.log(0.01) / (1 - 0.5)
    held = {
        interval: coverage(
            lambda random, interval=interval: interval(mm1_response_times(random, 4000, 0.5), 0.99),  # type: ignore[misc]
            truth,
            200,
        )
        for interval in (
            quantile_interval,
            sectioned_quantile_interval,
            response_quantile_interval,
        )
    }
    assert held[quantile_interval] < 0.75
    assert held[sectioned_quantile_interval] > 0.75
    assert held[response_quantile_interval] > 0.87
    assert held[response_quantile_interval] > held[sectioned_quantile_interval]


def test_requests_that_never_finished_open_the_interval() -> None:
    """0.8 % unfinished: the p99 is a number, its upper bound is not."""
    values = np.random.default_rng(2).exponential(0.01, 5000)
    values[::125] = np.nan
    for interval in (quantile_interval, response_quantile_interval):
        found = interval(values, 0.99)
        assert math.isfinite(found.value)
        assert found.high == math.inf
    values[1000:1250] = np.nan
    assert sectioned_quantile_interval(values, 0.99).high == math.inf


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200),
    st.floats(0.01, 0.99),
    st.sampled_from([0.8, 0.95]),
)
def test_a_quantile_lies_within_its_interval(
    values: list[float], q: float, confidence: float
) -> None:
    """For any values, few or many, tied or not."""
    for interval in (quantile_interval, response_quantile_interval):
        found = interval(values, q, confidence)
        assert found.low <= found.value <= found.high

"""Schedules: sorted, at the rate that was asked for, with the laws of their process."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.drive.arrivals import (
    choose_operations,
    expected_arrivals,
    open_arrivals,
    think_times,
)
from loadpath.drive.plan import OpenLoad

rates = st.floats(0.5, 5000)
durations = st.floats(0.1, 20)


@st.composite
def loads(draw: st.DrawFn) -> OpenLoad:
    return OpenLoad(
        rate_per_s=draw(rates),
        end_rate_per_s=draw(st.none() | rates),
        process=draw(st.sampled_from(["poisson", "constant"])),
    )


@given(loads(), durations, st.integers(0, 2**32))
def test_arrivals_are_sorted_and_within_the_segment(
    load: OpenLoad, duration_s: float, seed: int
) -> None:
    times = open_arrivals(load, duration_s, np.random.default_rng(seed))
    assert (np.diff(times) >= 0).all()
    assert len(times) == 0 or (times[0] >= 0 and times[-1] < duration_s)


@given(loads(), durations, st.integers(0, 2**32))
def test_the_number_of_arrivals_is_that_of_the_integrated_rate(
    load: OpenLoad, duration_s: float, seed: int
) -> None:
    count = len(open_arrivals(load, duration_s, np.random.default_rng(seed)))
    expected = expected_arrivals(load, duration_s)
    if load.process == "constant":
        assert abs(count - expected) <= 1
    else:
        # Seven standard deviations of a Poisson count, and room for small means.
        assert abs(count - expected) <= 7 * math.sqrt(expected) + 10


def test_a_constant_rate_has_equal_gaps() -> None:
    load = OpenLoad(rate_per_s=100, process="constant")
    times = open_arrivals(load, 3.0, np.random.default_rng(1))
    assert times.tolist() == pytest.approx((np.arange(300) / 100).tolist())


def test_poisson_gaps_are_exponential_and_independent() -> None:
    times = open_arrivals(OpenLoad(rate_per_s=1000), 100.0, np.random.default_rng(2))
    gaps = np.diff(times) * 1000
    assert gaps.mean() == pytest.approx(1, abs=0.02)
    assert gaps.std() == pytest.approx(1, abs=0.03)
    # The share of gaps beyond x is exp(-x).
    for x in (0.1, 0.5, 1.0, 2.0, 4.0):
        assert (gaps > x).mean() == pytest.approx(math.exp(-x), abs=0.01)
    assert np.corrcoef(gaps[:-1], gaps[1:])[0, 1] == pytest.approx(0, abs=0.02)
    counts = np.histogram(times, bins=1000)[0]
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("process", ["poisson", "constant"])
@pytest.mark.parametrize("end_rate_per_s", [50.0, 8000.0])
def test_a_ramp_has_the_rate_it_should_have_at_every_moment(
    process: str, end_rate_per_s: float
) -> None:
    load = OpenLoad(rate_per_s=500, end_rate_per_s=end_rate_per_s, process=process)  # type: ignore[arg-type]
    times = open_arrivals(load, 40.0, np.random.default_rng(3))
    edges = np.linspace(0, 40, 21)
    counts = np.histogram(times, bins=edges)[0]
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        middle = load.rate_at((low + high) / 2, 40.0)
        # Over 2 s the geometric mean of the rate is nearly its mean.
        assert count == pytest.approx(2 * middle, rel=0.02, abs=6 * math.sqrt(2 * middle))
    assert load.rate_at(0, 40) == 500
    assert load.rate_at(40, 40) == pytest.approx(end_rate_per_s)
    assert load.rate_at(20, 40) == pytest.approx(math.sqrt(500 * end_rate_per_s))


def test_a_rate_of_zero_has_no_arrivals() -> None:
    assert len(open_arrivals(OpenLoad(rate_per_s=0), 10.0, np.random.default_rng(4))) == 0


def test_a_seed_gives_the_same_schedule() -> None:
    def draw(seed: int) -> list[float]:
        return open_arrivals(OpenLoad(rate_per_s=100), 5.0, np.random.default_rng(seed)).tolist()

    assert draw(1) == draw(1) != draw(2)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=6), st.integers(0, 2**32))
def test_operations_are_chosen_by_weight(weights: list[float], seed: int) -> None:
    chosen = choose_operations(weights, 5000, np.random.default_rng(seed))
    shares = np.bincount(chosen, minlength=len(weights)) / 5000
    expected = np.array(weights) / sum(weights)
    assert np.abs(shares - expected).max() < 6 * math.sqrt(0.25 / 5000)


def test_think_times_are_exponential_with_the_mean_asked_for() -> None:
    times = think_times(0.5, 20_000, np.random.default_rng(5))
    assert times.mean() == pytest.approx(0.5, rel=0.04)
    assert (times > 1.0).mean() == pytest.approx(math.exp(-2), abs=0.01)
    assert think_times(0.0, 3, np.random.default_rng(5)).tolist() == [0, 0, 0]

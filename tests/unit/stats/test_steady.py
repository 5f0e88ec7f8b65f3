"""Warm-up is cut off, growing queues are noticed, steady ones are left in peace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.stats import batch_means, is_drifting, lag1_correlation, trend, warmup

Floats = np.ndarray[Any, np.dtype[np.float64]]


def ar1(random: np.random.Generator, count: int, memory: float) -> Floats:
    """A series that remembers: mean 100, each value `memory` times the deviation before."""
    noise = random.normal(size=count)
    values = np.empty(count)
    deviation = noise[0] / math.sqrt(1 - memory**2)
    for i in range(count):
        deviation = memory * deviation + noise[i]
        values[i] = deviation
    return values + 100


def queue(random: np.random.Generator, count: int, load: float) -> Floats:
    """Response times of an M/M/1 queue that starts empty."""
    between, service = random.exponential(1 / load, count), random.exponential(1.0, count)
    walk = np.concatenate([[0.0], np.cumsum(service[:-1] - between[1:])])
    return np.asarray(walk - np.minimum.accumulate(walk) + service)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_the_warm_up_is_found(memory: float) -> None:
    """400 values that fall to the steady level, in 2,000: cut near their end."""
    random = np.random.default_rng(4)
    transient = np.r_[np.linspace(20, 0, 400), np.zeros(1600)]
    cuts = [warmup(ar1(random, 2000, memory) + transient) for _ in range(40)]
    assert 300 <= np.median([cut.index for cut in cuts]) <= 420
    assert sum(cut.settled for cut in cuts) >= 38


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_a_steady_series_is_kept(memory: float) -> None:
    """Nearly all of it, nearly always."""
    random = np.random.default_rng(5)
    cuts = [warmup(ar1(random, 2000, memory)).index for _ in range(40)]
    assert np.median(cuts) <= 20


def test_a_series_that_never_settles_says_so() -> None:
    """The minimum then lies at the end of what is searched."""
    assert not warmup(np.linspace(0, 1, 200)).settled


def test_warm_up_needs_some_values() -> None:
    """Four batches of five."""
    with pytest.raises(ValueError, match="MSER-5 needs 20"):
        warmup(np.zeros(19))


def test_mann_and_kendall_by_hand() -> None:
    """S = 8 of 10 pairs, variance 16.67: z = 7 / 4.08 (Kendall's own small tables)."""
    found = trend([1.0, 2.0, 3.0, 5.0, 4.0])
    assert found.p_value == pytest.approx(0.0864, abs=5e-4)
    assert found.change == pytest.approx(4 * 1.0)
    assert found.change_ratio == pytest.approx(4 / 3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=40))
def test_a_trend_turned_round_is_the_opposite(values: list[float]) -> None:
    """The same certainty, the other sign."""
    there, back = trend(values), trend(values[::-1])
    assert back.change == pytest.approx(-there.change, abs=1e-6)
    assert back.p_value == pytest.approx(there.p_value, abs=1e-6)
    assert 0 <= there.p_value <= 1


def test_a_constant_series_has_no_trend() -> None:
    """And nothing divides by its variance of 0."""
    assert trend([3.0] * 10).p_value == 1
    assert not is_drifting([3.0] * 100)


@pytest.mark.parametrize("load", [0.5, 0.8, 0.9])
def test_a_busy_queue_is_not_called_drifting(load: float) -> None:
    """It wanders, which is what correlation is; false alarms stay within their share."""
    random = np.random.default_rng(6)
    alarms = [is_drifting(queue(random, 4000, load)) for _ in range(150)]
    assert np.mean(alarms) <= 0.02


def test_an_overloaded_queue_is_drifting() -> None:
    """10 % too much load for 4,000 requests."""
    random = np.random.default_rng(7)
    assert np.mean([is_drifting(queue(random, 4000, 1.1)) for _ in range(100)]) >= 0.9


def test_a_certain_but_small_change_is_not_drift() -> None:
    """3 % over the whole stretch, with no noise at all."""
    values = np.linspace(1.0, 1.03, 2000)
    assert not is_drifting(values)
    assert is_drifting(values, smallest_ratio=0.01)


def test_requests_that_stop_finishing_are_drift() -> None:
    """Responses that grow until the last ones never came; or a tenth and more that did not."""
    assert is_drifting(np.r_[np.linspace(1, 5, 950), np.full(50, np.inf)])
    assert is_drifting(np.r_[np.random.default_rng(8).exponential(1, 500), np.full(500, np.inf)])
    assert is_drifting(np.full(100, np.nan))
    assert not is_drifting(np.r_[np.random.default_rng(8).exponential(1, 999), [np.nan]])
    assert not is_drifting([1.0, 2.0])


def test_batches_cover_every_value_once() -> None:
    """Their mean, weighted by size, is the mean of all."""
    values = np.arange(103.0)
    means = batch_means(values, 10)
    assert len(means) == 10
    assert means[0] == 4.5
    assert means[-1] == np.mean(values[92:])
    with pytest.raises(ValueError, match="3 values cannot be cut into 4"):
        batch_means([1, 2, 3], 4)


def test_memory_is_measured() -> None:
    """The correlation of an AR(1) series is its coefficient."""
    random = np.random.default_rng(9)
    assert lag1_correlation(ar1(random, 20_000, 0.7)) == pytest.approx(0.7, abs=0.02)
    assert lag1_correlation([1.0, 1.0, 1.0]) == 0

"""Exponents are recovered within their interval; traces that follow no law are not given one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from loadpath.caching.zipf import Kind, fit_popularity

Keys = npt.NDArray[np.int64]
Rng = np.random.Generator


def drawn(rng: Rng, weights: npt.ArrayLike, count: int) -> Keys:
    array = np.asarray(weights, dtype=np.float64)
    return rng.choice(len(array), size=count, p=array / array.sum())


def zipf(rng: Rng, count: int, keys: int, exponent: float) -> Keys:
    return drawn(rng, np.arange(1, keys + 1.0) ** -exponent, count)


def test_the_exponent_lies_within_its_interval() -> None:
    rng = np.random.default_rng(11)
    laws = [(5000, 500, 0.8), (20000, 5000, 1.0), (20000, 100_000, 1.2), (20000, 1000, 0.5)]
    held = 0
    for count, keys, exponent in laws * 3:
        found = fit_popularity(zipf(rng, count, keys, exponent))
        assert found.kind is Kind.POWER_LAW
        assert found.exponent is not None
        assert found.exponent.value == pytest.approx(exponent, abs=0.06)
        held += found.exponent.low <= exponent <= found.exponent.high
    assert held >= 10


def test_the_size_of_the_catalogue_is_found_beyond_what_was_seen() -> None:
    found = fit_popularity(zipf(np.random.default_rng(1), 40_000, 20_000, 0.9))
    assert found.keys < 13_000
    assert found.catalogue == pytest.approx(20_000, rel=0.15)


def once(rng: Rng) -> Keys:
    """A third of the requests are for keys that never come again."""
    return rng.permutation(np.r_[zipf(rng, 20_000, 3000, 1.0), 10**6 + np.arange(10_000)])


def scanned(rng: Rng) -> Keys:
    """A crawler goes through everything three times."""
    return np.r_[zipf(rng, 15_000, 5000, 1.0), np.tile(np.arange(5000), 3)]


@pytest.mark.parametrize(
    "trace",
    [
        once,
        scanned,
        lambda rng: drawn(rng, 0.998 ** np.arange(5000), 30_000),
        lambda rng: drawn(rng, np.r_[np.full(50, 100.0), np.full(5000, 0.5)], 30_000),
        lambda rng: drawn(rng, rng.lognormal(0, 2, 3000), 30_000),
        lambda rng: np.r_[zipf(rng, 24_000, 3000, 0.9), np.full(6000, 7)],  # a flash crowd
    ],
)
def test_what_is_no_power_law_is_called_none(trace: Callable[[Rng], Keys]) -> None:
    assert fit_popularity(trace(np.random.default_rng(5))).kind is Kind.OTHER


def test_a_law_that_holds_in_the_sum_only_is_told_from_one_that_lasts() -> None:
    rng = np.random.default_rng(3)
    found = fit_popularity(np.sort(zipf(rng, 20_000, 3000, 1.0)))  # each key in one burst
    assert found.kind is Kind.MOVING
    assert found.moving > 0.3
    assert fit_popularity(zipf(rng, 20_000, 3000, 1.0)).moving == 0


def test_equal_popularity_is_uniform_and_few_requests_say_nothing() -> None:
    rng = np.random.default_rng(2)
    assert fit_popularity(rng.integers(0, 3000, 30_000)).kind is Kind.UNIFORM
    few = fit_popularity(rng.integers(0, 50, 100))
    assert (few.kind, few.exponent) == (Kind.TOO_FEW, None)
    assert fit_popularity(np.array([], dtype=np.int64)).kind is Kind.TOO_FEW


def test_one_hit_wonders_and_the_share_of_the_top_are_counted() -> None:
    found = fit_popularity(np.r_[np.full(900, 1), np.arange(10, 110)])
    assert (found.requests, found.keys, found.once_keys) == (1000, 101, 100)
    assert found.top_share == pytest.approx(0.9)

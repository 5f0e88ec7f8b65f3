"""Quantiles are observations, exact, with what never finished as the slowest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.stats import quantile, quantiles

times = st.floats(0, 1e6)
samples = st.lists(times, min_size=1, max_size=300)


@given(samples, st.floats(0, 1))
def test_agrees_with_type_1_of_hyndman_and_fan(values: list[float], q: float) -> None:
    """numpy's `inverted_cdf` is the same definition; a share that is a rank but for rounding may
    differ there, so those are left to the next test."""
    if abs(q * len(values) - round(q * len(values))) > 1e-9:
        assert quantile(values, q) == np.quantile(values, q, method="inverted_cdf")


@pytest.mark.parametrize("count", [100, 1000, 10_000])
def test_rounding_does_not_shift_a_rank(count: int) -> None:
    """0.07 × 100 is a little above 7 in binary; the 7 % quantile of 1…100 is still 7."""
    values = np.arange(1, count + 1)
    for percent in range(1, 101):
        assert quantile(values, percent / 100) == percent * count / 100


@given(samples, st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_several_at_once_are_each_the_same(values: list[float], qs: list[float]) -> None:
    """In the order asked, repeated ones too."""
    assert quantiles(values, qs).tolist() == [quantile(values, q) for q in qs]


@given(st.lists(times, min_size=5, max_size=200), st.data())
def test_missing_replies_never_make_a_quantile_better(
    values: list[float], data: st.DataObject
) -> None:
    """Losing the replies of some requests can only raise the quantile of the response time."""
    lost = data.draw(st.sets(st.integers(0, len(values) - 1)))
    kept = [math.nan if i in lost else value for i, value in enumerate(values)]
    for q in (0.5, 0.9, 0.99):
        assert quantile(kept, q) >= quantile(values, q)


def test_a_quantile_among_the_missing_is_infinite() -> None:
    """2 % never finished: the p99 is not any number that was measured."""
    values = np.r_[np.full(98, 0.01), [np.nan, np.nan]]
    assert quantile(values, 0.98) == 0.01
    assert quantile(values, 0.99) == math.inf


def test_no_values_have_no_quantile() -> None:
    """Rather an error than a number made up; so too for a share that is none."""
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)
    with pytest.raises(ValueError, match=r"not at 99"):
        quantile([1.0], 99)

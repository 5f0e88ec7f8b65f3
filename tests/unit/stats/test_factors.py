"""Intervals of what is uncertain by a factor as well."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.answer import Interval
from loadpath.stats.factors import widened


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value, low, high, 0.95, "", 5)


def test_a_certain_factor_changes_nothing() -> None:
    found = interval(100.0, 80.0, 130.0)
    again = widened(found, 1.0, 1.0)
    assert (again.low, again.high) == (pytest.approx(80.0), pytest.approx(130.0))


def test_what_is_known_exactly_takes_the_factor() -> None:
    found = widened(interval(100.0, 100.0, 100.0), 0.8, 1.5)
    assert (found.value, found.low, found.high) == pytest.approx((100.0, 80.0, 150.0))


def test_two_equal_reasons_widen_by_the_root_of_two() -> None:
    found = widened(interval(100.0, 50.0, 200.0), 0.5, 2.0)
    assert math.log2(found.high / 100) == pytest.approx(math.sqrt(2))
    assert math.log2(100 / found.low) == pytest.approx(math.sqrt(2))


def test_an_open_end_stays_open() -> None:
    found = widened(interval(100.0, 0.0, math.inf), 0.5, 2.0)
    assert (found.low, found.high) == (0.0, math.inf)


def test_a_factor_has_a_side() -> None:
    with pytest.raises(ValueError, match="does not hold 1"):
        widened(interval(100.0, 80.0, 130.0), 1.1, 1.2)


@given(
    low=st.floats(0.1, 1.0),
    high=st.floats(1.0, 10.0),
    down=st.floats(0.1, 1.0),
    up=st.floats(1.0, 10.0),
)
def test_it_is_wider_than_either_reason_and_no_wider_than_both_at_once(
    low: float, high: float, down: float, up: float
) -> None:
    found = widened(interval(1.0, low, high), down, up)
    assert low * down * (1 - 1e-9) <= found.low <= min(low, down) * (1 + 1e-9)
    assert max(high, up) * (1 - 1e-9) <= found.high <= high * up * (1 + 1e-9)

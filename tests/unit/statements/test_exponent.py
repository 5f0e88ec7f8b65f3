"""The exponent of growth: exact for powers, blind to one level of a tree more."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.statements.exponent import exponent, growing


@given(
    power=st.floats(0, 2),
    pages=st.lists(st.floats(50, 1e5), min_size=1, max_size=8),
    weight=st.integers(1, 50),
)
def test_a_power_law_gives_its_power(power: float, pages: list[float], weight: int) -> None:
    work = {times: [each * times**power for each in pages] for times in (1, 4, 16)}
    found = exponent(work, [weight, *[1] * (len(pages) - 1)])
    assert found is not None
    assert found.value == pytest.approx(power, abs=1e-9)
    assert found.low == pytest.approx(power, abs=1e-6)
    assert found.high == pytest.approx(power, abs=1e-6)


def test_one_more_level_of_a_tree_is_no_growth() -> None:
    found = exponent({1: [3.0], 4: [4.0], 16: [5.0]}, [1])
    assert found is not None
    assert growing(found.value) == "lookup"


def test_the_interval_holds_what_each_step_and_each_key_says() -> None:
    found = exponent({1: [100.0, 10.0], 4: [400.0, 10.0], 16: [1600.0, 10.0]}, [1, 1])
    assert found is not None
    assert found.low <= 0.05
    assert found.high >= 0.99


def test_a_set_that_is_not_known_everywhere_is_left_out() -> None:
    found = exponent({1: [100.0, 50.0], 4: [400.0, math.nan]}, [1, 9])
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert found.samples == 1


def test_one_size_has_no_exponent() -> None:
    assert exponent({1: [100.0]}, [1]) is None


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, "lookup"), (0.3, "log"), (1.0, "linear"), (1.9, "worse")]
)
def test_classes(value: float, expected: str) -> None:
    assert growing(value) == expected

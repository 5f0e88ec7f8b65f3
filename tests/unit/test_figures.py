"""Figures as people say them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.figures import data_size, lifetime, ms, per_second, share, times


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.00038, "0.38 ms"),
        (0.0041, "4.1 ms"),
        (0.25, "250 ms"),
        (2.5, "2,500 ms"),
        (0.0, "0 ms"),
        (math.inf, "never"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_milliseconds(seconds: float | None, said: str) -> None:
    assert ms(seconds) == said


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (2931.0, "2,930/s"),
        (482.3, "482/s"),
        (48.23, "48.2/s"),
        (4.823, "4.82/s"),
        (0.5, "0.5/s"),
        (12_345.0, "12,300/s"),
        (999.6, "1,000/s"),
        (99.96, "100/s"),
        (0.0, "0/s"),
    ],
)
def test_rates(rate: float, said: str) -> None:
    assert per_second(rate) == said


@given(st.floats(0.01, 1e7))
def test_a_rate_as_said_is_the_rate_to_three_figures(rate: float) -> None:
    said = per_second(rate)
    assert said.endswith("/s")
    digits = said.removesuffix("/s").replace(",", "")
    assert float(digits) == pytest.approx(rate, rel=0.0051)
    assert len(digits.replace(".", "").strip("0")) <= 3


@pytest.mark.parametrize(
    ("scale", "said"), [(14.4, "14 ×"), (1.83, "1.8 ×"), (9.97, "10 ×"), (0.25, "0.25 ×")]
)
def test_multiples(scale: float, said: str) -> None:
    assert times(scale) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.5, "0.5 s"),
        (30, "30 s"),
        (60, "1 min"),
        (100, "100 s"),
        (5400, "90 min"),
        (9000, "2.5 h"),
        (604800, "7 d"),
        (math.inf, "no end"),
    ],
)
def test_times_to_live(seconds: float, said: str) -> None:
    assert lifetime(seconds) == said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (999.9, "1 kB"),
        (4200, "4.2 kB"),
        (1.05e9, "1.05 GB"),
        (12e12, "12 TB"),
        (12345e12, "12,345 TB"),
    ],
)
def test_sizes_of_data(size: float, said: str) -> None:
    assert data_size(size) == said


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.914, "91.4 %"),
        (0.034, "3.4 %"),
        (0.0002, "0.02 %"),
        (0.99983, "99.98 %"),
        (0.9999999, "> 99.99 %"),
        (1e-7, "< 0.01 %"),
    ],
)
def test_shares(ratio: float, said: str) -> None:
    assert share(ratio) == said

"""Durations, rates and shares, as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loadpath.spec import quantities


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (quantities.duration_s, "100ms", 0.1),
        (quantities.duration_s, "1s", 1.0),
        (quantities.duration_s, "1.5 s", 1.5),
        (quantities.duration_s, "2m", 120.0),
        (quantities.duration_s, "2min", 120.0),
        (quantities.duration_s, "250us", 0.00025),
        (quantities.duration_s, "100µs", 0.0001),
        (quantities.duration_s, "1h", 3600.0),
        (quantities.duration_s, "0s", 0.0),
        (quantities.rate_per_s, "200/s", 200.0),
        (quantities.rate_per_s, "12k/min", 200.0),
        (quantities.rate_per_s, "1.8 M / h", 500.0),
        (quantities.ratio, "0.1%", 0.001),
        (quantities.ratio, "5 %", 0.05),
        (quantities.ratio, 0.001, 0.001),
        (quantities.ratio, "0.001", 0.001),
        (quantities.ratio, 0, 0.0),
    ],
)
def test_is_read_exactly(
    read: Callable[[str | float], float], text: str | float, value: float
) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (quantities.duration_s, "100"),
        (quantities.duration_s, "fast"),
        (quantities.duration_s, "-1s"),
        (quantities.duration_s, "1 fortnight"),
        (quantities.positive_duration_s, "0ms"),
        (quantities.rate_per_s, "200"),
        (quantities.rate_per_s, "0/s"),
        (quantities.rate_per_s, "200/day"),
        (quantities.ratio, 1),
        (quantities.ratio, "100%"),
        (quantities.ratio, -0.1),
        (quantities.ratio, float("nan")),
        (quantities.ratio, "few"),
    ],
)
def test_what_is_ambiguous_or_senseless_is_refused(
    read: Callable[[str | float], float], text: str | float
) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(text)

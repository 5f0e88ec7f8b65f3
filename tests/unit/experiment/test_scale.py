"""Loads as multiples of the workload's own, and in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.drive import ClosedLoad, OpenLoad
from loadpath.experiment.scale import describe, load_at
from loadpath.spec import ClosedArrivals, OpenArrivals


def test_a_rate_is_multiplied_and_keeps_its_process() -> None:
    assert load_at(OpenArrivals(200.0, "constant"), 2.5) == OpenLoad(
        rate_per_s=500.0, process="constant"
    )


def test_a_ramp_runs_on_to_the_end_scale() -> None:
    load = load_at(OpenArrivals(200.0), 0.5, end_scale=4.0)
    assert isinstance(load, OpenLoad)
    assert (load.rate_per_s, load.end_rate_per_s) == (100.0, 800.0)
    assert load.rate_at(10.0, 20.0) == pytest.approx((100 * 800) ** 0.5)


@given(st.integers(1, 10_000), st.floats(0.001, 100))
def test_users_come_whole_and_never_none(users: int, scale: float) -> None:
    load = load_at(ClosedArrivals(users, 1.5), scale)
    assert isinstance(load, ClosedLoad)
    assert load.users >= 1
    assert load.users == pytest.approx(users * scale, abs=1)
    assert load.think_time_s == 1.5


@pytest.mark.parametrize(
    ("arrivals", "scale", "said"),
    [
        (OpenArrivals(200.0), 14.6, "2,920/s"),
        (OpenArrivals(200.0), 0.2413, "48.3/s"),
        (ClosedArrivals(100, 1.0), 1.4, "140 users"),
        (ClosedArrivals(1000, 1.0), 12.0, "12,000 users"),
        (ClosedArrivals(1, 1.0), 1.0, "1 user"),
    ],
)
def test_loads_are_told_as_people_say_them(
    arrivals: OpenArrivals | ClosedArrivals, scale: float, said: str
) -> None:
    assert describe(arrivals, scale) == said

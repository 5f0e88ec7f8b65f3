"""What arms are driven with: the same rates, ramps beyond both knees, as long as time allows."""

from __future__ import annotations

import pytest
from golden_recordings import setup
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loadpath.experiment.knee import RAMP_WINDOW_S
from loadpath.experiment.verifying import (
    VerifyDepth,
    alike,
    exactly,
    loads_around,
    more_load,
    ramp_duration_s,
    round_s,
    shifted,
    shortened_to,
)
from loadpath.spec import ClosedArrivals, OpenArrivals


def test_a_ramp_begins_below_both_knees_and_ends_beyond_both() -> None:
    for foretold in ((2.0,), (0.5,), (1.0,), ()):
        low, high = loads_around((60.0,), 200.0, foretold).ramp_per_s
        knees = (200.0, *(200.0 * ratio for ratio in foretold))
        assert low < 0.8 * min(knees)
        assert high > 1.5 * max(knees)


def test_a_wider_ramp_takes_longer_and_rises_as_fast() -> None:
    depth = VerifyDepth()
    narrow, wide = loads_around((60.0,), 200.0, ()), loads_around((60.0,), 200.0, (3.0,))
    assert ramp_duration_s(depth.ramp_s, narrow.ramp_per_s) == pytest.approx(depth.ramp_s)
    assert ramp_duration_s(depth.ramp_s, wide.ramp_per_s) > 1.5 * depth.ramp_s


def test_every_round_ramps_from_within_the_first_window_of_the_others() -> None:
    rates = (100.0, 400.0)
    window = 4 ** (RAMP_WINDOW_S / 10)
    begun = [shifted(rates, 10.0, number) for number in range(6)]
    assert begun[0] == rates
    assert len({low for low, _ in begun}) == 6
    for low, high in begun:
        assert 100 <= low < 100 * window
        assert high / low == pytest.approx(4)


@given(left_s=st.floats(0, 1000), arms=st.integers(2, 8), rates=st.integers(1, 3))
def test_what_is_shortened_never_takes_longer_and_is_never_nothing(
    left_s: float, arms: int, rates: int
) -> None:
    depth, loads = VerifyDepth(), loads_around((60.0,) * rates, 200.0, (2.0,))
    shorter = shortened_to(depth, left_s, arms, loads)
    assert round_s(shorter, arms, loads) <= round_s(depth, arms, loads) + 1e-9
    assert shorter.hold_s >= 2
    assert shorter.ramp_s >= 5
    assert shortened_to(depth, 1e6, arms, loads) == depth


def test_exactly_so_many_rounds_are_not_repeated_nor_ended_early() -> None:
    depth = exactly(VerifyDepth(), 2)
    assert (depth.rounds, depth.repeats, depth.least, depth.precision) == (2, 0, 2, 0.0)
    assert exactly(VerifyDepth(), None) == VerifyDepth()


def test_a_relay_of_one_arm_stands_in_all() -> None:
    base = setup()
    arms = alike(
        base, {"B": replace(base, delays={"database": 0.005}), "C": replace(base, workers=4)}
    )
    assert {letter: arm.delays for letter, arm in arms.items()} == {
        "A": {"database": 0.0},
        "B": {"database": 0.005},
        "C": {"database": 0.0},
    }
    assert alike(base, {"B": base})["A"].delays == {}


def test_more_users_are_so_many_times_the_load() -> None:
    base = setup(arrivals=OpenArrivals(100.0))
    assert more_load(base, setup(arrivals=OpenArrivals(250.0))) == 2.5
    closed = setup(arrivals=ClosedArrivals(40, 1.0))
    assert more_load(closed, setup(arrivals=ClosedArrivals(60, 1.0))) == 1.5

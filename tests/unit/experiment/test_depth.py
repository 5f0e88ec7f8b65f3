"""How long a question measures, and what `--duration` does to it."""

from __future__ import annotations

import msgspec
import pytest

from loadpath.experiment.depth import FULL, LEVELS, QUICK, Depth, shortened

TIMES = ("hold_s", "baseline_s", "arm_ramp_s", "demand_s")


@pytest.mark.parametrize("depth", [QUICK, FULL])
def test_without_a_duration_nothing_changes(depth: Depth) -> None:
    assert shortened(depth, hold_s=None) == depth
    assert shortened(depth, hold_s=depth.hold_s) == depth


@pytest.mark.parametrize("depth", [QUICK, FULL])
def test_a_duration_is_how_long_a_hold_lasts_and_the_rest_goes_with_it(depth: Depth) -> None:
    longer = shortened(depth, hold_s=2 * depth.hold_s)
    for name in TIMES:
        assert getattr(longer, name) == 2 * getattr(depth, name)
    untouched = {name: getattr(depth, name) for name in TIMES}
    assert msgspec.structs.replace(longer, **untouched) == depth


@pytest.mark.parametrize("depth", [QUICK, FULL])
def test_a_short_duration_leaves_enough_to_meter(depth: Depth) -> None:
    short = shortened(depth, hold_s=1.0)
    assert short.hold_s == 1.0
    assert short.arm_ramp_s >= 3.0
    assert min(short.baseline_s, short.demand_s) >= 1.0


def test_full_depth_measures_more_of_everything() -> None:
    for name in (*TIMES, "holds", "arms", "ramp_s", "warmup_s"):
        assert getattr(FULL, name) > getattr(QUICK, name)
    assert FULL.tolerance < QUICK.tolerance


def test_demand_is_taken_at_three_rising_loads_below_the_knee() -> None:
    assert len(LEVELS) >= 3
    assert sorted(LEVELS) == list(LEVELS)
    assert 0 < LEVELS[0] < LEVELS[-1] < 1

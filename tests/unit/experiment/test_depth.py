"""How long a question measures, and what `--duration` does to it."""

from __future__ import annotations

import msgspec
import pytest

from loadpath.experiment.depth import BRIEF, FULL, LEVELS, QUICK, Depth, fitted, shortened

TIMES = ("hold_s", "baseline_s", "arm_ramp_s", "demand_s", "cached_s")


@pytest.mark.parametrize("depth", [QUICK, FULL])
def test_without_a_duration_nothing_changes(depth: Depth) -> None:
    assert shortened(depth, hold_s=None) == depth
    assert shortened(depth, hold_s=depth.hold_s) == depth


@pytest.mark.parametrize("depth", [QUICK, FULL])
def test_a_duration_is_how_long_a_hold_lasts_and_the_rest_goes_with_it(depth: Depth) -> None:
    longer = shortened(depth, hold_s=2 * depth.hold_s)
    times = (*TIMES, "fault_after_s", "control_s")
    for name in times:
        assert getattr(longer, name) == 2 * getattr(depth, name)
    untouched = {name: getattr(depth, name) for name in times}
    assert msgspec.structs.replace(longer, **untouched) == depth


@pytest.mark.parametrize("depth", [QUICK, FULL])
def test_a_short_duration_leaves_enough_to_meter(depth: Depth) -> None:
    short = shortened(depth, hold_s=1.0)
    assert short.hold_s == 1.0
    assert short.arm_ramp_s >= 5.0
    assert min(short.baseline_s, short.demand_s) >= 1.0


def test_full_depth_measures_more_of_everything() -> None:
    for name in (*TIMES, "holds", "arms", "ramp_s", "warmup_s"):
        assert getattr(FULL, name) > getattr(QUICK, name)
    assert FULL.tolerance < QUICK.tolerance


def test_demand_is_taken_at_three_rising_loads_below_the_knee() -> None:
    assert len(LEVELS) >= 3
    assert sorted(LEVELS) == list(LEVELS)
    assert 0 < LEVELS[0] < LEVELS[-1] < 1


def length_s(depth: Depth) -> float:
    """An estimate like a question's."""
    return depth.baseline_s + depth.ramp_s + depth.holds * depth.hold_s + depth.arms * 10


class TestBudget:
    def test_one_that_suffices_changes_nothing(self) -> None:
        assert fitted(FULL, 10_000, length_s) == FULL
        assert fitted(FULL, None, length_s) == FULL

    @pytest.mark.parametrize("budget_s", [120.0, 180.0, 240.0])
    def test_a_smaller_one_is_used_but_not_exceeded(self, budget_s: float) -> None:
        depth = fitted(FULL, budget_s, length_s)
        assert 0.8 * budget_s < length_s(depth) <= budget_s
        assert BRIEF.holds <= depth.holds <= FULL.holds
        assert BRIEF.hold_s <= depth.hold_s <= FULL.hold_s

    def test_more_time_never_makes_a_hold_shorter(self) -> None:
        holds = [fitted(FULL, float(budget), length_s).hold_s for budget in range(20, 400, 20)]
        assert holds == sorted(holds)

    def test_a_hold_stays_as_long_as_was_asked_and_the_rest_is_fitted(self) -> None:
        for hold_s in (1.0, 4.0, 30.0):
            depth = fitted(QUICK, 20.0, length_s, hold_s=hold_s)
            assert depth.hold_s == pytest.approx(hold_s)
            assert depth.ramp_s == pytest.approx(BRIEF.ramp_s)
            assert fitted(QUICK, None, length_s, hold_s=hold_s) == shortened(QUICK, hold_s=hold_s)

    def test_there_is_a_least(self) -> None:
        depth = fitted(FULL, 1.0, length_s)
        for name in BRIEF.__struct_fields__:
            if name != "budget_s":
                assert getattr(depth, name) == pytest.approx(getattr(BRIEF, name))

    def test_the_briefest_ramp_reaches_many_times_todays_load(self) -> None:
        assert BRIEF.ramp_growth_per_s**BRIEF.ramp_s > 30

"""The knee of the mix, from holds made by formula."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_recordings import Golden, Truth, find_knee, setup

from loadpath.drive import ClosedLoad, OpenLoad
from loadpath.experiment.mixknee import mix_knee, mix_search
from loadpath.spec import ClosedArrivals, OpenArrivals

TRUTH = Truth()
KNEE_PER_S = TRUTH.knee_per_s()


def held(folder: Path, *rates: float, **how: object) -> Golden:
    """A recording with a hold at each of those rates."""
    golden = Golden(folder, setup(), TRUTH)
    for rate in rates:
        golden.drive("hold", OpenLoad(rate_per_s=rate), **how)
    return golden


@pytest.mark.parametrize("start", [0.7, 1.0, 1.3])
def test_the_bracket_holds_the_true_knee(tmp_path: Path, start: float) -> None:
    golden = Golden(tmp_path, setup(), TRUTH)
    find_knee(golden, start * KNEE_PER_S / 300)
    found = mix_knee(golden.recording())
    assert found.rate is not None
    assert found.scale is not None
    assert found.rate.low <= KNEE_PER_S <= found.rate.high
    assert found.rate.value == pytest.approx(KNEE_PER_S, rel=0.08)
    assert found.scale.value == pytest.approx(found.rate.value / 300)
    assert found.below is not None
    assert found.above is not None
    assert (found.below.assessment.met, found.above.assessment.met) == (True, False)
    assert found.below.scale < found.above.scale
    assert found.disturbed == ()


def test_holds_that_are_all_met_give_a_lower_bound(tmp_path: Path) -> None:
    found = mix_knee(held(tmp_path, 500, 625, 780).recording())
    assert found.scale is None
    assert found.rate is None
    assert found.above is None
    assert found.below is not None
    assert found.below.scale == pytest.approx(780 / 300)


def test_holds_that_are_all_missed_give_an_upper_one(tmp_path: Path) -> None:
    found = mix_knee(held(tmp_path, 1200, 960).recording())
    assert found.scale is None
    assert found.below is None
    assert found.above is not None
    assert found.above.scale == pytest.approx(960 / 300)


def test_without_holds_there_is_nothing(tmp_path: Path) -> None:
    found = mix_knee(held(tmp_path).recording())
    assert (found.scale, found.below, found.above, found.trusted) == (
        None,
        None,
        None,
        False,
    )


def test_disturbed_holds_are_left_out(tmp_path: Path) -> None:
    golden = held(tmp_path, 800, 1000)
    golden.hiccups = ((1.0, 3.0),)
    golden.drive("hold", OpenLoad(rate_per_s=500.0), others_cores=0.7)
    found = mix_knee(golden.recording())
    assert found.trusted
    assert found.disturbed == ("other processes took 0.70 cores",)
    assert found.rate is not None
    # Two holds make no line, so the bracket stands, lower by what short holds read late.
    assert 700 < found.rate.low < 800
    assert found.rate.high == pytest.approx(1000)


def test_a_disturbed_hold_that_met_counts(tmp_path: Path) -> None:
    """Undisturbed it would meet the objective all the more."""
    golden = held(tmp_path, 1000)
    golden.drive("hold", OpenLoad(rate_per_s=800.0), others_cores=0.7)
    found = mix_knee(golden.recording())
    assert found.trusted
    assert found.disturbed == ()
    assert found.rate is not None
    assert found.rate.low < KNEE_PER_S < found.rate.high


def test_where_only_disturbed_holds_missed_the_knee_is_not_trusted(tmp_path: Path) -> None:
    golden = held(tmp_path, 800)
    golden.drive("hold", OpenLoad(rate_per_s=1000.0), others_cores=0.7)
    found = mix_knee(golden.recording())
    assert not found.trusted
    assert found.disturbed == ("other processes took 0.70 cores",)
    assert found.rate is not None
    assert found.rate.low < KNEE_PER_S < found.rate.high


def test_of_users_the_rate_is_what_they_came_to(tmp_path: Path) -> None:
    arrivals = ClosedArrivals(users=300, think_time_s=1.0)
    golden = Golden(tmp_path, setup(arrivals=arrivals), TRUTH)
    find_knee(golden, 1.0)
    found = mix_knee(golden.recording())
    assert found.rate is not None
    assert found.scale is not None
    assert found.rate.low <= KNEE_PER_S * 1.02
    assert found.rate.high >= KNEE_PER_S * 0.98
    assert found.scale.value * 300 == pytest.approx(KNEE_PER_S, rel=0.15)


def test_users_come_whole() -> None:
    search = mix_search(ClosedArrivals(users=3, think_time_s=1.0), 1.0, tolerance=0.04, holds=7)
    scales = []
    while (scale := search.next_rate()) is not None:
        scales.append(scale)
        search.observe(scale, scale * 3 < 7.5)
    assert [round(scale * 3, 9) % 1 for scale in scales] == [0.0] * len(scales)
    found = search.result()
    assert found.low is not None
    assert found.high is not None
    assert (round(found.low * 3), round(found.high * 3)) == (7, 8)


def test_a_search_from_a_ramp_takes_no_more_holds_than_it_may() -> None:
    search = mix_search(OpenArrivals(200.0), 10.0, tolerance=0.04, holds=7)
    count = 0
    while (scale := search.next_rate()) is not None:
        count += 1
        search.observe(scale, scale < 8.3)
    assert count <= 7
    found = search.result()
    assert found.knee is not None
    assert found.knee.low <= 8.3 <= found.knee.high


def test_the_last_hold_at_a_load_speaks_for_it(tmp_path: Path) -> None:
    golden = held(tmp_path, 1000)
    golden.hiccups = ((2.0, 2.05),)
    golden.drive("hold", OpenLoad(rate_per_s=800.0))
    golden.hiccups = ()
    golden.drive("hold", OpenLoad(rate_per_s=800.0))
    found = mix_knee(golden.recording())
    assert found.below is not None
    assert found.below.segment.index == 2


def test_users_are_driven_as_users(tmp_path: Path) -> None:
    arrivals = ClosedArrivals(users=100, think_time_s=0.5)
    golden = Golden(tmp_path, setup(arrivals=arrivals), TRUTH)
    segment = golden.drive("hold", ClosedLoad(users=100, think_time_s=0.5))
    assert segment.load["users"] == 100
    assert mix_knee(golden.recording()).below is not None

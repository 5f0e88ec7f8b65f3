"""What arms measured, from recordings made by formula."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from golden_arms import RATES, arm, rounds
from golden_recordings import Cost, Truth

from loadpath.experiment.measured import Measurement, measure
from loadpath.recording import Recording
from loadpath.stats.compare import Verdict

DISTURBED = "other processes took 0.40 cores"


def measured(recordings: list[Recording], letter: str = "B") -> Measurement:
    found = measure(recordings, letter)
    assert found is not None
    return found


def test_capacity_response_times_and_cpu_are_told_with_their_ratio(tmp_path: Path) -> None:
    after = Truth(capacity_per_s=1500.0, parts={"service": Cost(0.5e-3), "database": Cost(0.1e-3)})
    found = measured(rounds(tmp_path, after))
    assert found.rounds == 3
    assert found.capacity is not None
    assert not found.bounded
    # The knee of an M/M/1 queue is its capacity less ln(100) / limit.
    expected = (1500 - math.log(100) / 0.05) / (1000 - math.log(100) / 0.05)
    assert found.capacity.ratio.value == pytest.approx(expected, rel=0.05)
    assert found.capacity.verdict is Verdict.BETTER
    slow, fast = found.loads
    assert (slow.before_per_s, fast.after_per_s) == RATES
    assert slow.mean_s is not None
    assert slow.p99_s is not None
    assert slow.mean_s.before.value == pytest.approx(1 / 800, rel=0.05)
    assert slow.mean_s.after.value == pytest.approx(1 / 1300, rel=0.05)
    assert slow.p99_s.after.value == pytest.approx(math.log(100) / 1300, rel=0.15)
    assert slow.mean_s.verdict is Verdict.BETTER
    assert found.cpu_s["service"].verdict is Verdict.BETTER
    assert found.cpu_s["service"].after.value == pytest.approx(0.5e-3, rel=0.05)
    assert found.cpu_s["database"].verdict is Verdict.SAME
    assert set(found.cpu_s) == {"service", "database"}


def test_no_difference_is_said_where_there_is_none(tmp_path: Path) -> None:
    found = measured(rounds(tmp_path, Truth()))
    assert found.capacity is not None
    assert found.capacity.verdict is Verdict.SAME
    assert {pair.verdict for pair in found.cpu_s.values()} == {Verdict.SAME}
    assert all(check.passed for check in found.validity)


def test_each_treatment_is_compared_with_the_one_baseline(tmp_path: Path) -> None:
    made = rounds(tmp_path / "b", Truth(capacity_per_s=1500.0))
    made += [
        arm(tmp_path / "c" / str(number), "C", number, Truth(capacity_per_s=700.0))
        for number in range(3)
    ]
    better, worse = measured(made, "B").capacity, measured(made, "C").capacity
    assert better is not None
    assert worse is not None
    assert (better.verdict, worse.verdict) == (Verdict.BETTER, Verdict.WORSE)


def test_a_disturbed_round_is_left_out_and_told(tmp_path: Path) -> None:
    made = rounds(tmp_path, Truth())
    made.append(arm(tmp_path / "3", "A", 3, Truth(capacity_per_s=300.0), others_cores=0.4))
    made.append(arm(tmp_path / "3", "B", 3, Truth()))
    found = measured(made)
    assert found.rounds == 3
    quiet = found.validity[0]
    assert quiet.passed
    assert quiet.detail == f"{DISTURBED} in 1 of 4 rounds"


def test_with_too_few_clean_rounds_all_count_and_the_check_fails(tmp_path: Path) -> None:
    made = [
        arm(tmp_path / str(number), letter, number, Truth(), others_cores=0.4 if number else None)
        for number in range(2)
        for letter in "AB"
    ]
    found = measured(made)
    assert found.rounds == 2
    assert not found.validity[0].passed


def test_one_round_is_not_enough(tmp_path: Path) -> None:
    found = measured(rounds(tmp_path, Truth(capacity_per_s=1500.0), 1))
    assert found.capacity is not None
    assert found.capacity.verdict is Verdict.CANNOT_TELL
    assert [check.name for check in found.validity if not check.passed] == ["enough rounds"]


def test_half_a_round_is_none(tmp_path: Path) -> None:
    assert measure([arm(tmp_path, "A", 0, Truth())]) is None
    assert measure(rounds(tmp_path / "more", Truth(), letter="B"), "C") is None


def test_where_a_queue_grew_no_response_time_is_stated(tmp_path: Path) -> None:
    made = []
    for number in range(2):
        made.append(arm(tmp_path / str(number), "A", number, Truth()))
        # It stands still for longer and longer.
        stuck = ((1.0, 1.1), (1.5, 1.7), (2.0, 2.3), (2.5, 2.9), (3.0, 3.5), (3.6, 5.0))
        made.append(arm(tmp_path / str(number), "B", number, Truth(), hiccups=stuck))
    found = measured(made)
    assert [load.mean_s for load in found.loads] == [None, None]
    assert "still changing after the change" in found.validity[-1].detail
    assert found.capacity is not None


def test_a_knee_beyond_the_ramps_or_before_them_is_a_bound(tmp_path: Path) -> None:
    assert measured(rounds(tmp_path / "far", Truth(capacity_per_s=4000.0), 2)).bounded
    assert measured(rounds(tmp_path / "near", Truth(capacity_per_s=300.0), 2)).bounded

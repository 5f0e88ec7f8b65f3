"""What a recording tells of a fault, from recordings whose course is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_crash import RATE, READ, WRITE, Crash, between

from loadpath.experiment.crash.outcome import Outcome, control_of, outcomes_of
from loadpath.recording.schema import EFFECTS_UNKNOWN


def only(crash: Crash) -> Outcome:
    (found,) = outcomes_of([crash.recording()])
    return found


@pytest.fixture
def crash(tmp_path: Path) -> Crash:
    made = Crash(tmp_path / "crash")
    made.drive("control", 4.0, calls=200)
    return made


def test_requests_that_failed_while_it_lasted_are_told_by_operation(crash: Crash) -> None:
    crash.drive("fault", 8.0, bad=between(2.0, 3.5), calls=400)
    crash.fault(2.0, 3.0, (1.5, True), (2.2, False), (2.6, True), (4.0, True))
    seen = only(crash)
    assert seen.course is not None
    assert seen.course.failed == pytest.approx(1.5 * RATE, abs=1)
    assert seen.course.recovered_s == pytest.approx(0.5, abs=0.02)
    assert set(seen.worse) == {READ, WRITE}
    assert seen.goodput_ratio == pytest.approx(1.0)
    assert not seen.stays_down
    assert seen.ready_ratio == 0.5
    assert seen.useless_ratio == pytest.approx(1.0)
    assert seen.picture is not None
    assert seen.picture.recovered_s == pytest.approx(3.5, abs=0.02)
    assert sum(seen.picture.due) == 8 * RATE
    assert seen.watched_s == pytest.approx(5.0, abs=0.1)


def test_who_waited_is_counted_until_no_more_wait_than_usual(crash: Crash) -> None:
    crash.drive("fault", 8.0, bad=between(2.0, 3.0), stuck_until_s=3.0)
    crash.fault(2.0, 3.0)
    waiting = only(crash).waiting
    assert waiting is not None
    assert waiting.usual_most == 1
    assert waiting.most == pytest.approx(RATE, abs=2)
    assert waiting.drained_s == pytest.approx(0.2, abs=0.02)


def test_what_comes_back_only_when_the_load_falls_is_told_with_where_it_lets_go(
    crash: Crash,
) -> None:
    crash.drive("fault", 8.0, bad=lambda at_s: at_s >= 2.0)
    crash.fault(2.0, 3.0)
    crash.drive("lowered", 2.5, rate=RATE // 2, bad=lambda at_s: True)
    crash.drive("lowered", 2.5, rate=RATE // 4)
    crash.drive("raised again", 2.5)
    seen = only(crash)
    assert seen.stays_down
    assert seen.lowered
    assert seen.released_at == 0.25
    assert seen.came_back
    assert seen.course is not None
    assert seen.course.recovered_s is None


def test_what_falls_over_again_or_never_lets_go_is_told_apart(tmp_path: Path) -> None:
    for name, bad_at_last, released in (("again", True, 0.5), ("never", None, None)):
        crash = Crash(tmp_path / name)
        crash.drive("control", 4.0)
        crash.drive("fault", 8.0, bad=lambda at_s: at_s >= 2.0)
        crash.fault(2.0, 3.0)
        crash.drive("lowered", 2.5, rate=RATE // 2, bad=lambda at_s: bad_at_last is None)  # noqa: B023
        if bad_at_last:
            crash.drive("raised again", 2.5, bad=lambda at_s: True)
        seen = only(crash)
        assert (seen.released_at, seen.came_back) == (released, False)


def test_only_what_was_acknowledged_before_the_heal_was_at_risk(crash: Crash) -> None:
    crash.drive("fault", 8.0)
    crash.fault(2.0, 3.0)
    crash.writes(
        (1.0, 1, 1), (1.5, 1, 0), (2.5, 0, 1), (2.6, 2, 0), (2.7, 1, EFFECTS_UNKNOWN), (5.0, 1, 2)
    )
    writes = only(crash).writes
    assert writes is not None
    assert (writes.acknowledged, writes.lost, writes.recovered) == (4, 1, 1)
    assert (writes.duplicates, writes.unknown, writes.at_risk) == (1, 1, 2)
    assert writes.state == "broken"


def test_memory_is_that_of_the_service_before_and_at_the_most(crash: Crash) -> None:
    crash.drive("fault", 8.0)
    crash.fault(2.0, 3.0)
    crash.memory((1.0, 100), (1.9, 110), (2.5, 400), (6.0, 200))
    seen = only(crash)
    assert (seen.memory_before_bytes, seen.memory_most_bytes) == (110, 400)


def test_a_fault_at_another_load_is_compared_with_the_control_of_that_load(
    crash: Crash,
) -> None:
    crash.drive("control", 2.0, rate=3 * RATE, bad=lambda at_s: True)
    crash.drive("fault", 8.0)
    crash.fault(2.0, 3.0)
    crash.drive("fault", 8.0, rate=3 * RATE)
    crash.fault(2.0, 3.0, name="database stopped, at 300/s")
    recording = crash.recording()
    usual, at_rate = outcomes_of([recording])
    assert usual.control_bad_ratio == 0.0
    assert at_rate.control_bad_ratio == 1.0
    found = control_of(recording, 3)
    assert found is not None
    assert found[0].index == 1


def test_without_a_heal_nothing_is_said_of_who_waited(crash: Crash) -> None:
    crash.drive("fault", 8.0, bad=lambda at_s: at_s >= 2.0)
    crash.fault(2.0, 9.0)
    seen = only(crash)
    assert seen.waiting is None
    assert seen.stays_down

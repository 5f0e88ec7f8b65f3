"""The checks every answer carries: each passes on a good recording and fails on a bad one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from golden_recordings import Golden, Truth, find_knee, setup, today

from loadpath.answer import Check
from loadpath.drive import OpenLoad
from loadpath.experiment.mixknee import mix_knee
from loadpath.experiment.speed import speed_of, with_speed
from loadpath.experiment.validity import validity
from loadpath.recording import HoldCount, HoldsRecord
from loadpath.spec import OpenArrivals

START = Truth().knee_per_s() / 300


def checks(golden: Golden) -> dict[str, Check]:
    recording = golden.recording()
    speed = speed_of(recording)
    knee = with_speed(mix_knee(recording), speed)
    return {check.name: check for check in validity(recording, knee, speed)}


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    return Golden(tmp_path, setup(), Truth())


def test_all_hold_for_a_good_recording(golden: Golden) -> None:
    today(golden)
    find_knee(golden, START)
    found = checks(golden)
    assert list(found) == [
        "quiet machine",
        "engine on schedule",
        "steady state",
        "enough requests",
        "knee placed",
        "acknowledged writes",
    ]
    assert [check.name for check in found.values() if not check.passed] == []
    assert found["quiet machine"].detail == "nothing else took the machine"
    assert found["enough requests"].detail == "2,400 requests at today's load"
    assert all(check.advice is None for check in found.values())


class TestQuietMachine:
    def test_it_holds_when_the_disturbed_holds_could_be_left_out(self, golden: Golden) -> None:
        today(golden)
        golden.drive("hold", OpenLoad(rate_per_s=1300.0), others_cores=0.7)
        find_knee(golden, START)
        found = checks(golden)["quiet machine"]
        assert found.passed
        assert found.detail == "1 disturbed hold left out (other processes took 0.70 cores)"

    def test_it_fails_when_too_few_clean_holds_are_left(self, golden: Golden) -> None:
        today(golden)
        find_knee(golden, START, others_cores=0.7)
        found = checks(golden)["quiet machine"]
        assert not found.passed
        assert found.detail == "other processes took 0.70 cores while it was measured."
        assert found.advice == "Stop what else runs here and try again."

    def test_todays_load_that_was_met_beside_others_is_met_all_the_more_without(
        self, golden: Golden
    ) -> None:
        today(golden, others_cores=0.3)
        find_knee(golden, START)
        assert checks(golden)["quiet machine"].passed

    def test_it_fails_when_todays_load_was_missed_beside_others(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(limit_s=0.005), Truth())
        today(golden, others_cores=0.3)
        find_knee(golden, 0.3)
        found = checks(golden)["quiet machine"]
        assert not found.passed
        assert "0.30 cores" in found.detail

    def test_a_little_that_others_took_widens_the_knee_and_voids_nothing(
        self, golden: Golden
    ) -> None:
        today(golden)
        find_knee(golden, START, others_cores=0.1)
        found = checks(golden)["quiet machine"]
        assert found.passed
        assert found.detail == "others took up to 0.10 cores: the knee allows for it"

    def test_without_a_hold_it_fails_and_blames_nobody(self, golden: Golden) -> None:
        today(golden)
        found = checks(golden)["quiet machine"]
        assert not found.passed
        assert found.detail == "too few holds were completed to tell."
        assert found.advice is not None
        assert "Stop what else runs" not in found.advice


class TestSchedule:
    def test_it_fails_when_the_engine_could_explain_a_miss(self, golden: Golden) -> None:
        today(golden, late_s=0.006)
        find_knee(golden, START)
        found = checks(golden)["engine on schedule"]
        assert not found.passed
        assert "up to 6 ms late (p99) with a limit of 50 ms" in found.detail

    def test_only_the_first_request_of_a_flow_is_due_at_a_time(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), Truth(steps={"GET /item": 2}))
        golden.late_steps_s = 0.02
        today(golden)
        find_knee(golden, START)
        assert checks(golden)["engine on schedule"].passed

    def test_it_holds_for_less_than_a_tenth_of_the_limit(self, golden: Golden) -> None:
        today(golden, late_s=0.004)
        find_knee(golden, START)
        found = checks(golden)["engine on schedule"]
        assert found.passed
        assert found.detail == "the engine sent on time (p99 4 ms late)"

    def test_how_many_were_late_stands_beside_the_quantile(self, golden: Golden) -> None:
        today(golden, late_s=0.001, late=12)
        find_knee(golden, START)
        found = checks(golden)["engine on schedule"]
        assert found.passed
        assert found.detail == (
            "the engine sent on time (p99 1 ms late; 12 of 2,400 requests beyond its tolerance)"
        )

    def test_an_audited_engine_that_read_late_fails_it_too(self, golden: Golden) -> None:
        today(golden, late_s=0.001, read_delay_p99_s=0.009)
        find_knee(golden, START)
        found = checks(golden)["engine on schedule"]
        assert not found.passed
        assert "up to 10 ms late (p99; replies read 9 ms after they came)" in found.detail


def test_a_queue_that_grew_all_the_time_is_not_steady(golden: Golden) -> None:
    load = OpenLoad(rate_per_s=300.0, end_rate_per_s=990.0)
    golden.drive("baseline", load, duration_s=20.0)
    found = checks(golden)["steady state"]
    assert not found.passed
    assert "still changing" in found.detail
    assert found.advice is not None
    assert "--duration" in found.advice


def test_the_quantile_asked_for_takes_requests(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    today(golden, duration_s=2.0)
    found = checks(golden)["enough requests"]
    assert not found.passed
    assert found.detail == "600 requests at today's load; the quantile asked for takes 1,000."
    assert found.advice == "Hold longer: --duration 7."


class TestAcknowledgedWrites:
    def held(self, golden: Golden, **counts: int) -> Check:
        values = {"acknowledged": 9, "checked": 9, "held": 9, "broken": 0, "unknown": 0, **counts}
        record = HoldsRecord(
            kinds={"link": HoldCount(**values)},
            first_broken={"link": "status 404"} if values["broken"] else {},
            first_unknown={"link": "timeout"} if values["unknown"] else {},
        )
        golden.writer.write_holds(record)
        return checks(golden)["acknowledged writes"]

    def test_they_are_counted_when_all_hold(self, golden: Golden) -> None:
        found = self.held(golden)
        assert (found.passed, found.detail) == (True, "9 of 9 acknowledged writes hold")

    def test_one_that_does_not_fails_and_is_shown(self, golden: Golden) -> None:
        found = self.held(golden, held=8, broken=1)
        assert not found.passed
        assert "1 of 9" in found.detail
        assert "status 404" in found.detail

    def test_none_made_is_no_failure_and_nothing_to_say(self, golden: Golden) -> None:
        found = checks(golden)["acknowledged writes"]
        assert (found.passed, found.detail) == (True, "")


class TestKneePlaced:
    def slowing(self, golden: Golden, start: float, *works_s: float) -> None:
        """The knee, and then the machine at those speeds."""
        today(golden)
        find_knee(golden, start)
        for work_s in works_s:
            golden.truth = msgspec.structs.replace(golden.truth, fixed_work_s=work_s)
            golden.drive("demand", OpenLoad(rate_per_s=300.0))

    def test_it_says_how_well_the_knee_is_known(self, golden: Golden) -> None:
        self.slowing(golden, START)
        found = checks(golden)["knee placed"]
        assert found.passed
        assert found.detail.startswith("the knee is known to ±")
        assert "speed" not in found.detail

    def test_a_machine_that_slowed_down_is_told_and_voids_nothing(self, golden: Golden) -> None:
        self.slowing(golden, START, *[0.0036] * 8)
        found = checks(golden)["knee placed"]
        assert found.passed
        assert found.detail.endswith("with a machine whose own speed varied by 20%")

    def test_it_fails_where_too_little_is_left_of_the_knee(self, golden: Golden) -> None:
        self.slowing(golden, START, *[0.009] * 8)
        found = checks(golden)["knee placed"]
        assert not found.passed
        assert "with a machine whose own speed varied by 200%" in found.detail
        assert found.advice is not None
        assert "when they are quieter" in found.advice

    def test_it_fails_where_todays_load_may_lie_beyond_it(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(arrivals=OpenArrivals(800.0)), Truth())
        self.slowing(golden, Truth().knee_per_s() / 800, *[0.0038] * 8)
        found = checks(golden)["knee placed"]
        assert not found.passed
        assert found.detail.endswith(": today's may be it.")


class TestEngineAtTheKnee:
    def test_a_late_engine_that_cannot_explain_the_miss_is_no_reason(self, golden: Golden) -> None:
        today(golden)
        find_knee(golden, START, late_s=0.007)
        assert checks(golden)["engine on schedule"].passed

    def test_a_late_engine_that_could_explain_it_is_one(self, golden: Golden) -> None:
        today(golden)
        find_knee(golden, START, late_s=1.5)
        found = checks(golden)["engine on schedule"]
        assert not found.passed
        assert "late (p99) with a limit of 50 ms" in found.detail

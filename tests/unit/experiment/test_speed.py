"""What a machine of changing speed leaves of a knee, from recordings made by formula."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from golden_recordings import Cost, Golden, Truth, find_knee, setup, today

from loadpath.answer import Interval
from loadpath.drive import OpenLoad
from loadpath.experiment.limits import Resource
from loadpath.experiment.mixknee import MixKnee, mix_knee
from loadpath.experiment.speed import Speed, between_runs, cpu_share, speed_of, with_speed

LIMIT = Resource(kind="limit", part="service", name="", utilization=1.0, unit="it")
THREAD = msgspec.structs.replace(LIMIT, kind="thread")


def read(golden: Golden, *works_s: float, purpose: str = "demand") -> None:
    """So many segments, before each of which the fixed work took that long."""
    for work_s in works_s:
        golden.truth = msgspec.structs.replace(golden.truth, fixed_work_s=work_s)
        golden.drive(purpose, OpenLoad(rate_per_s=50.0), duration_s=1.0)


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    return Golden(tmp_path, setup(), Truth())


class TestSpeed:
    def test_too_few_readings_tell_nothing(self, golden: Golden) -> None:
        read(golden, 0.003, 0.003)
        assert speed_of(golden.recording()) is None

    def test_single_slow_readings_are_no_slow_machine(self, golden: Golden) -> None:
        read(golden, 0.0030, 0.0045, 0.0031, 0.0031, 0.0046, 0.0030)
        found = speed_of(golden.recording())
        assert found is not None
        assert found.varied < 0.05

    def test_a_slow_stretch_is_one(self, golden: Golden) -> None:
        read(golden, *[0.003] * 6, *[0.0045] * 3, *[0.003] * 3)
        found = speed_of(golden.recording())
        assert found is not None
        assert (found.fastest_s, found.slowest_s) == (0.003, 0.0045)
        assert found.varied == pytest.approx(0.5)
        assert found.usual_s == 0.003

    def test_what_the_holds_saw_is_told_apart(self, golden: Golden) -> None:
        read(golden, *[0.003] * 6)
        read(golden, *[0.004] * 3, purpose="hold")
        found = speed_of(golden.recording())
        assert found is not None
        assert found.held_s == 0.004


class TestKnee:
    def knee(self, golden: Golden) -> MixKnee:
        today(golden)
        find_knee(golden, golden.truth.knee_per_s() / 300)
        return mix_knee(golden.recording())

    def test_it_reaches_to_where_it_is_at_either_speed(self, golden: Golden) -> None:
        knee = self.knee(golden)
        found = with_speed(knee, Speed(0.003, 0.0025, 0.004, 0.003))
        assert knee.rate is not None
        assert found.rate is not None
        assert found.scale is not None
        assert found.rate.value == knee.rate.value
        assert found.rate.low < knee.rate.value * 3 / 4 < knee.rate.low
        assert found.rate.high > knee.rate.value * 3 / 2.5
        assert found.scale.low == pytest.approx(found.rate.low / 300)

    def test_a_steady_machine_leaves_it_as_it_is(self, golden: Golden) -> None:
        knee = self.knee(golden)
        found = with_speed(knee, speed_of(golden.recording()))
        assert knee.rate is not None
        assert found.rate is not None
        assert found.rate.low == pytest.approx(knee.rate.low)
        assert found.rate.high == pytest.approx(knee.rate.high)
        assert with_speed(knee, None) == knee

    def test_what_waits_depends_on_the_speed_by_its_share_of_cpu(self, tmp_path: Path) -> None:
        """At the knee a request costs 0.1 ms of CPU; today one takes 1 / (1000 − 300) s."""
        idle = Truth(parts={"service": Cost(0.1e-3)}, engine=Cost(1e-6))
        golden = Golden(tmp_path, setup(), idle)
        knee = self.knee(golden)
        recording = golden.recording()
        assert cpu_share(recording, knee, LIMIT) == pytest.approx(0.07, abs=0.01)
        assert cpu_share(recording, knee, THREAD) == 1.0
        assert cpu_share(recording, knee, None) == 1.0
        speed = Speed(0.003, 0.002, 0.004, 0.003)
        narrow, wide = with_speed(knee, speed, 0.07), with_speed(knee, speed)
        assert narrow.rate is not None
        assert wide.rate is not None
        assert narrow.rate.half_width_ratio < wide.rate.half_width_ratio / 2


class TestBetweenRuns:
    STEADY = Speed(0.003, 0.003, 0.003, 0.003)
    SLOWER = Speed(0.004, 0.004, 0.004, 0.004)

    def ratio(self, value: float) -> Interval:
        return Interval(value, 0.98 * value, 1.02 * value, 0.95, "", 5)

    def test_equally_fast_runs_leave_the_ratio(self) -> None:
        ratio = self.ratio(0.8)
        found = between_runs(ratio, self.STEADY, self.STEADY, higher_is_better=True)
        assert (found.low, found.high) == pytest.approx((ratio.low, ratio.high))
        assert between_runs(ratio, None, self.STEADY, higher_is_better=True) == ratio

    def test_a_capacity_lost_to_a_slower_machine_may_be_the_machines(self) -> None:
        found = between_runs(self.ratio(0.75), self.STEADY, self.SLOWER, higher_is_better=True)
        assert found.low == pytest.approx(0.735)
        assert found.high > 1

    def test_a_time_that_a_slower_machine_kept_may_hide_a_better_service(self) -> None:
        found = between_runs(self.ratio(1.0), self.STEADY, self.SLOWER, higher_is_better=False)
        assert found.low < 0.75
        assert found.high == pytest.approx(1.02)

    def test_a_speed_that_varied_within_a_run_reaches_both_ways(self) -> None:
        unsteady = Speed(0.003, 0.003, 0.003 * 1.44, 0.003)
        found = between_runs(self.ratio(1.0), self.STEADY, unsteady, higher_is_better=True)
        assert found.low == pytest.approx(1 / 1.2, rel=0.01)
        assert found.high == pytest.approx(1.2, rel=0.01)

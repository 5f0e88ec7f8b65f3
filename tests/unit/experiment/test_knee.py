"""Where a ramp misses for good, when one is stopped, and what of a stretch counts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden_recordings import Golden, Truth, setup

from loadpath.drive import ClosedLoad, OpenLoad, SegmentProgress
from loadpath.experiment.knee import (
    assess_segments,
    loosest_limit_s,
    measured_window,
    missed_now,
    mix_of,
    objectives,
    ramp_crossing,
    ramp_rate,
    scale_of,
)
from loadpath.spec import ClosedArrivals, Objective, Operation, QuantileLimit, Setup

LIMIT_S = 0.05


def report(**fields: Any) -> SegmentProgress:
    """A quiet report of the engine, but for `fields`."""
    values: dict[str, Any] = {
        "index": 0,
        "at_s": 1.0,
        "elapsed_s": 1.0,
        "target_rate_per_s": 500.0,
        "arrivals": 1000,
        "sent": 1000,
        "done": 1000,
        "errors": 0,
        "in_flight": 0,
        "waiting": 0,
        "done_rate_per_s": 500.0,
        "response_time_p50_s": 0.002,
        "response_time_p99_s": 0.010,
        "slip_p99_s": 0.0001,
        "engine_cpu_s": 0.1,
        **fields,
    }
    return SegmentProgress(**values)


def stops_after(*reports: SegmentProgress) -> int | None:
    """How many reports it takes until the ramp is stopped; None when it is not."""
    rule = missed_now(LIMIT_S)
    return next((count for count, each in enumerate(reports, 1) if rule(each)), None)


class TestStoppingARamp:
    def test_a_quiet_service_is_driven_on(self) -> None:
        assert stops_after(*[report()] * 50) is None

    def test_before_the_first_reply_there_is_no_verdict(self) -> None:
        silent = report(response_time_p50_s=None, response_time_p99_s=None, done=0)
        assert stops_after(*[silent] * 50) is None

    def test_a_median_over_the_limit_ends_it_at_once(self) -> None:
        slow = report(response_time_p50_s=0.06, response_time_p99_s=0.2)
        assert stops_after(report(), slow, slow) == 3

    def test_a_single_report_is_chance(self) -> None:
        slow = report(response_time_p50_s=0.06, response_time_p99_s=0.2)
        assert stops_after(*[slow, report()] * 20) is None

    @pytest.mark.parametrize(
        "behind",
        [
            report(response_time_p99_s=0.06),
            report(waiting=51),
            report(errors=51),
            report(errors=21, arrivals=100),
        ],
        ids=["p99", "unsent", "errors", "errors of few"],
    )
    def test_what_lasts_longer_than_the_recording_needs_to_show_it_ends_it(
        self, behind: SegmentProgress
    ) -> None:
        lasting = stops_after(*[behind] * 50)
        assert lasting is not None
        # Three windows of half a second have to be missed whole, at four reports a second.
        assert 3 * 0.5 < lasting * 0.25 <= 3.0
        assert stops_after(*[*[behind] * (lasting - 1), report()] * 3) is None

    def test_a_few_errors_and_what_is_sent_within_the_limit_do_not(self) -> None:
        harmless = report(errors=20, waiting=50, target_rate_per_s=200.0)
        assert stops_after(*[harmless] * 50) is None


def ramp(golden: Golden, to_scale: float = 6.0, **how: Any) -> float | None:
    """Where a ramp of 20 s from the workload's own 300/s crosses."""
    load = OpenLoad(rate_per_s=300.0, end_rate_per_s=300.0 * to_scale)
    segment = golden.drive("ramp", load, duration_s=20.0, **how)
    return ramp_crossing(golden.recording(), segment)


class TestCrossing:
    def test_it_is_where_the_objective_is_first_missed_for_good(self, tmp_path: Path) -> None:
        truth = Truth()
        crossing = ramp(Golden(tmp_path, setup(), truth))
        # Windows of half a second at 9 % a second, and 450 requests each to tell by.
        assert crossing == pytest.approx(truth.knee_per_s(), rel=0.12)

    def test_a_ramp_that_is_never_missed_has_none(self, tmp_path: Path) -> None:
        assert ramp(Golden(tmp_path, setup(), Truth()), to_scale=2.5) is None

    def test_a_faster_service_crosses_later(self, tmp_path: Path) -> None:
        crossings = [
            ramp(Golden(tmp_path / str(capacity), setup(), Truth(capacity_per_s=capacity)))
            for capacity in (700.0, 1000.0, 1400.0)
        ]
        assert None not in crossings
        assert crossings == sorted(crossings, key=float)  # type: ignore[arg-type]

    def test_one_or_two_missed_windows_at_its_end_count_when_it_was_stopped(
        self, tmp_path: Path
    ) -> None:
        golden = Golden(tmp_path, setup(), Truth())
        # The knee, and then half a second to a second of windows that miss.
        over = math.ceil(math.log(Truth().knee_per_s() / 300) / math.log(6.0) * 40.0 + 1) / 2
        assert ramp(golden, stopped_after_s=over) == pytest.approx(950, rel=0.08)
        load = OpenLoad(rate_per_s=300.0, end_rate_per_s=300.0 * 6.0 ** (over / 20))
        whole = golden.drive("ramp", load, duration_s=over)
        assert ramp_crossing(golden.recording(), whole) is None

    def test_one_slow_window_in_a_quiet_ramp_is_a_hiccup(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), Truth())
        golden.hiccups = ((5.0, 5.4),)
        assert ramp(golden, to_scale=2.5) is None
        golden.hiccups = ((5.0, 6.6),)
        assert ramp(golden, to_scale=2.5) is None

    def test_a_hiccup_on_the_way_shifts_the_knee_by_its_own_length(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), Truth())
        golden.hiccups = ((5.0, 6.6),)
        found = ramp(golden, to_scale=6.0)
        assert found is not None
        shifted = Truth().knee_per_s() / 6.0 ** (2.5 / 20)
        assert shifted < found < Truth().knee_per_s()

    def test_an_operation_is_judged_by_itself_over_the_others(self, tmp_path: Path) -> None:
        shop = setup("GET /item", "GET /list", weights=[3, 1])
        lax = Objective((QuantileLimit(0.99, 5.0),), 0.001)
        first, second = shop.workload.operations
        shop = replaced(shop, first, Operation(name=second.name, objective=lax))
        golden = Golden(tmp_path, shop, Truth())
        load = OpenLoad(rate_per_s=300.0, end_rate_per_s=1800.0)
        segment = golden.drive("operation-ramp", load, duration_s=20.0, label=second.name)
        recording = golden.recording()
        assert ramp_crossing(recording, segment, 0) is not None
        assert ramp_crossing(recording, segment, 1) is None


def replaced(shop: Setup, *operations: Operation) -> Setup:
    """The setup with those operations."""
    workload = msgspec.structs.replace(shop.workload, operations=operations)
    return msgspec.structs.replace(shop, workload=workload)


def test_the_rate_of_a_ramp_grows_by_the_same_factor_every_second(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    load = OpenLoad(rate_per_s=100.0, end_rate_per_s=1600.0)
    segment = golden.drive("ramp", load, duration_s=4.0, stopped_after_s=1.0)
    assert [ramp_rate(segment, s) for s in (0, 1, 2, 4, 9)] == pytest.approx(
        [100, 200, 400, 1600, 1600]
    )


def test_the_first_part_of_a_hold_is_not_judged(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    golden.hiccups = ((0.0, 0.5),)
    segment = golden.drive("hold", OpenLoad(rate_per_s=300.0), duration_s=4.0)
    assert measured_window(segment) == (segment.started_s + 0.6, segment.ended_s)
    found = assess_segments(golden.recording(), [segment])
    assert found.met is True
    assert found.requests == 300 * 3.4
    assert found.offered_per_s == pytest.approx(300)


def test_stretches_at_one_load_are_judged_together(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    golden.hiccups = ((2.0, 2.03),)
    load = OpenLoad(rate_per_s=100.0)
    taken = [golden.drive("baseline", load, duration_s=2.5)]
    alone = assess_segments(golden.recording(), taken)
    golden.hiccups = ()
    taken += [golden.drive("baseline", load, duration_s=20.0) for _ in range(2)]
    together = assess_segments(golden.recording(), taken)
    assert (alone.met, together.met) == (None, True)
    assert together.requests == alone.requests + 2 * 17 * 100


def test_one_operation_alone_is_judged_by_its_index(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup("GET /item", "GET /list"), Truth())
    segment = golden.drive(
        "hold", OpenLoad(rate_per_s=500.0), duration_s=10.0, failing={"GET /list": 0.5}
    )
    recording = golden.recording()
    assert assess_segments(recording, [segment], 0).errors.value == 0
    assert assess_segments(recording, [segment], 1).errors.value == pytest.approx(0.5, abs=0.1)
    assert assess_segments(recording, [segment], 1).requests < 0.6 * 8.5 * 500


def test_a_load_is_told_as_a_multiple_of_the_workloads_own(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    hold = golden.drive("hold", OpenLoad(rate_per_s=750.0))
    assert scale_of(golden.setup, hold) == pytest.approx(2.5)
    users = setup(arrivals=ClosedArrivals(users=40, think_time_s=1.0))
    golden = Golden(tmp_path, users, Truth(), name="users")
    hold = golden.drive("hold", ClosedLoad(users=60, think_time_s=1.0))
    assert scale_of(users, hold) == pytest.approx(1.5)


def test_what_the_workload_says_of_its_operations() -> None:
    shop = setup("GET /item", "POST /order", weights=[3, 1])
    dear = Objective((QuantileLimit(0.5, 0.1), QuantileLimit(0.99, 0.25)), 0.01)
    first, second = shop.workload.operations
    shop = replaced(shop, first, msgspec.structs.replace(second, objective=dear))
    assert mix_of(shop.workload) == {"GET /item": 3, "POST /order": 1}
    assert objectives(shop.workload) == [shop.workload.objective, dear]
    assert loosest_limit_s(shop.workload) == 0.25
    errors_only = msgspec.structs.replace(shop.workload, objective=Objective((), 0.01))
    only = msgspec.structs.replace(errors_only, operations=(first,))
    assert loosest_limit_s(only) == 1.0

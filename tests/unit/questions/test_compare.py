"""Two runs of services of which it is known what changed between them."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from golden_recordings import Cost, Truth, mix_recording, setup

from loadpath.answer import Interval
from loadpath.errors import ExitCode, InconclusiveError, RecordingError
from loadpath.questions.compare import Difference, RunComparison, compare_runs, quotient
from loadpath.recording import Run, RunInfo
from loadpath.recording.runs import create_run
from loadpath.report.compare import comparison_exit_code, comparison_json, render_comparison
from loadpath.spec import Setup
from loadpath.stats.compare import Verdict

INFO = RunInfo(
    service="shop", command=("loadpath", "run"), started_s=0.0, notes={"questions": ["bottleneck"]}
)


def run_of(folder: Path, truth: Truth, shop: Setup | None = None) -> Run:
    run = create_run(folder, msgspec.structs.replace(INFO, started_s=time.time()))
    mix_recording(run.directory / "recordings", shop or setup(), truth)
    return run


def of(found: RunComparison, start: str) -> Difference:
    return next(d for d in found.differences if d.figure.startswith(start))


def test_the_same_service_twice_is_the_same(tmp_path: Path) -> None:
    found = compare_runs(run_of(tmp_path, Truth()), run_of(tmp_path, Truth()))
    assert {d.verdict for d in found.differences} == {Verdict.SAME}
    assert comparison_exit_code(found) is ExitCode.OBJECTIVES_MET
    assert found.doubts == ()


def test_a_service_that_carries_less_is_worse(tmp_path: Path) -> None:
    found = compare_runs(run_of(tmp_path, Truth()), run_of(tmp_path, Truth(capacity_per_s=700.0)))
    assert of(found, "the mix misses").verdict is Verdict.WORSE
    assert found.verdict is Verdict.WORSE
    assert comparison_exit_code(found) is ExitCode.OBJECTIVE_MISSED
    assert "✗ the mix misses its objective at" in render_comparison(found)


def test_a_service_that_carries_more_is_better(tmp_path: Path) -> None:
    before, after = run_of(tmp_path, Truth()), run_of(tmp_path, Truth(capacity_per_s=1500.0))
    found = compare_runs(before, after)
    assert of(found, "the mix misses").verdict is Verdict.BETTER
    ratio = of(found, "the mix misses").ratio
    assert ratio is not None
    assert ratio.low < 1440 / 940 < ratio.high


def test_an_operation_that_got_dearer_is_named(tmp_path: Path) -> None:
    shop = setup("GET /item", "GET /list", weights=(9.0, 1.0))
    cheap = {"service": Cost(0.4e-3), "database": Cost(0.1e-3)}
    before = run_of(tmp_path, Truth(parts=cheap, dear={"GET /list": 2.0}), shop)
    after = run_of(tmp_path, Truth(parts=cheap, dear={"GET /list": 3.0}), shop)
    found = compare_runs(before, after)
    assert of(found, "CPU a request, GET /list").verdict is Verdict.WORSE
    assert of(found, "CPU a request, GET /item").verdict is Verdict.SAME


def test_a_slower_machine_is_not_blamed_on_the_service(tmp_path: Path) -> None:
    slower = Truth(capacity_per_s=700.0, fixed_work_s=0.0042)
    found = compare_runs(run_of(tmp_path, Truth()), run_of(tmp_path, slower))
    assert of(found, "the mix misses").verdict is Verdict.CANNOT_TELL
    assert found.verdict is Verdict.CANNOT_TELL
    assert "the same work took 4.2 ms of CPU instead of 3.0" in found.doubts[0]


def test_a_faster_machine_hides_no_loss(tmp_path: Path) -> None:
    faster = Truth(fixed_work_s=0.0024)
    found = compare_runs(run_of(tmp_path, Truth()), run_of(tmp_path, faster))
    # It carries as much as before, on a machine that is a quarter faster.
    assert of(found, "the mix misses").verdict is Verdict.CANNOT_TELL
    assert comparison_exit_code(found) is ExitCode.INCONCLUSIVE


def test_another_workload_raises_a_doubt(tmp_path: Path) -> None:
    before, after = run_of(tmp_path, Truth()), run_of(tmp_path, Truth(), setup(limit_s=0.06))
    assert "the workload or its objectives changed" in compare_runs(before, after).doubts


def test_other_operations_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(InconclusiveError, match="different operations"):
        compare_runs(run_of(tmp_path, Truth()), run_of(tmp_path, Truth(), setup("GET /other")))


def test_a_run_without_a_measurement_cannot_be_compared(tmp_path: Path) -> None:
    empty = create_run(tmp_path, INFO)
    with pytest.raises(RecordingError, match="nothing to compare"):
        compare_runs(run_of(tmp_path, Truth()), empty)


def test_what_could_not_be_told_is_neither_good_nor_bad() -> None:
    told = Difference(figure="a", before="1", after="1", ratio=None, verdict=Verdict.SAME)
    doubtful = msgspec.structs.replace(told, verdict=Verdict.CANNOT_TELL)
    found = RunComparison(
        before="a",
        after="b",
        verdict=Verdict.CANNOT_TELL,
        differences=(told, doubtful),
        doubts=("before: \x1b[31mred",),
    )
    assert comparison_exit_code(found) is ExitCode.INCONCLUSIVE
    assert "\x1b" not in render_comparison(found)
    assert all(len(line) <= 80 for line in render_comparison(found).splitlines())
    assert msgspec.json.decode(comparison_json(found))["exit_code"] == 3


def test_a_quotient_reaches_from_far_end_to_far_end() -> None:
    before = Interval(10.0, 8.0, 12.0, 0.95, "", 5)
    after = Interval(20.0, 18.0, 24.0, 0.95, "", 9)
    ratio = quotient(before, after)
    assert ratio is not None
    assert (ratio.value, ratio.low, ratio.high) == (2.0, 1.5, 3.0)
    assert quotient(before, None) is None
    assert quotient(Interval(1.0, 0.0, 2.0, 0.95, "", 5), after) is None

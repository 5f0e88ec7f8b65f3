"""What several processes saw, put together."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from loadpath.drive.merge import merge_requests, merged_holds, merged_progress, merged_result
from loadpath.drive.plan import SegmentProgress, SegmentResult
from loadpath.recording import read_requests, write_requests
from loadpath.recording.holds import HoldCount, HoldsRecord
from loadpath.recording.schema import REQUESTS

RESULT = SegmentResult(
    index=3,
    started_s=10.0,
    ended_s=11.0,
    drained_s=11.5,
    arrivals=100,
    done=90,
    errors=10,
    unfinished=1,
    skipped=2,
    retried=3,
    connections_opened=4,
    late=5,
    engine_cpu_s=0.5,
    engine_pid=7,
    engine_nice=-10,
    stopped_early=False,
    first_errors={"a": "unfinished: no reply", "b": "status 500"},
)
PROGRESS = SegmentProgress(
    index=3,
    at_s=10.5,
    elapsed_s=0.5,
    target_rate_per_s=200.0,
    arrivals=50,
    sent=49,
    done=48,
    errors=1,
    in_flight=1,
    waiting=1,
    done_rate_per_s=96.0,
    response_time_p50_s=0.01,
    response_time_p99_s=None,
    slip_p99_s=0.0001,
    engine_cpu_s=0.25,
)


def test_counts_of_a_segment_are_summed_and_its_ends_are_the_last() -> None:
    other = msgspec.structs.replace(
        RESULT,
        drained_s=12.0,
        engine_nice=0,
        stopped_early=True,
        first_errors={"a": "timeout: no whole reply", "b": "status 502"},
        read_delay_p99_s=0.001,
    )
    merged = merged_result([RESULT, other])
    assert (merged.arrivals, merged.done, merged.errors, merged.late) == (200, 180, 20, 10)
    assert (merged.started_s, merged.drained_s) == (10.0, 12.0)
    assert (merged.engine_cpu_s, merged.engine_pid, merged.engine_nice) == (1.0, 7, 0)
    assert merged.stopped_early
    assert merged.read_delay_p99_s == 0.001
    assert merged.first_errors == {"a": "timeout: no whole reply", "b": "status 500"}


def test_of_running_quantiles_the_worst_is_told() -> None:
    other = msgspec.structs.replace(
        PROGRESS, response_time_p50_s=0.02, response_time_p99_s=0.5, slip_p99_s=None
    )
    merged = merged_progress([PROGRESS, other])
    assert (merged.arrivals, merged.done, merged.done_rate_per_s) == (100, 96, 192.0)
    assert merged.target_rate_per_s == 200.0
    quantiles = merged.response_time_p50_s, merged.response_time_p99_s, merged.slip_p99_s
    assert quantiles == (0.02, 0.5, 0.0001)


def test_checks_are_summed_by_kind() -> None:
    def found(held: int, broken: int, **first: str) -> HoldsRecord:
        count = HoldCount(
            acknowledged=10, checked=held + broken, held=held, broken=broken, unknown=0
        )
        return HoldsRecord(
            kinds={"link": count}, first_broken=first, first_unknown={}, unchecked_kinds=("other",)
        )

    merged = merged_holds([found(3, 0), found(2, 1, link="this one"), found(0, 2, link="that")])
    assert merged.kinds["link"] == HoldCount(
        acknowledged=30, checked=8, held=5, broken=3, unknown=0
    )
    assert merged.first_broken == {"link": "this one"}
    assert merged.unchecked_kinds == ("other",)
    assert not merged.all_held


def test_rows_are_put_in_the_order_in_which_requests_were_finished(tmp_path: Path) -> None:
    nan = np.nan

    def rows(done_s: list[float], flows: list[int]) -> dict[str, np.ndarray]:
        columns = {c.name: np.zeros(len(flows)) for c in REQUESTS.columns}
        columns |= {"flow": np.array(flows), "done_s": np.array(done_s)}
        return columns

    parts = [tmp_path / "0", tmp_path / "1", tmp_path / "2"]
    write_requests(parts[0], rows([1.0, nan, 4.0], [0, 2, 4]))
    write_requests(parts[1], rows([nan, 2.0, 3.0], [1, 3, 5]))
    write_requests(parts[2], rows([], []))
    merge_requests(parts, tmp_path / "whole")
    merged = read_requests(tmp_path / "whole")
    assert sorted(merged["flow"].tolist()) == [0, 1, 2, 3, 4, 5]
    done = [flow for flow in merged["flow"].tolist() if flow not in (1, 2)]
    assert done == [0, 3, 5, 4]
    assert merged["flow"].tolist().index(2) == merged["flow"].tolist().index(0) + 1

"""What several processes of one engine saw, as if one had seen it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath import recording
from loadpath.drive.plan import EffectsCounted, Segment, SegmentProgress, SegmentResult
from loadpath.recording.holds import HoldCount, HoldsRecord
from loadpath.recording.schema import READS, REPLIES, WRITES, TableSchema


def merged_progress(parts: Sequence[SegmentProgress]) -> SegmentProgress:
    """Counts and rates are summed; quantiles are the worst of any process."""
    return msgspec.structs.replace(
        parts[0],
        at_s=max(each.at_s for each in parts),
        arrivals=sum(each.arrivals for each in parts),
        sent=sum(each.sent for each in parts),
        done=sum(each.done for each in parts),
        errors=sum(each.errors for each in parts),
        in_flight=sum(each.in_flight for each in parts),
        waiting=sum(each.waiting for each in parts),
        done_rate_per_s=sum(each.done_rate_per_s for each in parts),
        response_time_p50_s=_largest(each.response_time_p50_s for each in parts),
        response_time_p99_s=_largest(each.response_time_p99_s for each in parts),
        slip_p99_s=_largest(each.slip_p99_s for each in parts),
        engine_cpu_s=sum(each.engine_cpu_s for each in parts),
    )


def merged_result(parts: Sequence[SegmentResult]) -> SegmentResult:
    """Counts are summed; of priorities and read delays it is the worst, of pids the first."""
    first_errors: dict[str, str] = {}
    for each in parts:
        for operation, words in each.first_errors.items():
            # A request without any reply says least of why.
            if first_errors.get(operation, "unfinished").startswith("unfinished"):
                first_errors[operation] = words
    return msgspec.structs.replace(
        parts[0],
        ended_s=max(each.ended_s for each in parts),
        drained_s=max(each.drained_s for each in parts),
        arrivals=sum(each.arrivals for each in parts),
        done=sum(each.done for each in parts),
        errors=sum(each.errors for each in parts),
        unfinished=sum(each.unfinished for each in parts),
        skipped=sum(each.skipped for each in parts),
        retried=sum(each.retried for each in parts),
        connections_opened=sum(each.connections_opened for each in parts),
        late=sum(each.late for each in parts),
        engine_cpu_s=sum(each.engine_cpu_s for each in parts),
        engine_nice=max(each.engine_nice for each in parts),
        stopped_early=any(each.stopped_early for each in parts),
        first_errors=first_errors,
        handshakes=sum(each.handshakes for each in parts),
        handshakes_resumed=sum(each.handshakes_resumed for each in parts),
        read_delay_p50_s=_largest(each.read_delay_p50_s for each in parts),
        read_delay_p99_s=_largest(each.read_delay_p99_s for each in parts),
    )


def merged_holds(parts: Sequence[HoldsRecord]) -> HoldsRecord:
    """Counts are summed by kind; of examples it is the first."""
    kinds: dict[str, HoldCount] = {}
    broken: dict[str, str] = {}
    unknown: dict[str, str] = {}
    unchecked: dict[str, None] = {}
    for each in parts:
        for kind, count in each.kinds.items():
            so_far = kinds.get(kind)
            kinds[kind] = count if so_far is None else _sum(so_far, count)
        broken = {**each.first_broken, **broken}
        unknown = {**each.first_unknown, **unknown}
        unchecked.update(dict.fromkeys(each.unchecked_kinds))
    return HoldsRecord(
        kinds=kinds, first_broken=broken, first_unknown=unknown, unchecked_kinds=tuple(unchecked)
    )


def merged_effects(parts: Sequence[EffectsCounted]) -> EffectsCounted:
    """Counts are summed."""
    kinds = dict.fromkeys(kind for each in parts for kind in each.uncounted_kinds)
    return EffectsCounted(
        looked_for=sum(each.looked_for for each in parts),
        total=sum(each.total for each in parts),
        unknown=sum(each.unknown for each in parts),
        uncounted_kinds=tuple(kinds),
    )


def own_segment(segment: Segment, index: int) -> Segment:
    """The segment as one of several processes writes it: into files of its own."""
    return msgspec.structs.replace(
        segment,
        requests_path=_own(segment.requests_path, index),
        writes_path=None if segment.writes_path is None else _own(segment.writes_path, index),
        reads_path=None if segment.reads_path is None else _own(segment.reads_path, index),
        replies_path=None if segment.replies_path is None else _own(segment.replies_path, index),
    )


def own_paths(segment: Segment, count: int) -> list[Path]:
    """Every file that so many processes may leave."""
    kinds = (segment.requests_path, *(path for path, _ in _noted(segment)))
    return [_own(path, i) for path in kinds if path is not None for i in range(count)]


def merge_segment(segment: Segment, count: int) -> None:
    """Write the files of a segment from those of so many processes, which are gone then.

    Raises `RecordingError` when one cannot be written.
    """
    path = segment.requests_path
    merge_requests([_own(path, i) for i in range(count)], path)
    for whole, table in _noted(segment):
        if whole is not None:
            merge_tables([_own(whole, i) for i in range(count)], whole, table)
    for own in own_paths(segment, count):
        own.unlink(missing_ok=True)


def _noted(segment: Segment) -> tuple[tuple[Path | None, TableSchema], ...]:
    """The tables beside the requests, where they are wanted."""
    return (
        (segment.writes_path, WRITES),
        (segment.reads_path, READS),
        (segment.replies_path, REPLIES),
    )


def merge_tables(parts: Sequence[Path], path: Path, table: TableSchema) -> None:
    """Write one table of those parts that are there, one after the other; they are gone then.

    Raises `RecordingError` when it cannot be written.
    """
    found = [recording.read_table(part, table) for part in parts if part.exists()]
    if found:
        columns = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
        recording.write_table(path, table, columns)
    for part in parts:
        part.unlink(missing_ok=True)


def _own(path: Path, index: int) -> Path:
    return path.with_name(f"{path.name}.{index}")


def merge_requests(parts: Sequence[Path], path: Path) -> None:
    """Write one requests file of several, in the order in which the requests were finished.

    Raises `RecordingError` when it cannot be written.
    """
    tables = [recording.read_requests(part) for part in parts]
    # A request without a reply has no time at which it was finished: it follows the one before it.
    finished = np.concatenate([_reached(table["done_s"]) for table in tables])
    order = np.argsort(finished, kind="stable")
    recording.write_requests(
        path, {name: np.concatenate([t[name] for t in tables])[order] for name in tables[0]}
    )


def _reached(done_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For every row of a process, the latest time at which anything up to it was finished."""
    return np.fmax.accumulate(done_s) if len(done_s) else done_s


def _sum(one: HoldCount, other: HoldCount) -> HoldCount:
    return HoldCount(
        acknowledged=one.acknowledged + other.acknowledged,
        checked=one.checked + other.checked,
        held=one.held + other.held,
        broken=one.broken + other.broken,
        unknown=one.unknown + other.unknown,
    )


def _largest(values: Iterable[float | None]) -> float | None:
    return max((each for each in values if each is not None), default=None)

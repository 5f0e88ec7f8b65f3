"""Find the load at which the objective is first missed: one continuous ramp, then hold and bisect.

Everything a search decides it decides from recorded rows, by the pure functions below that the
verdict uses later, so that deriving an answer again from a recording retraces the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from loadpath.drive import SegmentProgress
from loadpath.experiment.arm import StopRule
from loadpath.experiment.assess import Assessment, assess, responses
from loadpath.recording import Recording, SegmentRecord
from loadpath.spec import ClosedArrivals, Objective, Setup, Workload
from loadpath.stats.knee import KneeSearch

WARMUP_SHARE = 0.15
"""The first part of a hold that is not judged: queues and caches are still settling."""

RAMP_WINDOW_S = 0.5
"""A ramp is judged in windows of this length."""

RAMP_MISSES = 3
"""So many windows missed in a row end a ramp: one is a hiccup."""

REPORT_S = 0.25
"""How often the engine reports."""


class Hold(msgspec.Struct, frozen=True):
    """A stretch at one load. `scale` is that load as a multiple of the workload's own.

    `disturbed` says what else took the machine meanwhile, or is None; `taken_cores` how much.
    """

    segment: SegmentRecord
    scale: float
    assessment: Assessment
    disturbed: str | None = None
    taken_cores: float = 0.0


def objectives(workload: Workload) -> list[Objective]:
    """Each operation's own objective, in the order of the operations."""
    return [workload.objective_of(operation) for operation in workload.operations]


def mix_of(workload: Workload) -> dict[str, float]:
    """The weights of the mix."""
    return {operation.name: operation.weight for operation in workload.operations}


def loosest_limit_s(workload: Workload) -> float:
    """The largest response time limit of any operation."""
    limits = [q.limit_s for o in objectives(workload) for q in o.quantiles]
    return max(limits, default=1.0)


def measured_window(segment: SegmentRecord) -> tuple[float, float]:
    """From when to when a hold counts, in seconds of the recording's clock."""
    duration_s = segment.ended_s - segment.started_s
    return segment.started_s + WARMUP_SHARE * duration_s, segment.ended_s


def assess_segments(
    recording: Recording, segments: Sequence[SegmentRecord], operation: int | None = None
) -> Assessment:
    """Judge the measured parts of one or more segments, taken together, by the objectives.

    `operation`: that one alone, by index.
    """
    taken = []
    total_s = 0.0
    for segment in segments:
        from_s, to_s = measured_window(segment)
        observed = responses(recording.requests(segment.index)).between(from_s, to_s)
        taken.append(observed if operation is None else observed.of(operation))
        total_s += to_s - from_s
    pooled = taken[0]
    for more in taken[1:]:
        pooled = pooled.followed_by(more)
    return assess(pooled, objectives(recording.setup.workload), duration_s=max(total_s, 1e-9))


def scale_of(setup: Setup, segment: SegmentRecord) -> float:
    """The load of a segment (where it began, for a ramp) as a multiple of the workload's own."""
    arrivals = setup.workload.arrivals
    if isinstance(arrivals, ClosedArrivals):
        return float(segment.load["users"]) / arrivals.users
    return float(segment.load["rate_per_s"]) / arrivals.rate_per_s


def missed_now(limit_s: float) -> StopRule:
    """Stop a ramp once the objective is surely behind it.

    That is when the median of the last second is over `limit_s` in two reports running, or the p99
    is (of few requests it is the slowest one, so that alone may be chance), or requests fail or
    pile up unsent, for longer than it takes to see the miss in the recording.
    """
    lasting = math.ceil((RAMP_MISSES + 1) * RAMP_WINDOW_S / REPORT_S)
    median = slow = 0

    def stop(progress: SegmentProgress) -> bool:
        nonlocal median, slow
        p50_s, p99_s = progress.response_time_p50_s or 0.0, progress.response_time_p99_s or 0.0
        behind = progress.waiting > max(50.0, (progress.target_rate_per_s or 0.0) * limit_s)
        failing = progress.errors > max(20, 0.05 * progress.arrivals)
        median = median + 1 if p50_s > limit_s else 0
        slow = slow + 1 if p99_s > limit_s or behind or failing else 0
        return median >= 2 or slow >= lasting

    return stop


def ramp_crossing(
    recording: Recording, segment: SegmentRecord, operation: int | None = None
) -> float | None:
    """The rate (1/s) at which a geometric ramp misses the objective for good; None when it never
    does.

    The ramp is judged in short windows; the crossing is where it would be if all windows that were
    missed came after all that were not. That is the estimator of Spearman (1908) and Kärber (1931)
    for the dose at which half respond: a hiccup on the way shifts it by its own length and no more.
    The last windows must be missed: `RAMP_MISSES`, or one where the ramp was stopped. `operation`:
    judged by that one alone, over a background.
    """
    missed = _missed_windows(recording, segment, operation)
    tail = 1 if segment.stopped_early else RAMP_MISSES
    if not all(missed[-tail:]) or len(missed) < tail:
        return None
    return ramp_rate(segment, (len(missed) - sum(missed)) * RAMP_WINDOW_S)


def ramp_bound(recording: Recording, segment: SegmentRecord) -> float:
    """The rate (1/s) that a ramp without a crossing would cross above: that of its end, or of where
    the last windows begin that were missed, too few of them to be sure."""
    missed = _missed_windows(recording, segment)
    lasted = next((count for count, miss in enumerate(reversed(missed)) if not miss), len(missed))
    elapsed_s = segment.ended_s - segment.started_s
    return ramp_rate(segment, max(0.0, elapsed_s - lasted * RAMP_WINDOW_S))


def _missed_windows(
    recording: Recording, segment: SegmentRecord, operation: int | None = None
) -> list[bool]:
    """Of each whole window of a ramp, whether it missed the objective."""
    observed = responses(recording.requests(segment.index))
    if operation is not None:
        observed = observed.of(operation)
    limits = objectives(recording.setup.workload)
    missed = []
    for window in range(math.floor((segment.ended_s - segment.started_s) / RAMP_WINDOW_S)):
        from_s = segment.started_s + window * RAMP_WINDOW_S
        part = observed.between(from_s, from_s + RAMP_WINDOW_S)
        missed.append(assess(part, limits, duration_s=RAMP_WINDOW_S).met is False)
    return missed


def ramp_rate(segment: SegmentRecord, elapsed_s: float) -> float:
    """The rate of a geometric ramp (1/s) `elapsed_s` after it began."""
    begin = float(segment.load["rate_per_s"])
    end = float(segment.load["end_rate_per_s"])
    return begin * math.pow(end / begin, min(1.0, elapsed_s / segment.duration_s))


def observe(search: KneeSearch, hold: Hold) -> None:
    """Feed one hold into a search."""
    stretch = max(
        (limit.slower.value / max(1 - limit.quantile, 1e-9) for limit in hold.assessment.limits),
        default=0.0,
    )
    search.observe(hold.scale, hold.assessment.met, stretch or None)

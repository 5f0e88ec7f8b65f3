"""Stretches of load, as a model is fitted from them: rates, CPU by group, response times. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from loadpath.experiment.assess import Responses, assess, responses
from loadpath.experiment.grouping import Grouping, grouping
from loadpath.experiment.knee import measured_window, objectives
from loadpath.experiment.limits import usage_in
from loadpath.meter import Usage, window
from loadpath.model.observations import PROBABILITIES, Stretch, Times
from loadpath.recording import Recording, SegmentRecord

WINDOW_S = 1.5
"""A ramp is many loads: it is cut into windows of this length, a few samples of the meter each."""

STEADY = frozenset({"baseline", "hold", "demand", "demand-tilted", "operation-demand"})
RAMPS = frozenset({"ramp", "operation-ramp"})

KEPT_UP = 0.95
"""A stretch that completed less than this of what was offered was overloaded."""

Floats = npt.NDArray[np.float64]


def stretches_of(mix: Recording) -> tuple[tuple[Stretch, ...], Grouping]:
    """Every stretch of a recording, in the order driven, and the groups that its CPU is told by."""
    used = [s for s in mix.segments if s.purpose in STEADY | RAMPS]
    groups = grouping([usage_in(mix, segment) for segment in used])
    found: list[Stretch] = []
    for segment in used:
        observed = responses(mix.requests(segment.index))
        steady = segment.purpose in STEADY
        for from_s, to_s in [measured_window(segment)] if steady else _windows(segment):
            usage = window(
                mix.table("threads", segment.index),
                mix.table("processes", segment.index),
                mix.table("host", segment.index),
                from_s,
                to_s,
            )
            if usage.covered_ratio > 0.5:
                found.append(_stretch(mix, segment, observed, usage, groups, steady=steady))
    return tuple(found), groups


def times_of(values_s: Sequence[float] | Floats) -> Times:
    """A distribution, from values that are finite."""
    values = np.asarray(values_s, dtype=np.float64)
    return Times(
        count=len(values),
        mean_s=float(values.mean()),
        p99_s=float(np.quantile(values, 0.99)),
        quantiles_s=tuple(np.quantile(values, PROBABILITIES).tolist()),
    )


def _windows(segment: SegmentRecord) -> Iterator[tuple[float, float]]:
    count = int((segment.ended_s - segment.started_s) / WINDOW_S)
    for number in range(count):
        from_s = segment.started_s + number * WINDOW_S
        yield from_s, from_s + WINDOW_S


def _stretch(
    mix: Recording,
    segment: SegmentRecord,
    observed: Responses,
    usage: Usage,
    groups: Grouping,
    *,
    steady: bool,
) -> Stretch:
    from_s, to_s = usage.from_s, usage.to_s
    duration_s = to_s - from_s
    offered = observed.between(from_s, to_s)
    done_s = observed.intended_s + observed.response_s
    done = observed.where((done_s >= from_s) & (done_s < to_s) & ~observed.failed)
    finished = offered.where(np.isfinite(offered.response_s) & ~offered.failed)
    names = mix.operations
    kept_up = len(done) >= KEPT_UP * len(offered) - 3
    met = None
    if segment.purpose in {"baseline", "hold"}:
        met = assess(offered, objectives(mix.setup.workload), duration_s=duration_s).met
    host = usage.host
    return Stretch(
        purpose=segment.purpose,
        duration_s=duration_s,
        offered_per_s=_rates(offered, names, duration_s),
        done_per_s=_rates(done, names, duration_s),
        cores=groups.cores(usage),
        waiting=groups.waiting(usage),
        responses={
            names[number]: times_of(finished.of(number).response_s)
            for number in np.unique(finished.operation).tolist()
        },
        others_cores=host.others_cores + host.steal_cores + usage.cpu_cores("loadpath"),
        users=segment.load.get("users"),
        think_s=segment.load.get("think_time_s"),
        met=met,
        speed_s=segment.fixed_work_s,
        steady=steady and kept_up,
    )


def _rates(observed: Responses, names: Sequence[str], duration_s: float) -> dict[str, float]:
    numbers, counts = np.unique(observed.operation, return_counts=True)
    return {
        names[number]: count / duration_s
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
    }

"""Response times of several replications together, with the interval that their spread gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from loadpath.answer import Interval
from loadpath.model.program import Floats
from loadpath.model.replicate import Seen
from loadpath.model.simulated import Estimate, Response
from loadpath.model.state import NO_SLOT, OK, TIMED_OUT, UNENDED
from loadpath.stats.batches import student_critical
from loadpath.stats.intervals import mean_interval
from loadpath.stats.quantiles import quantiles

QUANTILES = (0.5, 0.9, 0.99, 0.999)


def respond(
    seen: Sequence[Seen],
    operation: tuple[int, str] | None = None,
    *,
    told: bool,
    confidence: float,
) -> Response:
    """Of one operation (its number and name) or of all. Without `told` nothing has a value."""
    outcomes = [ended(s, operation) for s in seen]
    good = [ended_well_s(s, operation) for s in seen]
    count = sum(len(o) for o in outcomes)
    well = sum(len(times_s) for times_s in good)
    of_all = well if operation is None else sum(int((s.outcomes == OK).sum()) for s in seen)
    errors = mean_interval(
        [float((o != OK).mean()) for o in outcomes if len(o)] or [0.0], confidence
    )
    mean_s, p50_s, p90_s, p99_s, p999_s = _estimates(good, told=told, confidence=confidence)
    throughput_per_s = float(np.mean([s.ended_well_per_s for s in seen]))
    return Response(
        operation=None if operation is None else operation[1],
        requests=count,
        throughput_per_s=throughput_per_s * well / max(1, of_all),
        mean_s=mean_s,
        p50_s=p50_s,
        p90_s=p90_s,
        p99_s=p99_s,
        p999_s=p999_s,
        errors_ratio=Interval(
            errors.value,
            max(0.0, errors.low),
            min(1.0, errors.high),
            confidence,
            "replications, Student t",
            errors.samples,
        ),
        no_slot_ratio=sum(int((o == NO_SLOT).sum()) for o in outcomes) / max(1, count),
        timed_out_ratio=sum(int((o == TIMED_OUT).sum()) for o in outcomes) / max(1, count),
    )


def ended(seen: Seen, operation: tuple[int, str] | None = None) -> npt.NDArray[np.uint8]:
    """How those of a window ended that did."""
    mine = seen.outcomes != UNENDED
    if operation is not None:
        mine &= seen.operations == operation[0]
    found: npt.NDArray[np.uint8] = seen.outcomes[mine]
    return found


def ended_well_s(seen: Seen, operation: tuple[int, str] | None = None) -> Floats:
    """Response times (s) of those of a window that ended well, in order of arrival."""
    well = seen.outcomes == OK
    if operation is not None:
        well &= seen.operations == operation[0]
    found: Floats = seen.responses_s[well]
    return found


def _estimates(
    good: Sequence[Floats], *, told: bool, confidence: float
) -> tuple[Estimate, Estimate, Estimate, Estimate, Estimate]:
    """The mean and each quantile of all replications together, bounded by their own spread."""
    some = [values for values in good if len(values)]
    if not some:
        nothing = Estimate(None, 0.0, math.inf, confidence)
        return nothing, nothing, nothing, nothing, nothing
    each = np.array([[v.mean(), *quantiles(v, QUANTILES)] for v in some])
    pooled = np.concatenate(some)
    whole = np.array([pooled.mean(), *quantiles(pooled, QUANTILES)])
    half = np.full(len(whole), math.inf)
    if len(each) > 1:
        squares = ((each - whole) ** 2).sum(axis=0) / (len(each) - 1)
        half = student_critical(confidence, len(each) - 1) * np.sqrt(squares / len(each))
    found = [
        Estimate(
            float(value) if told else None,
            max(0.0, float(value - error)),
            float(value + error),
            confidence,
        )
        for value, error in zip(whole, half, strict=True)
    ]
    return found[0], found[1], found[2], found[3], found[4]

"""Load on the mix: today's, then up to its knee, then CPU a request at several rates below it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from loadpath.drive import OpenLoad
from loadpath.errors import InconclusiveError
from loadpath.events import EventSink, Warned
from loadpath.experiment.arm import Arm
from loadpath.experiment.costs import tilted
from loadpath.experiment.depth import LEVELS, Depth
from loadpath.experiment.holds import hold
from loadpath.experiment.knee import (
    assess_segments,
    loosest_limit_s,
    missed_now,
    mix_of,
    observe,
    ramp_crossing,
    ramp_rate,
)
from loadpath.experiment.mixknee import is_doubtful, mix_search
from loadpath.experiment.phase import phase
from loadpath.experiment.scale import describe, load_at
from loadpath.experiment.session import Session
from loadpath.figures import per_second
from loadpath.recording import SegmentRecord
from loadpath.spec import ClosedArrivals, OpenArrivals

SETTLE_S = 1.5
"""Today's load for so long after an overload, so that no queue of one hold reaches the next."""

FAILED_MIN = 3
"""One or two requests that fail are no proof that all would."""

HOLDS_MIN = 4
"""A knee takes so many holds, whatever the budget."""


async def drive_today(arm: Arm, depth: Depth, emit: EventSink) -> bool | None:
    """The workload's own load, until it is clear whether the objective is met."""
    arrivals = arm.setup.workload.arrivals
    mix = mix_of(arm.setup.workload)
    with phase(emit, "today's load", depth.warmup_s + depth.baseline_s) as now:
        warmup = await arm.drive(
            "warmup", load_at(arrivals, 1.0), duration_s=depth.warmup_s, weights=mix
        )
        _refuse_failing(arm, [warmup])
        taken: list[SegmentRecord] = []
        verdict = None
        for _ in range(1 + depth.repeats):
            taken.append(
                await arm.drive(
                    "baseline", load_at(arrivals, 1.0), duration_s=depth.baseline_s, weights=mix
                )
            )
            _refuse_failing(arm, [warmup, *taken])
            verdict = assess_segments(arm.recording(), taken)
            if verdict.met is not None:
                break
        word = {True: "met", False: "missed", None: "cannot tell"}[verdict.met if verdict else None]
        now.result = f"objective {word} at {describe(arrivals, 1.0)}"
    return verdict.met if verdict else None


def _refuse_failing(arm: Arm, segments: Sequence[SegmentRecord]) -> None:
    """An operation whose every reply is an error measures the error page, not the service."""
    recording = arm.recording()
    rows = [recording.requests(segment.index) for segment in segments]
    for index, operation in enumerate(arm.setup.workload.operations):
        errors = [error for each in rows for error in each["error"][each["operation"] == index]]
        if len(errors) >= FAILED_MIN and all(errors):
            said = (segment.first_errors.get(operation.name) for segment in segments)
            raise InconclusiveError(
                f"{operation.name}: all of its {len(errors)} requests failed; the first: "
                f"{next(filter(None, said), '')}",
                advice="Mend it in the service file; `loadpath check` shows its replies.",
            )


async def drive_mix_knee(arm: Arm, depth: Depth, session: Session, *, met_today: bool) -> float:
    """Ramp to the knee of the mix, then hold and bisect; returns its scale, the best known."""
    workload = arm.setup.workload
    mix = mix_of(workload)
    begin = 1.0 if met_today else 0.05
    if isinstance(workload.arrivals, ClosedArrivals):
        start = begin
    else:
        end = begin * depth.ramp_growth_per_s**depth.ramp_s
        with phase(session.emit, "ramp of the mix", depth.ramp_s) as now:
            ramp = await arm.drive(
                "ramp",
                load_at(workload.arrivals, begin, end_scale=end),
                duration_s=depth.ramp_s,
                weights=mix,
                stop_when=missed_now(loosest_limit_s(workload)),
            )
            crossing = ramp_crossing(arm.recording(), ramp)
            reached = crossing or ramp_rate(ramp, ramp.ended_s - ramp.started_s)
            start = reached / workload.arrivals.rate_per_s
            now.result = f"{'misses' if crossing else 'still meets'} at {per_second(reached)}"
        await settle(arm)
    search = mix_search(workload.arrivals, start, tolerance=depth.tolerance, holds=depth.holds)
    with phase(session.emit, "knee of the mix", depth.holds * (depth.hold_s + SETTLE_S / 2)) as now:
        spare = depth.repeats
        driven = 0
        while (scale := search.next_rate()) is not None:
            if driven >= HOLDS_MIN and session.left_s() < depth.hold_s + SETTLE_S:
                break
            seen = await hold(arm, "hold", scale, duration_s=depth.hold_s, weights=mix)
            driven += 1
            if seen.assessment.met is not True:
                await settle(arm)
            if is_doubtful(seen) and spare > 0:
                spare -= 1
                session.emit(Warned(at_s=time.time(), message=f"repeating: {seen.disturbed}"))
                continue
            observe(search, seen)
        found = search.result()
        scale = found.knee.value if found.knee else found.low or found.high or start
        now.result = f"about {describe(workload.arrivals, scale)}"
    return scale


async def settle(arm: Arm) -> None:
    await arm.drive(
        "settle",
        load_at(arm.setup.workload.arrivals, 1.0),
        duration_s=SETTLE_S,
        weights=mix_of(arm.setup.workload),
    )


def own_rate_per_s(arm: Arm) -> float:
    """The workload's own rate; of a closed one, the rate its users came to."""
    arrivals = arm.setup.workload.arrivals
    if isinstance(arrivals, OpenArrivals):
        return arrivals.rate_per_s
    recording = arm.recording()
    baseline = [s for s in recording.segments if s.purpose == "baseline"]
    return max(assess_segments(recording, baseline).done_per_s, 1.0)


async def drive_mix_demand(
    arm: Arm, depth: Depth, session: Session, knee_scale: float, own_per_s: float
) -> None:
    """CPU a request of the mix at three loads, and with more of each operation that cannot be
    driven alone: the difference is that operation's."""
    mix = mix_of(arm.setup.workload)
    tilts = [o for o in arm.setup.workload.operations if not o.alone and o.weight > 0]
    count = len(LEVELS) * (1 + len(tilts))
    with phase(session.emit, "CPU a request of the mix", count * depth.demand_s):
        for level in LEVELS:
            load = OpenLoad(rate_per_s=level * knee_scale * own_per_s)
            await arm.drive("demand", load, duration_s=depth.demand_s, weights=mix)
            for operation in tilts:
                await arm.drive(
                    "demand-tilted",
                    load,
                    duration_s=depth.demand_s,
                    weights=tilted(mix, operation.name),
                    label=operation.name,
                )

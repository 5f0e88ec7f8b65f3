"""Will this bottleneck anything? At which load, because of what, and does more of it help?

Collected, in one recording named `mix`: the workload's own load; one continuous ramp until the
objective is missed; holds around that knee; CPU a request at three loads, of the mix and of each
operation; each operation's knee with the others at their usual rate. Of a service with dependencies
also a recording `traced`, with taps on the wires. Then a model of these chooses what may lift it
(`relief.py`), and in arms interleaved A B B A, recordings `workers-1-…` and `workers-2-…` or
`lift-C-…`: where the service as it is and as the best two changes leave it miss the objective.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from loadpath.answer import Answer, Line, State
from loadpath.drive import OpenLoad
from loadpath.events import Warned
from loadpath.experiment import traced
from loadpath.experiment.arm import Arm, open_arm
from loadpath.experiment.concurrency import in_service, limit_of
from loadpath.experiment.costs import mix_demands, operation_costs
from loadpath.experiment.depth import LEVELS, Depth
from loadpath.experiment.functions import SAMPLED_S, sample_functions
from loadpath.experiment.knee import (
    Hold,
    assess_segments,
    loosest_limit_s,
    missed_now,
    mix_of,
    ramp_crossing,
    ramp_rate,
)
from loadpath.experiment.limits import Resource, connections_in, limiting, resources, usage_in
from loadpath.experiment.mixknee import MixKnee, load_points, mix_knee
from loadpath.experiment.mixload import (
    SETTLE_S,
    drive_mix_demand,
    drive_mix_knee,
    drive_today,
    own_rate_per_s,
    settle,
)
from loadpath.experiment.phase import phase
from loadpath.experiment.session import Session
from loadpath.experiment.speed import cpu_share, speed_of, with_speed
from loadpath.experiment.validity import validity
from loadpath.experiment.waiting import Wires, explained
from loadpath.figures import per_second
from loadpath.questions import relief
from loadpath.questions.functions import function_lines, function_shares, is_service_cpu
from loadpath.questions.lift_lines import lift_lines
from loadpath.questions.lifts import read_lifts
from loadpath.questions.lines import knee_words, operation_lines
from loadpath.questions.verdict import Relief, cause, conclude
from loadpath.questions.waiting import pool_lines, wires_checks, wires_of
from loadpath.recording import Recording
from loadpath.spec import OpenArrivals, Operation, Setup, Workload

OPERATION_GROWTH_PER_S = 1.5


def estimate_s(setup: Setup, depth: Depth) -> float:
    """About how long collecting takes, in seconds."""
    operations = setup.workload.operations
    alone = sum(_has_own_knee(setup.workload, operation) for operation in operations)
    tilts = sum(not operation.alone for operation in operations)
    start = _start_s(setup)
    mix = depth.warmup_s + depth.baseline_s + 0.6 * depth.ramp_s
    mix += depth.holds * (depth.hold_s + SETTLE_S / 2)
    demand = len(LEVELS) * (depth.demand_s + 0.2) * (1 + alone + tilts)
    knees = alone * (12 + SETTLE_S)
    relieved = isinstance(setup.workload.arrivals, OpenArrivals)
    arms = relief.estimate_s(depth, start / 2) if relieved else 0
    return 2 * start + mix + demand + SAMPLED_S + knees + _wires_s(setup, depth) + arms


def _start_s(setup: Setup) -> float:
    """About how long the first start takes, with making the data; a later one half of it."""
    return 2 + 6 * len(setup.service.dependencies)


def _wires_s(setup: Setup, depth: Depth) -> float:
    return traced.estimate_s(setup, depth.traced_s, _start_s(setup) / 2)


def _has_own_knee(workload: Workload, operation: Operation) -> bool:
    """Whether it is ramped over the others: not where it is all there is, nor where it may not."""
    others = sum(o.weight for o in workload.operations if o.name != operation.name)
    return operation.alone and operation.weight > 0 and others > 0


async def collect(session: Session, setup: Setup, depth: Depth) -> None:
    """Record what the answer needs. Raises `InconclusiveError` when an operation only fails."""
    async with open_arm(session, setup, "mix") as arm:
        today = await drive_today(arm, depth, session.emit)
        knee_scale = await drive_mix_knee(arm, depth, session, met_today=today is not False)
        own_per_s = own_rate_per_s(arm)
        await drive_mix_demand(arm, depth, session, knee_scale, own_per_s)
        main = arm.recording()
        # As far as it can be told without the wires, and where little else has to give way to it.
        resource = _limit(main, mix_knee(main), None)
        if is_service_cpu(resource) and session.left_s() > 4 * SAMPLED_S:
            await sample_functions(arm, session, knee_scale * own_per_s)
        await _operations(arm, depth, session, own_per_s)
        with phase(session.emit, "acknowledged writes"):
            await arm.check_holds()
    if setup.service.dependencies:
        await _wires(session, setup, depth, knee_scale, own_per_s)
    if isinstance(setup.workload.arrivals, OpenArrivals):
        await relief.try_lifts(session, setup, depth, knee_scale)


async def _operations(arm: Arm, depth: Depth, session: Session, own_per_s: float) -> None:
    """Each operation's knee, the others at their usual rate; then its CPU a request, alone."""
    workload = arm.setup.workload
    total = sum(operation.weight for operation in workload.operations)
    for index, operation in enumerate(workload.operations):
        # What the wires tell of all operations is worth more than one more knee.
        kept_s = _wires_s(arm.setup, depth)
        if session.left_s() < 12 + len(LEVELS) * depth.demand_s + kept_s:
            break
        if not _has_own_knee(workload, operation):
            continue
        with phase(session.emit, operation.name, 12 + len(LEVELS) * depth.demand_s) as now:
            own = own_per_s * operation.weight / total
            reached, missed = await _operation_ramp(arm, index, operation, own, own_per_s)
            now.result = f"{'misses' if missed else 'still meets'} at {per_second(reached)}"
            await settle(arm)
            for level in LEVELS:
                await arm.drive(
                    "operation-demand",
                    OpenLoad(rate_per_s=max(level * reached, 1.0)),
                    duration_s=depth.demand_s,
                    weights={operation.name: 1.0},
                    label=operation.name,
                )


async def _operation_ramp(
    arm: Arm, index: int, operation: Operation, own_per_s: float, all_per_s: float
) -> tuple[float, bool]:
    """How far a ramp of it came (1/s), and whether it ended there because it missed."""
    workload = arm.setup.workload
    others = {o.name: o.weight for o in workload.operations if o.name != operation.name}
    duration_s = 20.0
    begin = max(own_per_s, 5.0)
    background = None
    if sum(others.values()) > 0:
        background = (OpenLoad(rate_per_s=max(all_per_s - own_per_s, 0.1)), others)
    ramp = await arm.drive(
        "operation-ramp",
        OpenLoad(rate_per_s=begin, end_rate_per_s=begin * OPERATION_GROWTH_PER_S**duration_s),
        duration_s=duration_s,
        weights={operation.name: 1.0},
        background=background,
        label=operation.name,
        stop_when=missed_now(loosest_limit_s(workload)),
    )
    crossing = ramp_crossing(arm.recording(), ramp, index)
    return crossing or ramp_rate(ramp, ramp.ended_s - ramp.started_s), crossing is not None


async def _wires(
    session: Session, setup: Setup, depth: Depth, knee_scale: float, own_per_s: float
) -> None:
    """What requests wait for, read from the wires, where the budget leaves time for it."""
    if session.left_s() < _wires_s(setup, depth):
        why = "the budget leaves no time to read the wires: what requests wait for stays unknown"
        session.emit(Warned(at_s=time.time(), message=why))
        return
    await traced.read_wires(
        session,
        setup,
        duration_s=depth.traced_s,
        knee_scale=knee_scale,
        own_rate_per_s=own_per_s,
    )


def is_own(recording: Recording) -> bool:
    """Whether that recording was made for this question."""
    return not recording.name.startswith(("crash", "cache"))


def judge(recordings: Sequence[Recording]) -> Answer:
    """Derive the answer. Pure: reads recordings, drives nothing."""
    main = next((r for r in recordings if r.name == "mix"), None)
    baseline = [s for s in main.segments if s.purpose == "baseline"] if main else []
    if main is None or not baseline:
        return _too_early(recordings)
    setup = main.setup
    today = assess_segments(main, baseline)
    placed = mix_knee(main)
    wires = wires_of(recordings, main, placed)
    resource = _limit(main, placed, wires)
    speed = speed_of(main)
    knee = with_speed(placed, speed, cpu_share(main, placed, resource))
    lifts = relief.lifts_seen(recordings, main)
    tried = relief.deciding(lifts, main)
    more = tried if tried is not None and relief.is_worker_more(tried.lift, main) else None
    costs = operation_costs(main)
    functions = main.functions()
    checks = (*validity(main, knee, speed), *wires_checks(recordings, wires))
    relieving = Relief(comparison=None)
    if tried is not None:
        relieving = Relief(
            comparison=tried.measured,
            disturbed=tried.disturbed,
            title=relief.title_of(tried.lift, main),
            is_worker=more is not None,
            predicted=tried.lift.predicted,
            is_at_least=tried.is_at_least,
        )
    state, claim = conclude(main, knee, resource, relieving, checks)
    lines = [
        Line("the mix", knee_words(setup, today, knee), cause(knee, resource)),
        *function_lines(main, resource),
        *pool_lines(wires, knee),
        *lift_lines(main, lifts, read_lifts(main)),
        *operation_lines(setup, costs, wires.paths if wires else ()),
        *(Line("assumed", assumption) for assumption in setup.workload.assumptions),
    ]
    return Answer(
        question="bottleneck",
        state=state,
        claim=claim,
        lines=tuple(lines),
        figures={
            "today": today,
            "mix_knee_per_s": knee.rate,
            "headroom": knee.scale,
            "held": load_points(main),
            "machine_speed": speed,
            "bottleneck": resource,
            "in_service": in_service(main, knee),
            "functions": function_shares(functions) if functions else None,
            "resources_at_knee": _resources(main, knee.above or knee.below),
            "workers": more.measured if more is not None else None,
            "workers_rounds": list(more.rounds) if more is not None else [],
            "lifts": lifts,
            "mix_demand": mix_demands(main),
            "operations": costs,
            "paths": wires.paths if wires else None,
            "connections": wires.uses if wires else None,
        },
        validity=checks,
        objectives_met=today.met,
        measurement=knee.rate,
        recordings=tuple(r.directory.name for r in recordings if is_own(r)),
    )


def _too_early(recordings: Sequence[Recording]) -> Answer:
    count = sum(len(r.segments) for r in recordings)
    recorded = "1 segment was recorded" if count == 1 else f"{count} segments were recorded"
    return Answer(
        question="bottleneck",
        state=State.INCONCLUSIVE,
        claim="the run ended before today's load was measured",
        lines=(Line("the mix", f"nothing to say: {recorded}"),),
        figures={},
        validity=(),
        objectives_met=None,
        recordings=tuple(r.directory.name for r in recordings if is_own(r)),
    )


def _resources(main: Recording, seen: Hold | None) -> list[Resource]:
    if seen is None:
        return []
    found = resources(usage_in(main, seen.segment), main.setup)
    found += connections_in(main, seen.segment)
    return sorted(found, key=lambda resource: -resource.utilization)


def _limit(main: Recording, knee: MixKnee, wires: Wires | None) -> Resource | None:
    # What meets the objective although others took the machine counts, but not how full it was.
    below = None if knee.below is not None and knee.below.disturbed else knee.below
    full = limiting(_resources(main, below), _resources(main, knee.above))
    found = full or limit_of(main, knee)
    if wires is None:
        return found
    return explained(found, in_service(main, knee), wires, mix_of(main.setup.workload))

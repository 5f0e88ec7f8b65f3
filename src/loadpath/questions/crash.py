"""What if the service, or anything it needs, dies, hangs or loses what it was sent?

Collected, in recordings named `crash-1`, `crash-2`, …: with taps on the wires and the workload's
own load, a control run, then one fault after the other, each a continuous segment. A fault that
leaves the service broken is followed by a fresh deployment, in a recording of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import msgspec
import numpy as np

from loadpath.answer import Answer, Check, Line, State
from loadpath.errors import WouldNotRunError
from loadpath.events import Warned
from loadpath.experiment.arm import Arm, open_arm
from loadpath.experiment.crash.outcome import Outcome, control_of, outcomes_of
from loadpath.experiment.crash.plan import Seen, default_plan
from loadpath.experiment.crash.run import Timing, run_control, run_fault
from loadpath.experiment.depth import Depth
from loadpath.experiment.mixknee import mix_knee
from loadpath.experiment.phase import phase
from loadpath.experiment.scale import describe
from loadpath.experiment.session import Session
from loadpath.experiment.visits import IDLE_S, PAUSE_S, TAIL_S, VISITS
from loadpath.experiment.wires import recorded_paths
from loadpath.faults import Fault, Injection, Stage, check
from loadpath.flow import HoldMark
from loadpath.questions.crash_lines import closing_lines, fault_lines
from loadpath.questions.remedies import Context, Finding, findings_of
from loadpath.recording import Recording, SegmentRecord
from loadpath.spec import Operation, Setup, load_flows

NAME = "crash"
KNEE_SHARE = 0.5
"""Never more than this share of a known knee: a service at its limit fails without a fault."""

READS_SHARE = 0.02
"""Looks at what was acknowledged, of each kind, as a share of the mix."""

UNCLEAN_ERRORS = 0.01
UNCLEAN_LATE = 0.2
"""A control with so many failed or bad requests explains what a fault would be blamed for."""


def estimate_s(setup: Setup, depth: Depth) -> float:
    """About how long collecting takes, in seconds."""
    timing = _timing(depth)
    start = 2 + 3 * len(setup.service.dependencies)
    probe = IDLE_S + (VISITS * (PAUSE_S + 0.03) + TAIL_S) * len(setup.workload.operations)
    return start + probe + timing.settle_s + timing.control_s + depth.faults * timing.each_s


def _timing(depth: Depth) -> Timing:
    return Timing(after_s=depth.fault_after_s, after_max_s=2 * depth.fault_after_s + 2)


def is_own(recording: Recording) -> bool:
    """Whether that recording was made for this question."""
    return recording.name.startswith(NAME)


async def collect(session: Session, setup: Setup, depth: Depth) -> None:
    """Do the faults that the session names, or those of the default plan, and record them."""
    timing = _timing(depth)
    named = [check(f, setup, tapped=True, root=os.geteuid() == 0) for f in session.faults]
    if session.left_s() < _start_s(timing) + timing.each_s:
        session.emit(
            Warned(
                at_s=time.time(),
                message="the budget leaves no time for a fault: what a crash does is not known",
                advice="`loadpath ask crash` looks at that alone.",
            )
        )
        return
    probed = [Recording.open(path) for path in session.run.recordings()]
    knee = next((mix_knee(r) for r in probed if r.name == "mix"), None)
    scale = 1.0 if knee is None or knee.scale is None else min(1.0, KNEE_SHARE * knee.scale.low)
    left: list[Fault] | None = named or None
    arms = 0
    while left is None or left:
        arms += 1
        left = await _arm(
            session,
            _reading_back(setup),
            f"{NAME}-{arms}",
            left,
            timing,
            limit=depth.faults,
            scale=scale,
            probe=arms == 1 and not any(recorded_paths(r) for r in probed),
        )


async def _arm(
    session: Session,
    setup: Setup,
    name: str,
    planned: list[Fault] | None,
    timing: Timing,
    *,
    limit: int,
    scale: float,
    probe: bool,
) -> list[Fault]:
    """Do faults to one deployment until one breaks it; those that are left."""
    front = any(f.target == "service" and f.NEEDS.tap for f in planned or ())
    faults = planned
    try:
        async with open_arm(session, setup, name, tapped=True, front=front) as arm:
            stage = Stage(arm.deployment, guard=session.guard, taps=arm.taps, emit=session.emit)
            prepared: Injection | None = None
            if planned and _is_prepared(planned[0]):
                prepared = Injection(planned[0], stage)
                await prepared.prepare()
            try:
                if probe:
                    with phase(session.emit, "who uses what"):
                        await arm.probe()
                with phase(session.emit, "control, no fault", timing.control_s) as now:
                    control = await run_control(arm, timing, scale)
                    usual = _bad_ratio(arm, control)
                    rate = describe(setup.workload.arrivals, scale)
                    now.result = f"{usual:.1%} bad at {rate}"
                if faults is None:
                    faults = list(default_plan(setup, _seen(arm, control), limit=limit))
                return await _faults(
                    session, arm, stage, faults, timing, scale=scale, usual=usual, first=prepared
                )
            finally:
                if prepared is not None:
                    await prepared.clean_up()
    except WouldNotRunError:
        if faults is None or faults is planned:
            # Not even the control came about.
            raise
        return faults


async def _faults(
    session: Session,
    arm: Arm,
    stage: Stage,
    faults: list[Fault],
    timing: Timing,
    *,
    scale: float,
    usual: float,
    first: Injection | None,
) -> list[Fault]:
    left = list(faults)
    while left:
        if session.left_s() < timing.each_s:
            names = ", ".join(fault.name for fault in left)
            session.emit(Warned(at_s=time.time(), message=f"the budget leaves no time for {names}"))
            return []
        if _is_prepared(left[0]) and first is None:
            return left
        fault = left.pop(0)
        with phase(session.emit, fault.name, timing.each_s) as now:
            healthy = await run_fault(
                arm,
                stage,
                fault,
                timing,
                scale=scale,
                control_bad_ratio=usual,
                prepared=first,
            )
            now.result = "over" if healthy else "it does not come back: deployed anew"
        if not healthy or first is not None:
            return left
    return []


def _is_prepared(fault: Fault) -> bool:
    """Whether it has to be made ready before the control run, so that it needs one of its own."""
    return type(fault).prepare is not Fault.prepare


def _start_s(timing: Timing) -> float:
    return 5 + timing.settle_s + timing.control_s


def _reading_back(setup: Setup) -> Setup:
    """The setup with a few looks, under load, at what was acknowledged."""
    workload = setup.workload
    if workload.flows is None:
        return setup
    kinds = [m.kind for m, _ in load_flows(workload.flows) if isinstance(m, HoldMark)]
    total = sum(operation.weight for operation in workload.operations)
    added = tuple(
        Operation(
            name=f"read back {kind}",
            weight=READS_SHARE * total / len(kinds),
            alone=False,
            reads_back=kind,
        )
        for kind in kinds
    )
    operations = (*workload.operations, *added)
    return msgspec.structs.replace(
        setup, workload=msgspec.structs.replace(workload, operations=operations)
    )


def _bad_ratio(arm: Arm, control: SegmentRecord) -> float:
    found = control_of(arm.recording(), control.index)
    return 0.0 if found is None or np.isnan(found[1].bad_ratio) else found[1].bad_ratio


def _seen(arm: Arm, control: SegmentRecord) -> list[Seen]:
    """What crossed the wires in the control run."""
    recording = arm.recording()
    kinds = {d.name: d.kind for d in recording.setup.service.dependencies}
    shapes = recording.shapes(control.index)
    rows = recording.exchanges(control.index)
    counts: dict[tuple[str, str, int], int] = {}
    for tap, verb, shape in zip(rows["tap"], rows["verb"], rows["shape"].tolist(), strict=True):
        key = (str(tap), str(verb), shape)
        counts[key] = counts.get(key, 0) + 1
    awaited = {
        (call.dependency, call.shape)
        for path in recorded_paths(recording)
        for call in path.calls
        if not call.after_reply
    }
    return [
        Seen(
            tap,
            kinds[tap],
            verb,
            shapes.get(shape, ""),
            count,
            not awaited or (tap, shapes.get(shape, "")) in awaited,
        )
        for (tap, verb, shape), count in counts.items()
        if tap in kinds
    ]


def judge(recordings: Sequence[Recording]) -> Answer:
    """Derive the answer. Pure: reads recordings, drives nothing."""
    own = [recording for recording in recordings if is_own(recording)]
    outcomes = outcomes_of(own)
    touching = _touching(recordings)
    judged = [(o, findings_of(o, _context(own[0].setup, o, touching))) for o in outcomes]
    found = sorted((f for _, each in judged for f in each), key=lambda f: f.rank)
    checks = _checks(own, outcomes)
    state, claim = _conclude(outcomes, found, checks)
    lines = [line for outcome, each in judged for line in fault_lines(outcome, each)]
    lines += closing_lines(outcomes)
    return Answer(
        question=NAME,
        state=state,
        claim=claim,
        lines=tuple(lines) or (Line("the service", "no fault was done"),),
        figures={"faults": outcomes, "findings": found},
        validity=checks,
        objectives_met=_kept(outcomes, found, checks),
        recordings=tuple(recording.directory.name for recording in own),
    )


def _touching(recordings: Sequence[Recording]) -> dict[str, frozenset[str]]:
    """By dependency, the operations that call it; empty when nobody looked."""
    found: dict[str, set[str]] = {}
    for recording in recordings:
        paths = recorded_paths(recording)
        for dependency in recording.setup.service.dependencies if paths else ():
            found.setdefault(dependency.name, set())
        for path in paths:
            for call in path.calls:
                found.setdefault(call.dependency, set()).add(path.operation)
    return {name: frozenset(operations) for name, operations in found.items()}


def _context(setup: Setup, outcome: Outcome, touching: dict[str, frozenset[str]]) -> Context:
    dependencies = setup.service.dependencies
    target = next((d for d in dependencies if d.name == outcome.fault.target), None)
    return Context(
        target=target,
        other_stores=tuple(d.name for d in dependencies if d.kind == "postgres" and d != target),
        touching=None if target is None else touching.get(target.name),
    )


def _checks(own: Sequence[Recording], outcomes: Sequence[Outcome]) -> tuple[Check, ...]:
    return (_control_clean(own), _all_hit(outcomes), _writes_told(outcomes))


def _control_clean(own: Sequence[Recording]) -> Check:
    bad = errors = 0.0
    found = False
    for recording in own:
        control = control_of(recording, len(recording.segments) + 1)
        if control is not None and len(control[1]):
            found = True
            bad = max(bad, control[1].bad_ratio)
            errors = max(errors, float(control[1].failed.mean()))
    if not found:
        return Check("control run", False, "there was none.", "Let it run to its end.")
    if errors > UNCLEAN_ERRORS or bad > UNCLEAN_LATE:
        return Check(
            "control run",
            False,
            f"without a fault {errors:.1%} of requests failed and {bad:.1%} were bad.",
            "Lower the workload's rate, or stop what else runs here, and try again.",
        )
    return Check("control run", True, f"{bad:.1%} of requests bad without a fault")


def _all_hit(outcomes: Sequence[Outcome]) -> Check:
    missed = [o.fault.name for o in outcomes if not o.fault.hits]
    if missed:
        return Check(
            "faults hit",
            False,
            f"{', '.join(missed)} hit nothing.",
            "See what crosses the wires: `loadpath check`.",
        )
    count = len(outcomes)
    return Check("faults hit", True, "the fault hit" if count == 1 else f"all {count} faults hit")


def _writes_told(outcomes: Sequence[Outcome]) -> Check:
    told = [o.writes for o in outcomes if o.writes is not None]
    known = sum(w.acknowledged - w.unknown for w in told)
    unknown = sum(w.unknown for w in told)
    if unknown > known:
        return Check(
            "writes looked for",
            False,
            f"{unknown} of {known + unknown} acknowledged writes could not be told.",
            "Have `@effects` ask for something that answers quickly.",
        )
    return Check(
        "writes looked for", True, f"{known} acknowledged writes looked for" if told else ""
    )


def _conclude(
    outcomes: Sequence[Outcome], found: Sequence[Finding], checks: Sequence[Check]
) -> tuple[State, str]:
    broken = [each for each in checks if not each.passed]
    if not outcomes:
        return State.INCONCLUSIVE, "no fault was done"
    if not checks[0].passed:
        return State.INCONCLUSIVE, f"{checks[0].name}: {checks[0].detail}"
    if found:
        worst = found[0]
        return State.CONFIRMED, f"{worst.fault}: {worst.said}; missing: {worst.remedy}"
    if broken:
        return State.INCONCLUSIVE, f"{broken[0].name}: {broken[0].detail}"
    judged = [o.writes for o in outcomes if o.writes is not None]
    if not judged:
        return State.CONFIRMED, "it comes back from each; what became of writes was not judged"
    acknowledged = sum(w.acknowledged - w.unknown for w in judged)
    return State.CONFIRMED, f"it comes back from each; none of {acknowledged} writes is lost"


def _kept(
    outcomes: Sequence[Outcome], found: Sequence[Finding], checks: Sequence[Check]
) -> bool | None:
    """Whether what was promised was kept: nothing acknowledged lost, nothing done twice."""
    if any(each.rank <= 1 for each in found):
        return False
    return True if outcomes and checks[0].passed else None

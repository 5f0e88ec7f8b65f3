"""One deployment under load, to which faults are done until one breaks it.

A control run comes first, and what outages should come to is written down before each.
"""

from __future__ import annotations

import time

import msgspec
import numpy as np
from scipy.special import bdtrc

from loadpath.errors import WouldNotRunError
from loadpath.events import Warned
from loadpath.experiment.arm import Arm, open_arm
from loadpath.experiment.crash.crossed import crossed
from loadpath.experiment.crash.flows import FlowFacts
from loadpath.experiment.crash.foreseen import foretell_outage
from loadpath.experiment.crash.outcome import control_of
from loadpath.experiment.crash.plan import default_plan
from loadpath.experiment.crash.run import Timing, run_control, run_fault, scale_of
from loadpath.experiment.crash.seen import Requests
from loadpath.experiment.phase import phase
from loadpath.experiment.scale import describe
from loadpath.experiment.session import Session
from loadpath.faults import Fault, Injection, Stage
from loadpath.recording import Recording, SegmentRecord
from loadpath.spec import Setup

UNCLEAN_ERRORS = 0.01
UNCLEAN_LATE = 0.2
"""A control with so many failed or bad requests explains what a fault would be blamed for."""

CONTROLS_MAX = 3
"""One that is not clean is made again, so often at the most."""

UNCLEAN_CHANCE = 0.01
"""So unlikely must its failed requests be, if no more than `UNCLEAN_ERRORS` of all failed."""


class Known(msgspec.Struct):
    """What is known of the service before a fault is done. `probed` is the recording of its visits
    alone (None: not made yet), `knee_per_s` between which rates the mix's knee lies, `more_writes`
    whether writes were added to the load, which a service may turn out not to carry."""

    facts: dict[str, FlowFacts]
    probed: Recording | None
    knee_per_s: tuple[float, float] | None
    scale: float
    limit: int
    more_writes: bool = False


async def crash_arm(
    session: Session,
    setup: Setup,
    name: str,
    planned: list[Fault] | None,
    timing: Timing,
    known: Known,
) -> list[Fault] | None:
    """Do faults to one deployment until one breaks it; those that are left.

    That are all where the service does not carry the writes that were added to its load.
    """
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
                if known.probed is None:
                    with phase(session.emit, "who uses what"):
                        await arm.probe()
                    known.probed = arm.recording()
                control = await _control(session, arm, timing, known.scale)
                if known.more_writes and is_unclean(control_of(arm.recording(), control.index)):
                    known.more_writes = False
                    return planned
                if faults is None:
                    seen = crossed(arm.recording(), control, known.probed, known.facts)
                    faults = list(default_plan(setup, seen, limit=known.limit))
                return await _faults(
                    session, arm, stage, faults, timing, known, control=control, first=prepared
                )
            finally:
                if prepared is not None:
                    await prepared.clean_up()
    except WouldNotRunError:
        if faults is None or faults is planned:
            # Not even the control came about.
            raise
        return faults


async def _control(session: Session, arm: Arm, timing: Timing, scale: float) -> SegmentRecord:
    """A control run, made again while it is not clean: what disturbed it may be over by then."""
    for _ in range(CONTROLS_MAX):
        with phase(session.emit, "control, no fault", timing.control_s) as now:
            control = await run_control(arm, timing, scale)
            rate = describe(arm.setup.workload.arrivals, scale)
            now.result = f"{_bad_ratio(arm, control):.1%} bad at {rate}"
        if not is_unclean(control_of(arm.recording(), control.index)):
            break
    return control


async def _faults(
    session: Session,
    arm: Arm,
    stage: Stage,
    faults: list[Fault],
    timing: Timing,
    known: Known,
    *,
    control: SegmentRecord,
    first: Injection | None,
) -> list[Fault]:
    left = list(faults)
    usual = control
    while left:
        if session.left_s() < timing.each_s:
            names = ", ".join(fault.name for fault in left)
            session.emit(Warned(at_s=time.time(), message=f"the budget leaves no time for {names}"))
            return []
        if _is_prepared(left[0]) and first is None:
            return left
        fault = left.pop(0)
        scale = scale_of(fault, arm.setup.workload.arrivals, known.scale)
        if scale != known.scale:
            # What is compared has the same load.
            control = await _control(session, arm, timing, scale)
        elif control is not usual:
            control = usual
        if known.probed is not None:
            _foretell(arm, control, fault, timing, known)
        with phase(session.emit, fault.name, timing.each_s) as now:
            healthy = await run_fault(
                arm,
                stage,
                fault,
                timing,
                scale=scale,
                control_bad_ratio=_bad_ratio(arm, control),
                prepared=first,
            )
            now.result = "over" if healthy else "it does not come back: deployed anew"
        if not healthy or first is not None:
            return left
    return []


def _foretell(arm: Arm, control: SegmentRecord, fault: Fault, timing: Timing, known: Known) -> None:
    """Write down what an outage should come to, before it is made."""
    if not fault.OUTAGE or known.probed is None:
        return
    arm.note_outage(
        foretell_outage(
            arm.recording(),
            control,
            fault,
            segment=arm.next_segment,
            lasts_s=timing.lasts_of(fault),
            watched_s=timing.after_s,
            facts=known.facts,
            probed=known.probed,
            knee_per_s=known.knee_per_s,
        )
    )


def _is_prepared(fault: Fault) -> bool:
    """Whether it has to be made ready before the control run, so that it needs one of its own."""
    return type(fault).prepare is not Fault.prepare


def _bad_ratio(arm: Arm, control: SegmentRecord) -> float:
    found = control_of(arm.recording(), control.index)
    return 0.0 if found is None or np.isnan(found[1].bad_ratio) else found[1].bad_ratio


def is_unclean(control: tuple[SegmentRecord, Requests] | None) -> bool:
    """Whether a control run explains what a fault would be blamed for."""
    if control is None or not len(control[1]):
        return True
    seen = control[1]
    failed = int(seen.failed.sum())
    # One of sixty that failed is 1.7 %, and no proof that more than 1 % do.
    errors = failed and bdtrc(failed - 1, len(seen), UNCLEAN_ERRORS) < UNCLEAN_CHANCE
    return bool(errors or seen.bad_ratio > UNCLEAN_LATE)

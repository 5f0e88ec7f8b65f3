"""What if the service, or anything it needs, dies, hangs or loses what it was sent?

Collected, in recordings named `crash-1`, `crash-2`, …: with taps on the wires and the workload's
own load, a control run, then one fault after the other, each a continuous segment. A fault that
leaves the service broken is followed by a fresh deployment, in a recording of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from loadpath.answer import Answer, Check, Line, State
from loadpath.events import Warned
from loadpath.experiment.crash.deployed import Known, crash_arm, is_unclean
from loadpath.experiment.crash.flows import flow_facts
from loadpath.experiment.crash.load import reading_back, with_more_writes
from loadpath.experiment.crash.outcome import Outcome, control_of, outcomes_of
from loadpath.experiment.crash.run import Timing
from loadpath.experiment.depth import Depth
from loadpath.experiment.mixknee import mix_knee
from loadpath.experiment.session import Session
from loadpath.experiment.visits import IDLE_S, PAUSE_S, TAIL_S, VISITS
from loadpath.experiment.wires import recorded_paths
from loadpath.faults import Fault, check
from loadpath.questions.crash_lines import closing_lines, fault_lines, loss_bound
from loadpath.questions.outages import scores_by_fault
from loadpath.questions.remedies import TAKEN_MAX_CORES, Context, Finding, findings_of
from loadpath.recording import FaultRecord, Recording
from loadpath.spec import Setup

NAME = "crash"
KNEE_SHARE = 0.5
"""Never more than this share of a known knee: a service at its limit fails without a fault."""


def estimate_s(setup: Setup, depth: Depth) -> float:
    """About how long collecting takes, in seconds."""
    timing = _timing(depth)
    start = 2 + 3 * len(setup.service.dependencies)
    probe = IDLE_S + (VISITS * (PAUSE_S + 0.03) + TAIL_S) * len(setup.workload.operations)
    return start + probe + timing.settle_s + timing.control_s + depth.faults * timing.each_s


def _timing(depth: Depth) -> Timing:
    return Timing(
        before_s=min(2.0, max(1.0, depth.control_s / 2)),
        after_s=depth.fault_after_s,
        after_max_s=2 * depth.fault_after_s + 2,
        control_s=depth.control_s,
        settle_s=min(1.5, depth.control_s),
        effects_s=max(2.0, 1.5 * depth.fault_after_s),
    )


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
    facts = flow_facts(setup.workload)
    known = Known(
        facts=facts,
        probed=next((r for r in probed if recorded_paths(r)), None),
        knee_per_s=None if knee is None or knee.rate is None else (knee.rate.low, knee.rate.high),
        scale=scale,
        limit=depth.faults,
    )
    own = reading_back(setup)
    more = with_more_writes(own, facts)
    known.more_writes = more is not own
    left: list[Fault] | None = named or None
    arms = 0
    while left is None or left:
        arms += 1
        driven = more if known.more_writes else own
        left = await crash_arm(session, driven, f"{NAME}-{arms}", left, timing, known)


def _start_s(timing: Timing) -> float:
    return 5 + timing.settle_s + timing.control_s


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
        figures={
            "faults": outcomes,
            "findings": found,
            "outages": scores_by_fault(outcomes),
        },
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
    return (
        _control_clean(own),
        _all_hit(outcomes),
        _writes_told(outcomes),
        _undisturbed(outcomes),
    )


def _control_clean(own: Sequence[Recording]) -> Check:
    """Of the controls that faults were compared with, at the workload's own load."""
    controls = []
    for recording in own:
        first = next((s for s in recording.segments if s.purpose == "control"), None)
        # What was asked for at another rate may be more than the service carries.
        at = {
            f.segment for f in recording.faults() if first and _load_of(recording, f) == first.load
        }
        found = [control_of(recording, index) for index in at or {len(recording.segments) + 1}]
        controls += [control for control in found if control is not None]
    worst = max(
        controls, key=lambda each: each[1].failed.mean() if len(each[1]) else 1, default=None
    )
    if worst is None or not len(worst[1]):
        return Check("control run", False, "there was none.", "Let it run to its end.")
    bad = max(each[1].bad_ratio for each in controls if len(each[1]))
    errors = float(worst[1].failed.mean())
    if any(is_unclean(each) for each in controls):
        return Check(
            "control run",
            False,
            f"without a fault {errors:.1%} of requests failed and {bad:.1%} were bad.",
            "Lower the workload's rate, or stop what else runs here, and try again.",
        )
    return Check("control run", True, f"{bad:.1%} of requests bad without a fault")


def _load_of(recording: Recording, fault: FaultRecord) -> dict[str, Any]:
    return recording.segment(fault.segment).load


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


def _undisturbed(outcomes: Sequence[Outcome]) -> Check:
    disturbed = [o for o in outcomes if o.taken_cores > TAKEN_MAX_CORES]
    if not disturbed:
        return Check("nothing else ran", True, "")
    names = ", ".join(o.fault.name for o in disturbed)
    most = max(o.taken_cores for o in disturbed)
    return Check(
        "nothing else ran",
        False,
        f"others took up to {most:.1f} cores during {names}: how late replies were and how long it "
        "took to recover says little there.",
        "Stop what else runs here, and do them again: --faults.",
    )


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
    bound = loss_bound(0, sum(o.at_risk for o in judged))
    would = f" (more than {bound} would show)" if bound else ""
    return (
        State.CONFIRMED,
        f"it comes back from each; none of {acknowledged:,} writes is lost{would}",
    )


def _kept(
    outcomes: Sequence[Outcome], found: Sequence[Finding], checks: Sequence[Check]
) -> bool | None:
    """Whether what was promised was kept: nothing acknowledged lost, nothing done twice."""
    if any(each.rank <= 1 for each in found):
        return False
    return True if outcomes and checks[0].passed else None

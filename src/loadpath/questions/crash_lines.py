"""The lines of the answer on crashes: what users saw of each fault, and what is missing. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadpath.answer import Line
from loadpath.experiment.crash.outcome import Outcome, Writes
from loadpath.figures import ms
from loadpath.questions.remedies import Finding

NOT_A_POWER_LOSS = "a process crash is not a power loss: what had been written stayed written"
NO_WRITES = (
    "not judged: the workload announces no writes (state.attempt) or has nothing that looks for "
    "them (@effects, @still_holds)"
)


def fault_lines(outcome: Outcome, findings: Sequence[Finding]) -> list[Line]:
    """The fault and what users saw, then what became of writes, then what is missing."""
    fault = outcome.fault
    if not fault.hits and not fault.ended:
        why = fault.failed or f"it hit nothing ({fault.proof})"
        return [Line(fault.name, f"says nothing: {why}")]
    first = Line(fault.name, users_words(outcome), recovery_words(outcome))
    lines = [first]
    if outcome.course is not None and outcome.course.shown_s is not None:
        lines += [Line("", words) for words in [affected_words(outcome)] if words]
    if outcome.writes is not None:
        lines.append(Line("", writes_words(outcome.writes)))
    lines += [Line("", f"{finding.said}: {finding.remedy}") for finding in findings]
    return lines


def users_words(outcome: Outcome) -> str:
    """`all answer`, `redirects slow to 9 ms, none fail`, `120 of 900 requests fail, 3 hang`."""
    course = outcome.course
    if course is None or course.shown_s is None:
        return "nobody notices: none fail, none come late"
    said = []
    if course.failed:
        said.append(f"{course.failed:,} of {outcome.requests:,} requests fail")
    if course.hung:
        said.append(f"{course.hung:,} hang")
    late = course.late
    if late:
        said.append(f"{late:,} come late")
    if not course.failed:
        slow = [
            each
            for each in outcome.operations
            if each.operation in outcome.worse and not math.isnan(each.response_p50_s)
        ]
        if slow:
            worst = max(slow, key=lambda each: each.response_p50_s)
            said.append(f"{worst.operation} slows to {ms(worst.response_p50_s)}")
        said.append("none fail")
    return ", ".join(said)


def affected_words(outcome: Outcome) -> str:
    """Which operations fared worse, and which did not: the blast radius."""
    worse = set(outcome.worse)
    told = [
        f"{each.operation} {each.course.bad_ratio:.0%}"
        for each in outcome.operations
        if each.operation in worse
    ]
    if not told:
        return ""
    # Of one that was hardly asked for, or fared a little worse, nothing is claimed.
    spared = sum(each.course.bad_ratio == 0 for each in outcome.operations)
    rest = f"; {spared} of {len(outcome.operations)} operations are spared" if spared else ""
    return f"bad: {', '.join(told)}{rest}"


def recovery_words(outcome: Outcome) -> str:
    """When users fared well again, counted from when they could."""
    course, fault = outcome.course, outcome.fault
    if fault.ended:
        return "it does not come back by itself"
    if fault.failed:
        return f"not healed: {fault.failed}"
    if course is None or course.shown_s is None:
        return ""
    if outcome.stays_down:
        return "stays down"
    if course.recovered_s is None:
        return "not back to normal while it was watched"
    if course.recovered_s <= 0:
        return "back to normal as soon as it is"
    return f"back to normal {seconds(course.recovered_s)} after it is"


def writes_words(writes: Writes) -> str:
    """`0 of 41 acknowledged links lost`, and what else became of them; never more than is known."""
    kinds = " and ".join(writes.kinds)
    known = writes.acknowledged - writes.unknown
    if not known:
        return f"whether acknowledged {kinds} writes were lost could not be told"
    said = [f"{writes.lost} of {known} acknowledged {kinds} writes lost"]
    if writes.duplicates:
        said.append(f"{writes.duplicates} duplicates")
    if writes.recovered:
        said.append(f"{writes.recovered} done that were never acknowledged")
    if writes.unknown:
        said.append(f"{writes.unknown} could not be told")
    return ", ".join(said)


def seconds(value_s: float) -> str:
    """`0.4 s`; below a tenth of a second in milliseconds."""
    return f"{value_s:.1f} s" if value_s >= 0.1 else ms(value_s)


def closing_lines(outcomes: Sequence[Outcome]) -> list[Line]:
    """What has to be said of all of them."""
    lines = []
    if outcomes and all(outcome.writes is None for outcome in outcomes):
        lines.append(Line("writes", NO_WRITES))
    if any(outcome.fault.layer == "process" and outcome.writes for outcome in outcomes):
        lines.append(Line("note", NOT_A_POWER_LOSS))
    return lines

"""The lines of the answer on crashes: what users saw of each fault, and what is missing. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadpath.answer import Line
from loadpath.experiment.crash.outcome import Outcome, Writes
from loadpath.figures import ms
from loadpath.questions.outages import outage_lines, outage_words
from loadpath.questions.remedies import Finding

NOT_A_POWER_LOSS = "a process crash is not a power loss: what had been written stayed written"
HERD_MIN = 5
"""So many calls or connections more than before are worth a word."""

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
    lines += [Line("", words) for words in (*herd_words(outcome), outage_words(outcome)) if words]
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
    if bound := loss_bound(writes.lost, writes.at_risk):
        said[0] += f" ({writes.at_risk} before the heal: more than {bound} would show)"
    if writes.duplicates:
        said.append(f"{writes.duplicates} duplicates")
    if writes.recovered:
        said.append(f"{writes.recovered} done that were never acknowledged")
    if writes.unknown:
        said.append(f"{writes.unknown} could not be told")
    return ", ".join(said)


def loss_bound(lost: int, at_risk: int) -> str:
    """The share of losses above which one would have been seen, 19 times in 20: the rule of three
    (Hanley and Lippman-Hand 1983). Empty where some were seen, or nothing was at risk."""
    if lost or not at_risk:
        return ""
    share = 1 - 0.05 ** (1 / at_risk)
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}" if share >= 0.001 else f"{share:.2%}"


def herd_words(outcome: Outcome) -> list[str]:
    """What came down on each wire that bore more than before: a herd, or more connections."""
    told = []
    for wire, seen in outcome.wires.items():
        calls = seen.calls_peak_after >= 2 * seen.calls_peak_before + HERD_MIN
        opened = seen.opened_peak_after >= seen.opened_peak_before + HERD_MIN
        said = []
        if calls or opened:
            said.append(
                f"{seen.calls_peak_after:,} calls and {seen.opened_peak_after:,} new connections "
                f"in the worst 0.1 s after the heal ({seen.calls_peak_before:,} and "
                f"{seen.opened_peak_before:,} before)"
            )
        if seen.open_most >= seen.open_before + HERD_MIN:
            said.append(
                f"{seen.open_most:,} connections open at once ({seen.open_before:,} before)"
            )
        if said:
            told.append(f"on {wire}: {', '.join(said)}")
    return told


def seconds(value_s: float) -> str:
    """`0.4 s`; below a tenth of a second in milliseconds."""
    return f"{value_s:.1f} s" if value_s >= 0.1 else ms(value_s)


def closing_lines(outcomes: Sequence[Outcome]) -> list[Line]:
    """What has to be said of all of them."""
    lines = []
    if outcomes and all(outcome.writes is None for outcome in outcomes):
        lines.append(Line("writes", NO_WRITES))
    lines += outage_lines(outcomes)
    told = [outcome.writes for outcome in outcomes if outcome.writes is not None]
    at_risk, lost = sum(w.at_risk for w in told), sum(w.lost for w in told)
    if len(told) > 1 and (bound := loss_bound(lost, at_risk)):
        lines.append(
            Line(
                "writes",
                f"none of {at_risk:,} acknowledged before a heal is lost, in all faults "
                f"together: more than {bound} would show",
            )
        )
    if any(outcome.fault.layer == "process" and outcome.writes for outcome in outcomes):
        lines.append(Line("note", NOT_A_POWER_LOSS))
    return lines

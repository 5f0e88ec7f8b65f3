"""Two runs of one service, compared: did anything get worse? For CI.

Three things are compared: the load at which the mix misses its objective, the response time at the
workload's own rate, and CPU a request of each operation. Runs were made at different times, so a
knee or a response time counts as changed only beyond what runs on one quiet machine differ by; CPU
seconds are steadier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from loadpath.answer import Interval
from loadpath.errors import InconclusiveError, RecordingError
from loadpath.experiment.costs import OperationCost, operation_costs
from loadpath.experiment.knee import assess_segments
from loadpath.experiment.mixknee import mix_knee
from loadpath.experiment.speed import between_runs, speed_of, with_speed
from loadpath.experiment.validity import validity
from loadpath.figures import ms, per_second
from loadpath.recording import Recording, Run
from loadpath.stats.compare import Verdict, judge_ratio
from loadpath.stats.intervals import ratio_of_pairs_interval

KNEE_RATIO = 1.10
"""Runs of one service on a quiet machine agree on its knee within this."""

RESPONSE_RATIO = 1.25
"""The p99 of some thousand requests moves by so much from run to run."""

CPU_RATIO = 1.08


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of both runs. `ratio` is after ÷ before; `before` and `after` are for people."""

    figure: str
    before: str
    after: str
    ratio: Interval | None
    verdict: Verdict


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything compared. `verdict` is the worst of the differences that could be told.

    `doubts` are reasons to believe it less.
    """

    before: str
    after: str
    verdict: Verdict
    differences: tuple[Difference, ...]
    doubts: tuple[str, ...]


def compare_runs(before: Run, after: Run) -> RunComparison:
    """Compare two runs by their recordings alone.

    Raises `RecordingError` when one has no recording of the mix, `InconclusiveError` when they are
    not of the same operations.
    """
    old, new = _mix(before), _mix(after)
    if old.operations != new.operations:
        raise InconclusiveError(
            f"{before.name} and {after.name} drove different operations",
            advice="Compare runs of the same workload.",
        )
    differences = [_knee(old, new), _response(old, new), *_costs(old, new)]
    return RunComparison(
        before=before.name,
        after=after.name,
        verdict=_worst(differences),
        differences=tuple(differences),
        doubts=(
            *(
                f"{run.name} was ended early: it has only what was measured until then"
                for run, recording in ((before, old), (after, new))
                if recording.status == "interrupted"
            ),
            *_speed_doubt(old, new),
            *_doubts(old, new),
        ),
    )


def _mix(run: Run) -> Recording:
    for path in run.recordings():
        recording = Recording.open(path)
        if recording.name == "mix" and any(s.purpose == "baseline" for s in recording.segments):
            return recording
    raise RecordingError(
        f"{run.directory}: nothing to compare: today's load was not measured in it",
        advice="Compare two whole runs of `loadpath run` or `loadpath ask bottleneck`.",
    )


def _knee(old: Recording, new: Recording) -> Difference:
    knees = [mix_knee(old).rate, mix_knee(new).rate]
    said = [per_second(k.value) if k else "not found" for k in knees]
    ratio = _allowing(quotient(knees[0], knees[1]), old, new, higher_is_better=True)
    return Difference(
        figure="the mix misses its objective at",
        before=said[0],
        after=said[1],
        ratio=ratio,
        verdict=_told(ratio, KNEE_RATIO, higher_is_better=True),
    )


def _response(old: Recording, new: Recording) -> Difference:
    found = []
    for recording in (old, new):
        baseline = [s for s in recording.segments if s.purpose == "baseline"]
        limits = assess_segments(recording, baseline).limits
        found.append(limits[-1] if limits else None)
    first, second = found
    ratio = quotient(first.response, second.response) if first and second else None
    ratio = _allowing(ratio, old, new, higher_is_better=False)
    quantile = f"p{first.quantile * 100:g}" if first else "response time"
    return Difference(
        figure=f"{quantile} at the workload's own load",
        before=ms(first.response.value) if first else "–",
        after=ms(second.response.value) if second else "–",
        ratio=ratio,
        verdict=_told(ratio, RESPONSE_RATIO, higher_is_better=False),
    )


def _costs(old: Recording, new: Recording) -> list[Difference]:
    after = {cost.name: cost for cost in operation_costs(new)}
    return [
        _cost(cost, after[cost.name], (old, new))
        for cost in operation_costs(old)
        if cost.name in after
    ]


def _cost(old: OperationCost, new: OperationCost, runs: tuple[Recording, Recording]) -> Difference:
    """Level by level: each was taken at the same share of its run's own knee."""
    pairs = [
        (a.cpu_s, b.cpu_s)
        for a, b in zip(old.demands, new.demands, strict=False)
        if a.cpu_s > 0 and b.cpu_s > 0
    ]
    ratio = None
    if len(pairs) > 1:
        ratio = ratio_of_pairs_interval([a for a, _ in pairs], [b for _, b in pairs])
    ratio = _allowing(ratio, *runs, higher_is_better=False)
    return Difference(
        figure=f"CPU a request, {old.name}",
        before=ms(old.demands[-1].cpu_s) if old.demands else "–",
        after=ms(new.demands[-1].cpu_s) if new.demands else "–",
        ratio=ratio,
        verdict=_told(ratio, CPU_RATIO, higher_is_better=False),
    )


def quotient(before: Interval | None, after: Interval | None) -> Interval | None:
    """after ÷ before of two independent estimates, its ends the quotients of the far ends.

    Wider than it need be (both would have to be wrong at once), which is the safe side for a gate.
    """
    if before is None or after is None or before.low <= 0 or after.low <= 0:
        return None
    high = math.inf if math.isinf(after.high) else after.high / before.low
    low = 0.0 if math.isinf(before.high) else after.low / before.high
    return Interval(
        after.value / before.value,
        low,
        high,
        min(before.confidence, after.confidence),
        "far ends",
        min(before.samples, after.samples),
    )


def _allowing(
    ratio: Interval | None, old: Recording, new: Recording, *, higher_is_better: bool
) -> Interval | None:
    """The ratio with what may be the machine's part of it within its interval."""
    if ratio is None:
        return None
    return between_runs(ratio, speed_of(old), speed_of(new), higher_is_better=higher_is_better)


def _told(ratio: Interval | None, smallest: float, *, higher_is_better: bool) -> Verdict:
    """As `judge_ratio`, and a sure change below the smallest of interest is *same* as well."""
    if ratio is None:
        return Verdict.CANNOT_TELL
    if 1 / smallest <= ratio.value <= smallest:
        inside = 1 / smallest**2 <= ratio.low and ratio.high <= smallest**2
        return Verdict.SAME if inside else Verdict.CANNOT_TELL
    return judge_ratio(ratio, smallest, higher_is_better=higher_is_better)


def _worst(differences: Sequence[Difference]) -> Verdict:
    verdicts = {difference.verdict for difference in differences}
    for verdict in (Verdict.WORSE, Verdict.CANNOT_TELL, Verdict.BETTER):
        if verdict in verdicts:
            return verdict
    return Verdict.SAME


def _speed_doubt(old: Recording, new: Recording) -> tuple[str, ...]:
    """What to say when the machine was not equally fast in both runs; every ratio allows for it."""
    first, second = speed_of(old), speed_of(new)
    if first is None or second is None:
        return ()
    if 1 / CPU_RATIO <= second.usual_s / first.usual_s <= CPU_RATIO:
        return ()
    return (
        f"the machine was {'slower' if second.usual_s > first.usual_s else 'faster'} in the later "
        f"run: the same work took {second.usual_s * 1000:.1f} ms of CPU instead of "
        f"{first.usual_s * 1000:.1f}",
    )


def _doubts(old: Recording, new: Recording) -> tuple[str, ...]:
    doubts = []
    if old.header.machine != new.header.machine:
        doubts.append("the runs were made on different machines or systems")
    if old.setup.workload != new.setup.workload:
        doubts.append("the workload or its objectives changed")
    for recording, which in ((old, "before"), (new, "after")):
        speed = speed_of(recording)
        for check in validity(recording, with_speed(mix_knee(recording), speed), speed):
            if not check.passed:
                doubts.append(f"{which}: {check.name}: {check.detail}")
    return tuple(doubts)

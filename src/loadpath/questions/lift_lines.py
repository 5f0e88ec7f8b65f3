"""The lines on what lifts a bottleneck: what was tried, measured beside predicted, and the rest."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.answer import Line
from loadpath.questions.lifts import Lift, Lifts
from loadpath.questions.relief import Tried, is_worker_more
from loadpath.questions.words import AT_LEAST, change
from loadpath.recording import Recording
from loadpath.stats.compare import Verdict

SAID = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.SAME: "no difference",
    Verdict.CANNOT_TELL: "cannot tell",
}


def lift_lines(main: Recording, seen: Sequence[Tried], written: Lifts | None) -> list[Line]:
    """A line for each change that was measured, and for each that is only predicted."""
    lines = [Line("", _words(main, each)) for each in seen if each.measured is not None]
    lines += [
        Line("", f"{each.lift.change}: {change(each.lift.predicted)} predicted{_why(each.lift)}")
        for each in seen
        if each.measured is None and each.lift.predicted is not None
    ]
    if written is not None and written.no_model is not None:
        lines.append(Line("", f"{written.no_model}; one worker more was tried"))
    return lines


def _words(main: Recording, tried: Tried) -> str:
    """`a second worker on these 2 cores: worse, −12 % measured in 4 rounds (+5 % predicted)`."""
    assert tried.measured is not None
    rounds = "1 round" if tried.measured.rounds == 1 else f"{tried.measured.rounds} rounds"
    at_least = AT_LEAST if tried.is_at_least else ""
    said = (
        f"{_head(main, tried.lift)}: {SAID[tried.measured.verdict]}, "
        f"{at_least}{change(tried.measured.ratio)} measured in {rounds}"
    )
    predicted = tried.lift.predicted
    return said if predicted is None else f"{said}, {change(predicted)} predicted"


def _head(main: Recording, lift: Lift) -> str:
    if not is_worker_more(lift, main):
        return lift.change
    count = main.setup.worker_count + 1
    more = "a second worker" if count == 2 else f"worker number {count}"
    cores = main.header.machine.cores
    return f"{more} on these {cores} cores" if cores > 1 else f"{more} on this one core"


def _why(lift: Lift) -> str:
    if lift.not_applied is not None:
        return f" only: {lift.not_applied}"
    return ", not tried"

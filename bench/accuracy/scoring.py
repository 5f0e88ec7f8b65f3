"""What the ledger comes to: every figure that was foretold and measured, and the goals. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Literal, TypeAlias

import msgspec

from accuracy.store import Foretold, Measured
from loadpath.questions.scores import Score

Kind: TypeAlias = Literal["capacity", "mean", "p99"]

PRECISION: dict[Kind, float] = {"capacity": 0.03, "mean": 0.03, "p99": 0.10}
"""Half the measured interval, as a share, beyond which a figure judges no prediction."""

COVERAGE = (0.83, 0.97)
NAMED = 0.95


class Goal(msgspec.Struct, frozen=True):
    """The most that errors may be, in the middle and at worst."""

    median: float
    worst: float


GOALS: dict[Kind, Goal] = {
    "capacity": Goal(0.05, 0.10),
    "mean": Goal(0.09, 0.20),
    "p99": Goal(0.15, 0.30),
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one case. `counted`: measured well enough, on a quiet machine."""

    case: str
    kind: Kind
    score: Score
    counted: bool


class Row(msgspec.Struct, frozen=True):
    """A case that was brought to its end at least once."""

    foretold: Foretold
    measured: Measured

    @property
    def entries(self) -> list[Entry]:
        """Its figures: the capacity's ratio, and mean and p99 at each load."""
        found = []
        for score in self.measured.scores:
            kind = kind_of(score)
            if kind is not None:
                enough = score.measured.half_width_ratio <= PRECISION[kind]
                counted = self.measured.why_not is None and enough and score.held is not None
                found.append(
                    Entry(case=self.foretold.case, kind=kind, score=score, counted=counted)
                )
        return found

    @property
    def named_right(self) -> bool | None:
        """Whether what gave out is what was foretold, or is among what could not be told apart."""
        if self.measured.why_not is not None or self.measured.gave_out is None:
            return None
        return self.measured.gave_out in self.foretold.gives_out


class Summary(msgspec.Struct, frozen=True):
    """The figures of one kind that count; None without any."""

    count: int
    uncounted: int
    median: float | None
    worst: float | None
    held: float | None
    rms_log: float | None


def kind_of(score: Score) -> Kind | None:
    """Which goal it is held to; None for a median response time, which has none."""
    for kind in GOALS:
        if score.figure.split()[0] == kind:
            return kind
    return None


def summary(entries: Sequence[Entry], kind: Kind | None = None) -> Summary:
    """Errors and coverage of that kind, or of all."""
    these = [entry for entry in entries if kind is None or entry.kind == kind]
    scores = [entry.score for entry in these if entry.counted]
    if not scores:
        return Summary(0, len(these), None, None, None, None)
    errors = [abs(score.error) for score in scores]
    logs = [math.log(s.predicted.value / s.measured.value) for s in scores]
    return Summary(
        count=len(scores),
        uncounted=len(these) - len(scores),
        median=median(errors),
        worst=max(errors),
        held=sum(score.held is True for score in scores) / len(scores),
        rms_log=math.sqrt(sum(log * log for log in logs) / len(logs)),
    )

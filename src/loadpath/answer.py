"""What a question ends in: a claim with its figures, and whether it may be believed."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class State(StrEnum):
    """How far a claim has been put to the test."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    PREDICTED = "predicted"


class Interval(msgspec.Struct, frozen=True):
    """An estimate with a confidence interval. `method` names how it was made.

    `low` and `high` bound the true value with probability `confidence`; `samples` is the number of
    independent observations behind it.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    samples: int

    @property
    def half_width_ratio(self) -> float:
        """Half the interval's width as a share of the value; infinite when the value is zero."""
        if self.value == 0:
            return float("inf")
        return (self.high - self.low) / 2 / abs(self.value)


class Check(msgspec.Struct, frozen=True):
    """One validity check: what was looked at, whether it held, and what to do when it did not."""

    name: str
    passed: bool
    detail: str
    advice: str | None = None


class Line(msgspec.Struct, frozen=True):
    """One line of an answer as people read it.

    `subject` is the operation, or `the mix`; `verdict` the sentence with its figure; `cause` the
    resource behind it and what would change it.
    """

    subject: str
    verdict: str
    cause: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one question.

    `lines` are what a person reads, `figures` the same for a program (units in the key's suffix),
    `objectives_met` whether every objective holds at the workload's own rate (None: unknown).
    """

    question: str
    state: State
    claim: str
    lines: tuple[Line, ...]
    figures: dict[str, Any]
    validity: tuple[Check, ...]
    objectives_met: bool | None
    prediction: Interval | None = None
    measurement: Interval | None = None
    recordings: tuple[str, ...] = ()

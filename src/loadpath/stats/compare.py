"""A against B, interleaved: which is better, by how much, and whether it can be told at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from loadpath.answer import Interval
from loadpath.stats.intervals import ratio_of_pairs_interval


class Verdict(StrEnum):
    """What a comparison says of B, the treatment."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    CANNOT_TELL = "cannot tell"


class Comparison(msgspec.Struct, frozen=True):
    """`ratio` is treatment ÷ baseline with its interval; `rounds` how many pairs it rests on."""

    ratio: Interval
    verdict: Verdict
    rounds: int


def interleaved(rounds: int, arms: Sequence[str] = ("A", "B")) -> tuple[str, ...]:
    """The order to run them in: A B B A A B B A …

    Each arm goes first as often as the other (or once more), so that what drifts slowly, such as
    the heat of a machine or the size of a table, falls on both alike. With more than two, every
    other round is the one before it backwards.
    """
    there, back = tuple(arms), tuple(reversed(arms))
    return tuple(arm for round_ in range(rounds) for arm in (back if round_ % 2 else there))


def compare(
    baseline: Sequence[float],
    treatment: Sequence[float],
    *,
    higher_is_better: bool,
    smallest_ratio: float = 1.05,
    confidence: float = 0.95,
) -> Comparison:
    """Compare paired rounds: `baseline[i]` and `treatment[i]` were measured next to each other.

    Pairing takes out what changed between rounds. *same*: the whole interval of the ratio lies
    within `smallest_ratio` either way, a difference nobody cares about (equivalence, Schuirmann
    1987). *better* or *worse*: else, and the interval does not hold 1. Otherwise *cannot tell*, as
    always with fewer than two rounds. Raises `ValueError` unless values are positive pairs.
    """
    if smallest_ratio <= 1:
        raise ValueError(f"the smallest ratio of interest lies above 1, not at {smallest_ratio}")
    ratio = ratio_of_pairs_interval(baseline, treatment, confidence)
    return Comparison(
        ratio, judge_ratio(ratio, smallest_ratio, higher_is_better=higher_is_better), ratio.samples
    )


def judge_ratio(
    ratio: Interval, smallest_ratio: float = 1.05, *, higher_is_better: bool
) -> Verdict:
    """The verdict of `compare` on an interval for treatment ÷ baseline, however it was made."""
    if ratio.samples < 2 or math.isnan(ratio.low) or math.isnan(ratio.high):
        return Verdict.CANNOT_TELL
    if 1 / smallest_ratio <= ratio.low and ratio.high <= smallest_ratio:
        return Verdict.SAME
    if ratio.low > 1:
        return Verdict.BETTER if higher_is_better else Verdict.WORSE
    if ratio.high < 1:
        return Verdict.WORSE if higher_is_better else Verdict.BETTER
    return Verdict.CANNOT_TELL

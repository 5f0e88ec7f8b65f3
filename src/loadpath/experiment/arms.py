"""Arms that ran interleaved, compared: from their recordings, by pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from loadpath.experiment.holds import (
    BOUNDED_CORES,
    disturbance,
    lost_at_most,
    taken_cores,
)
from loadpath.experiment.knee import RAMP_WINDOW_S, ramp_bound, ramp_crossing, ramp_rate
from loadpath.recording import Recording, SegmentRecord
from loadpath.stats.compare import Comparison, compare, judge_ratio
from loadpath.stats.factors import widened

ROUNDS_ENOUGH = 3
"""So many tell how far rounds scatter; two hardly do."""


class ArmPair(msgspec.Struct, frozen=True):
    """One round: where the baseline and the treatment missed the objective (1/s).

    `censored`: one of the two never missed it within its ramp, so its figure is a lower bound;
    `unmissed`: neither did, so the round tells nothing of which is better.
    `floored`: one of the two missed it from the start of its ramp, so its figure is an upper bound.
    `disturbed` says what else took the machine during one of them, or is None; `taken_cores` how
    much of it at most. `step` is the factor by which a ramp grew from one window to the next: it is
    read no finer than that.
    """

    baseline: float
    treatment: float
    censored: bool
    disturbed: str | None = None
    unmissed: bool = False
    taken_cores: float = 0.0
    step: float = 1.0
    floored: bool = False

    @property
    def is_at_least(self) -> bool:
        """Whether the treatment may be better than its figure says: its ramp never missed."""
        return self.censored and not self.unmissed and self.treatment > self.baseline


def arm_pairs(recordings: Sequence[Recording], purpose: str) -> list[ArmPair]:
    """The complete rounds among recordings whose segments of that purpose carry arm A or B."""
    return list(arm_rounds(recordings, purpose, "B").values())


def arm_rounds(recordings: Sequence[Recording], purpose: str, treatment: str) -> dict[int, ArmPair]:
    """The rounds, by number and in order, in which both arm A and that treatment were driven."""
    rounds: dict[int, dict[str, ArmSeen]] = {}
    for recording in recordings:
        for segment in recording.segments:
            if segment.purpose == purpose and segment.arm in ("A", treatment):
                rounds.setdefault(segment.round, {})[segment.arm] = _see(recording, segment)
    return {
        number: _paired(both["A"], both[treatment])
        for number, both in sorted(rounds.items())
        if len(both) == 2
    }


def _paired(baseline: ArmSeen, treatment: ArmSeen) -> ArmPair:
    return ArmPair(
        baseline.rate,
        treatment.rate,
        baseline.censored or treatment.censored,
        baseline.disturbed or treatment.disturbed,
        baseline.censored and treatment.censored,
        max(baseline.taken_cores, treatment.taken_cores),
        max(baseline.step, treatment.step),
        baseline.floored or treatment.floored,
    )


class ArmSeen(msgspec.Struct, frozen=True):
    """One arm of a round, as `ArmPair` has them."""

    rate: float
    censored: bool
    disturbed: str | None
    taken_cores: float
    step: float
    floored: bool = False


def _see(recording: Recording, segment: SegmentRecord) -> ArmSeen:
    crossing = ramp_crossing(recording, segment)
    return ArmSeen(
        ramp_bound(recording, segment) if crossing is None else crossing,
        crossing is None,
        disturbance(recording, segment),
        taken_cores(recording, segment),
        ramp_rate(segment, RAMP_WINDOW_S) / ramp_rate(segment, 0.0),
        crossing is not None and crossing <= ramp_rate(segment, RAMP_WINDOW_S),
    )


def compare_arms(pairs: Sequence[ArmPair], *, shifted: bool = False) -> Comparison | None:
    """Treatment against baseline; None when there is not one whole round that tells.

    `telling_rounds` says which of them count; of disturbed ones the interval allows for what either
    arm may have lost. `shifted`: the ramps of each round began a part of a window later than those
    of the one before.
    """
    chosen = telling_rounds(pairs)
    if not chosen:
        return None
    found = compare(
        [pair.baseline for pair in chosen],
        [pair.treatment for pair in chosen],
        higher_is_better=True,
    )
    read = _read_to(max(pair.step for pair in chosen), len(chosen) if shifted else 1)
    ratio = widened(found.ratio, 1 / read, read)
    if any(pair.disturbed is not None for pair in chosen) and all(map(_is_bounded, chosen)):
        lost = max(lost_at_most(pair.taken_cores) for pair in chosen)
        ratio = widened(ratio, 1 / lost, lost)
    return Comparison(ratio, judge_ratio(ratio, higher_is_better=True), found.rounds)


def telling_rounds(pairs: Sequence[ArmPair]) -> list[ArmPair]:
    """The rounds that a comparison goes by, those left out in which neither arm missed.

    The clean ones, where there are three: the interval of two is as wide as chance may be without
    anything to tell it by (Student's t with one degree of freedom is 12.7). Else, with those that
    were disturbed little, three of them; else two of the one kind or of the other; else all, and
    `too_disturbed` says so.
    """
    telling = [pair for pair in pairs if not pair.unmissed]
    clean = [pair for pair in telling if pair.disturbed is None]
    bounded = [pair for pair in telling if _is_bounded(pair)]
    for enough in (ROUNDS_ENOUGH, 2):
        for chosen in (clean, bounded):
            if len(chosen) >= enough:
                return chosen
    return telling


def _read_to(step: float, phases: int) -> float:
    """The factor to which the mean ratio is read, at 95 %, of ramps that began in so many phases of
    a window.

    A crossing lies anywhere in its window, so the logarithm of the quotient of two is off by up to
    a whole window either way, in a triangle. Rounds whose windows are the same are all off by the
    same: however well they agree, they do not average it out. Those of several phases do.
    """
    if phases == 1:
        return math.pow(step, 1 - math.sqrt(0.05))
    return math.exp(1.96 * math.sqrt(2 / 12 / phases) * math.log(step))


def _is_bounded(pair: ArmPair) -> bool:
    return pair.disturbed is None or 0 < pair.taken_cores <= BOUNDED_CORES


def too_disturbed(pairs: Sequence[ArmPair], treatment: str = "one worker more") -> str | None:
    """Why a comparison of these rounds may not be believed; None when it may, or there is none."""
    telling = [pair for pair in pairs if not pair.unmissed]
    reasons = [p.disturbed for p in telling if p.disturbed is not None and not _is_bounded(p)]
    if not reasons or len(telling) - len(reasons) >= 2:
        return None
    return f"{reasons[0]} in {len(reasons)} of {len(telling)} rounds of {treatment}"

"""Arms that ran interleaved, compared: from their recordings, by pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.experiment.holds import disturbance
from loadpath.experiment.knee import ramp_crossing, ramp_rate
from loadpath.recording import Recording, SegmentRecord
from loadpath.stats.compare import Comparison, compare


class ArmPair(msgspec.Struct, frozen=True):
    """One round: where the baseline and the treatment missed the objective (1/s).

    `censored`: one of the two never missed it within its ramp, so its figure is a lower bound;
    `unmissed`: neither did, so the round tells nothing of which is better.
    `disturbed` says what else took the machine during one of them, or is None.
    """

    baseline: float
    treatment: float
    censored: bool
    disturbed: str | None = None
    unmissed: bool = False


def arm_pairs(recordings: Sequence[Recording], purpose: str) -> list[ArmPair]:
    """The complete rounds among recordings whose segments of that purpose carry arm A or B."""
    rounds: dict[int, dict[str, ArmSeen]] = {}
    for recording in recordings:
        for segment in recording.segments:
            if segment.purpose == purpose and segment.arm:
                rounds.setdefault(segment.round, {})[segment.arm] = _see(recording, segment)
    return [
        ArmPair(
            both["A"].rate,
            both["B"].rate,
            both["A"].censored or both["B"].censored,
            both["A"].disturbed or both["B"].disturbed,
            both["A"].censored and both["B"].censored,
        )
        for _, both in sorted(rounds.items())
        if {"A", "B"} <= both.keys()
    ]


class ArmSeen(msgspec.Struct, frozen=True):
    """One arm of a round, as `ArmPair` has them."""

    rate: float
    censored: bool
    disturbed: str | None


def _see(recording: Recording, segment: SegmentRecord) -> ArmSeen:
    crossing = ramp_crossing(recording, segment)
    end = ramp_rate(segment, segment.ended_s - segment.started_s)
    return ArmSeen(
        end if crossing is None else crossing, crossing is None, disturbance(recording, segment)
    )


def compare_arms(pairs: Sequence[ArmPair]) -> Comparison | None:
    """Treatment against baseline; None when there is not one whole round that tells.

    Disturbed rounds are left out unless fewer than two are clean; `too_disturbed` says so then.
    """
    telling = [pair for pair in pairs if not pair.unmissed]
    clean = [pair for pair in telling if pair.disturbed is None]
    chosen = clean if len(clean) >= 2 else telling
    if not chosen:
        return None
    return compare(
        [pair.baseline for pair in chosen],
        [pair.treatment for pair in chosen],
        higher_is_better=True,
    )


def too_disturbed(pairs: Sequence[ArmPair]) -> str | None:
    """Why a comparison of these rounds may not be believed; None when it may, or there is none."""
    telling = [pair for pair in pairs if not pair.unmissed]
    reasons = [pair.disturbed for pair in telling if pair.disturbed is not None]
    if not reasons or len(telling) - len(reasons) >= 2:
        return None
    return f"{reasons[0]} in {len(reasons)} of {len(telling)} rounds of one worker more"

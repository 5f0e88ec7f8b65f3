"""Drive one load for a while and judge it; and judge it again later from the recording."""

from __future__ import annotations

import math
from collections.abc import Mapping

from loadpath.experiment.arm import Arm
from loadpath.experiment.knee import Hold, assess_segments, scale_of
from loadpath.experiment.limits import usage_in
from loadpath.experiment.scale import load_at
from loadpath.recording import Recording, SegmentRecord

OTHERS_MAX_CORES = 0.05
"""More than this taken by anything that is not ours disturbs a measurement."""

BOUNDED_CORES = 0.15
"""Up to here it is a matter of the interval by how much; beyond, nobody knows."""


async def hold(
    arm: Arm, purpose: str, scale: float, *, duration_s: float, weights: Mapping[str, float]
) -> Hold:
    """One stretch at `scale` times the workload's own load."""
    segment = await arm.drive(
        purpose,
        load_at(arm.setup.workload.arrivals, scale),
        duration_s=duration_s,
        weights=weights,
    )
    return hold_of(arm.recording(), segment)


def holds_of(recording: Recording, purpose: str) -> list[Hold]:
    """Every hold of that purpose, judged, in the order driven."""
    return [hold_of(recording, s) for s in recording.segments if s.purpose == purpose]


def hold_of(recording: Recording, segment: SegmentRecord) -> Hold:
    """That segment, judged."""
    return Hold(
        segment,
        scale_of(recording.setup, segment),
        assess_segments(recording, [segment]),
        disturbance(recording, segment),
        taken_cores(recording, segment),
    )


def taken_cores(recording: Recording, segment: SegmentRecord) -> float:
    """How many cores anything that is not ours took during the segment."""
    host = usage_in(recording, segment).host
    return host.others_cores + host.steal_cores


def lost_at_most(taken: float) -> float:
    """By what factor a capacity may be too low that was measured while others took so many cores.

    A thread that shares its core loses that much of it; and it waits for the others' slices as
    well, which counts for a quantile far out: so twice as much. Infinite beyond `BOUNDED_CORES`.
    """
    if taken <= OTHERS_MAX_CORES:
        return 1.0
    return 1 / (1 - 2 * taken) if taken <= BOUNDED_CORES else math.inf


def disturbance(recording: Recording, segment: SegmentRecord) -> str | None:
    """What else took the machine during the segment, as a clause; None when nothing much did."""
    host = usage_in(recording, segment).host
    taken = host.others_cores + host.steal_cores
    if taken <= OTHERS_MAX_CORES:
        return None
    who = "the hypervisor" if host.steal_cores > host.others_cores else "other processes"
    return f"{who} took {taken:.2f} cores"

"""How many requests are in service at once when more do not get through, by Little's law.

A service that gives out while its CPU is idle holds a limited number of requests at once: a pool of
connections, a lock, threads, slots of an outside call. That number is what it completes per second
when it is full, times how long a request takes when nobody is before it (Little 1961).
"""

from __future__ import annotations

import msgspec
import numpy as np

from loadpath.experiment.assess import responses
from loadpath.experiment.knee import assess_segments, measured_window
from loadpath.experiment.limits import Resource, resources, usage_in
from loadpath.experiment.mixknee import MixKnee
from loadpath.recording import Recording, SegmentRecord

HEADROOM_MIN = 1.5
"""Closer to the knee than this, requests wait for each other at today's load already."""

THREAD_IDLE = 0.6
CORES_IDLE = 0.75
"""Below these shares no thread, and not the host, is what requests wait for."""

FULL_S = 1.0
"""The last part of a ramp that was stopped because the objective was missed."""


class InService(msgspec.Struct, frozen=True):
    """`requests` at once = `done_per_s`, the most that was completed, × `alone_s`, the mean
    response time at today's load."""

    requests: float
    done_per_s: float
    alone_s: float

    def words(self) -> str:
        """`about 3 requests are in service at once`."""
        count = f"{self.requests:.0f}" if self.requests >= 1 else f"{self.requests:.1f}"
        if count == "1":
            return "about 1 request is in service at once"
        return f"about {count} requests are in service at once"


def in_service(main: Recording, knee: MixKnee) -> InService | None:
    """None where it cannot be told: no knee, or one too close to today's load."""
    baseline = [s for s in main.segments if s.purpose == "baseline"]
    if knee.scale is None or knee.above is None or not baseline:
        return None
    if knee.scale.value < HEADROOM_MIN:
        return None
    took_s = alone_s(main)
    missed = [knee.above.segment, *(s for s in main.segments if s.purpose == "hold")]
    most = max(
        (
            _done_per_s(main, segment, *measured_window(segment))
            for segment in missed
            if _scale(segment) >= _scale(knee.above.segment)
        ),
        default=0.0,
    )
    for segment in main.segments:
        if segment.purpose == "ramp" and segment.stopped_early:
            from_s = max(segment.started_s, segment.ended_s - FULL_S)
            most = max(most, _done_per_s(main, segment, from_s, segment.ended_s))
    if not most or not np.isfinite(took_s):
        return None
    return InService(most * took_s, most, took_s)


def alone_s(main: Recording) -> float:
    """The mean response time at today's load, nan when there was none: how long a request takes
    when nobody is before it, as long as the knee is far."""
    baseline = [s for s in main.segments if s.purpose == "baseline"]
    return assess_segments(main, baseline).response_mean_s if baseline else np.nan


def limit_of(main: Recording, knee: MixKnee) -> Resource | None:
    """A limit on concurrency as what ran out; None while anything of the CPU could be it."""
    if knee.above is None or knee.scale is None:
        return None
    for resource in resources(usage_in(main, knee.above.segment), main.setup):
        idle = CORES_IDLE if resource.kind == "cores" else THREAD_IDLE
        if resource.utilization + resource.waiting > idle:
            return None
    found = in_service(main, knee)
    if found is None:
        return None
    at_knee = knee.rate.value * found.alone_s if knee.rate else 0.0
    return Resource(
        kind="limit",
        part="service",
        name=f"{found.words()} while the CPU is idle: a pool, a lock or an outside call",
        utilization=min(1.0, at_knee / found.requests),
        unit="it",
    )


def _scale(segment: SegmentRecord) -> float:
    return float(segment.load.get("rate_per_s") or segment.load.get("users") or 0.0)


def _done_per_s(main: Recording, segment: SegmentRecord, from_s: float, to_s: float) -> float:
    """Operations that ended in that time without an error, 1/s."""
    observed = responses(main.requests(segment.index))
    done_s = observed.intended_s + observed.response_s
    ended = (done_s >= from_s) & (done_s < to_s) & ~observed.failed
    return float(ended.sum()) / max(to_s - from_s, 1e-9)

"""How fast the machine was while it was measured, and what that leaves of a figure. Pure.

The speed of shared hardware changes without any process to blame and without stolen time. It is a
factor of whatever CPU limits: so it widens the interval of a knee, of CPU a request and of a
response time, and voids none of them. The rules for all of these are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from loadpath.answer import Interval
from loadpath.experiment.concurrency import alone_s
from loadpath.experiment.demand import demand_in
from loadpath.experiment.limits import Resource
from loadpath.experiment.mixknee import MixKnee
from loadpath.recording import Recording
from loadpath.stats.factors import widened
from loadpath.stats.quantiles import quantile

STRETCHES_MAX = 4
READINGS_MIN = 3
"""A run is looked at in so many stretches at most, each of so many readings at least."""

WAITED_FOR = ("limit", "pool")
"""What ran out is not CPU: a request holds one of these for longer than it computes."""


class Speed(msgspec.Struct, frozen=True):
    """CPU seconds that the same fixed piece of work took: as a rule, in the fastest and slowest
    stretch of the run, and while the knee was held."""

    usual_s: float
    fastest_s: float
    slowest_s: float
    held_s: float

    @property
    def varied(self) -> float:
        """By what share it was faster at its fastest than at its slowest."""
        return self.slowest_s / self.fastest_s - 1


def speed_of(main: Recording) -> Speed | None:
    """From the readings before every segment; None when there are too few of them.

    Every figure is a lower quartile: single readings jump by a third and back within seconds,
    perhaps because the service still finishes something on the other half of the core; what
    disturbs a reading only ever adds to it.
    """
    readings = [(s.purpose, s.fixed_work_s) for s in main.segments if s.fixed_work_s > 0]
    times = [work_s for _, work_s in readings]
    count = min(STRETCHES_MAX, len(times) // READINGS_MIN)
    if count == 0:
        return None
    usual_s = quantile(times, 0.25)
    stretches = [quantile(part, 0.25) for part in _parts(times, count)]
    held = [work_s for purpose, work_s in readings if purpose == "hold"]
    return Speed(
        usual_s=usual_s,
        fastest_s=min(stretches),
        slowest_s=max(stretches),
        held_s=quantile(held, 0.25) if len(held) >= READINGS_MIN else usual_s,
    )


def _parts(times: Sequence[float], count: int) -> list[Sequence[float]]:
    edges = [round(i * len(times) / count) for i in range(count + 1)]
    return [times[a:b] for a, b in pairwise(edges)]


def cpu_share(main: Recording, knee: MixKnee, resource: Resource | None) -> float:
    """By what power of the machine's speed the knee changes.

    1 where CPU ran out, or nobody knows what did. A limit or a pool is held for a time of which CPU
    is a part: what a request costs of it, divided by how long it takes alone.
    """
    at = knee.above or knee.below
    if resource is None or resource.kind not in WAITED_FOR or at is None:
        return 1.0
    cost = demand_in(main, [at.segment])
    took_s = alone_s(main)
    if cost is None or not took_s > 0:
        return 1.0
    return min(1.0, cost.cpu_s / took_s)


def with_speed(knee: MixKnee, speed: Speed | None, share: float = 1.0) -> MixKnee:
    """The knee with what it would be at the slowest and at the fastest speed of the run within its
    interval. `share` as of `cpu_share`."""
    if speed is None or knee.scale is None or knee.rate is None:
        return knee
    low = min(1.0, speed.held_s / speed.slowest_s) ** share
    high = max(1.0, speed.held_s / speed.fastest_s) ** share
    return msgspec.structs.replace(
        knee, scale=widened(knee.scale, low, high), rate=widened(knee.rate, low, high)
    )


def between_runs(
    ratio: Interval, old: Speed | None, new: Speed | None, *, higher_is_better: bool
) -> Interval:
    """after ÷ before of two runs, when part of it may be the machine's and not the service's.

    What was slower by s lowers a capacity by up to s, and raises a time by as much: the service's
    own ratio lies between what was seen and that taken back. By what the speed varied within each
    run, on average half of it either way, the ends lie further out.
    """
    if old is None or new is None:
        return ratio
    slower = new.usual_s / old.usual_s
    taken_back = slower if higher_is_better else 1 / slower
    ends = msgspec.structs.replace(
        ratio,
        low=ratio.low * min(1.0, taken_back),
        high=ratio.high * max(1.0, taken_back),
    )
    for speed in (old, new):
        half = (1 + speed.varied) ** 0.5
        ends = widened(ends, 1 / half, half)
    return ends

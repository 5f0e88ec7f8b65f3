"""What each operation costs and where it gives out, from a recording of the mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from loadpath.experiment.demand import Demand, demand_in, untilted
from loadpath.experiment.knee import mix_of, ramp_crossing, ramp_rate
from loadpath.recording import Recording, SegmentRecord

TILT = 0.25
"""Share of the mix that an operation gets at least whose CPU cannot be measured alone."""


class OperationCost(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `knee_per_s` is where it misses its objective with the others at their usual
    rate (None: not measured by itself), at least that when `censored`.

    `demands` are CPU a request at rising rates; of an operation that cannot be driven alone, in a
    mix that holds more of it.
    """

    name: str
    alone: bool
    share: float
    knee_per_s: float | None
    censored: bool
    demands: tuple[Demand, ...]


def operation_costs(recording: Recording) -> list[OperationCost]:
    """Every operation that was measured, the dearest a request first."""
    workload = recording.setup.workload
    mix = mix_of(workload)
    total = sum(mix.values())
    costs = []
    for index, operation in enumerate(workload.operations):
        of_it = [s for s in recording.segments if s.label == operation.name]
        only = mix[operation.name] == total
        if not total or not (of_it or (only and mix_demands(recording))):
            continue
        knee, censored = _knee(recording, of_it, index)
        costs.append(
            OperationCost(
                name=operation.name,
                alone=operation.alone,
                share=operation.weight / total,
                knee_per_s=knee,
                censored=censored,
                demands=_demands(recording, of_it, mix, operation.name),
            )
        )
    return sorted(costs, key=lambda cost: -_dearest(cost))


def mix_demands(recording: Recording) -> list[Demand]:
    """CPU a request of the mix at each load it was taken at, rising."""
    found = (demand_in(recording, [s]) for s in recording.segments if s.purpose == "demand")
    return sorted((d for d in found if d), key=lambda d: d.rate_per_s)


def tilted(mix: Mapping[str, float], name: str) -> dict[str, float]:
    """The mix with more of that operation, the others in proportion.

    It gets `TILT` of all requests, or where that would be no great change twice its own share or
    half of the others': the difference between the two mixes is what its CPU is told by.
    """
    others = sum(weight for other, weight in mix.items() if other != name)
    if others == 0:
        return dict(mix)
    share = mix[name] / (mix[name] + others)
    more = max(TILT, min(2 * share, (1 + share) / 2))
    return {
        other: more if other == name else weight / others * (1 - more)
        for other, weight in mix.items()
    }


def _dearest(cost: OperationCost) -> float:
    return max((demand.cpu_s for demand in cost.demands), default=0.0)


def _knee(
    recording: Recording, segments: Sequence[SegmentRecord], index: int
) -> tuple[float | None, bool]:
    for segment in segments:
        if segment.purpose == "operation-ramp":
            crossing = ramp_crossing(recording, segment, index)
            if crossing is not None:
                return crossing, False
            return ramp_rate(segment, segment.ended_s - segment.started_s), True
    return None, False


def _demands(
    recording: Recording, segments: Sequence[SegmentRecord], mix: Mapping[str, float], name: str
) -> tuple[Demand, ...]:
    alone = [demand_in(recording, [s]) for s in segments if s.purpose == "operation-demand"]
    if not alone and sum(mix.values()) == mix[name]:
        return tuple(mix_demands(recording))
    if not alone:
        plain = [s for s in recording.segments if s.purpose == "demand"]
        more = [s for s in segments if s.purpose == "demand-tilted"]
        for of_mix, of_more in zip(plain, more, strict=False):
            first, second = demand_in(recording, [of_mix]), demand_in(recording, [of_more])
            if first and second:
                tilt = of_more.weights[name] / sum(of_more.weights.values())
                alone.append(untilted(first, second, mix, name, tilt))
    return tuple(sorted((d for d in alone if d), key=lambda d: d.rate_per_s))

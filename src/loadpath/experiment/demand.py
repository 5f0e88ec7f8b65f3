"""CPU a request costs, by part, at each load: it falls as load rises, so one figure would lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from loadpath.experiment.knee import measured_window
from loadpath.experiment.limits import usage_in
from loadpath.recording import Recording, SegmentRecord

OURS = frozenset({"engine", "loadpath"})
"""Parts that a service on a machine of its own would not share cores with."""


class Demand(msgspec.Struct, frozen=True):
    """CPU seconds a request at one rate, in total and by part; the engine's own left out."""

    rate_per_s: float
    cpu_s: float
    parts: dict[str, float]


def demand_in(recording: Recording, segments: Sequence[SegmentRecord]) -> Demand | None:
    """The demand over the measured part of segments of one load; None when nothing was served."""
    requests = 0
    seconds = 0.0
    parts: dict[str, float] = {}
    for segment in segments:
        from_s, to_s = measured_window(segment)
        rows = recording.requests(segment.index)
        # A flow of several steps is one request of its operation: shares of a mix count so too.
        done = rows["done_s"][rows["last"]]
        requests += int(((done >= from_s) & (done < to_s)).sum())
        seconds += to_s - from_s
        for part, cpu_s in usage_in(recording, segment).cpu_by_part.items():
            if part not in OURS:
                parts[part] = parts.get(part, 0.0) + cpu_s
    if requests == 0:
        return None
    each = {part: cpu_s / requests for part, cpu_s in parts.items()}
    return Demand(requests / seconds, sum(each.values()), each)


def untilted(
    mix: Demand, with_more: Demand, weights: Mapping[str, float], name: str, tilt: float
) -> Demand:
    """The demand of one operation, from the mix and from the mix with more of it, at one rate.

    CPU a request is a weighted mean over the operations. With w the operation's share in the mix
    and t its share in the tilted one, d = o + (tilted − o) / t, where o, the others' demand, solves
    mix = w·d + (1 − w)·o.
    """
    share = weights[name] / sum(weights.values())

    def solve(in_mix: float, in_tilted: float) -> float:
        others = (tilt * in_mix - share * in_tilted) / (tilt - share)
        return max(0.0, (in_tilted - (1 - tilt) * others) / tilt)

    parts = {
        part: solve(mix.parts.get(part, 0.0), with_more.parts.get(part, 0.0))
        for part in mix.parts.keys() | with_more.parts.keys()
    }
    return Demand(with_more.rate_per_s, sum(parts.values()), parts)

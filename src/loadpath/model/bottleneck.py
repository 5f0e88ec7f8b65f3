"""What gives out first: the resource of which more would lower the slow responses most."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from loadpath.model.network import Model
from loadpath.model.outcome import outcome, stretch
from loadpath.model.simulate import simulate
from loadpath.model.simulated import OpenRate
from loadpath.spec import Objective

CORES = "cores"

USED_MIN = 0.35
"""What is less used than this at the knee is not looked at."""

RELIEF = 1.25
"""So much more of a resource is tried: of what is counted, one more at least."""

ALIKE = 0.6
"""A resource of which more helps this share as much as of the first cannot be told from it."""


class Bottleneck(msgspec.Struct, frozen=True, kw_only=True):
    """What gives out first: a station, a pool, `cores`; several when they cannot be told apart.

    `shares` is how often each came first among the draws, `utilization` at the capacity.
    """

    names: tuple[str, ...]
    shares: dict[str, float]
    utilization: dict[str, float]

    @property
    def certain(self) -> bool:
        """Whether there is only one that it can be."""
        return len(self.names) == 1

    def words(self) -> str:
        """`service thread`, or `cannot tell between service thread and cores`."""
        if not self.names:
            return "nothing in the model"
        if self.certain:
            return self.names[0]
        return f"cannot tell between {', '.join(self.names[:-1])} and {self.names[-1]}"


def utilization(model: Model, rate_per_s: float, *, requests: int, seed: int) -> dict[str, float]:
    """Of every station, pool and the cores at that rate, the fullest first. Stations count the time
    that they stand ready for a core too."""
    seen = simulate(model, OpenRate(rate_per_s), requests=requests, seed=seed, replications=2)
    uses = {use.name: use.utilization for use in seen.stations}
    uses |= {use.name: use.utilization for use in seen.pools}
    uses[CORES] = seen.cores_utilization
    return dict(sorted(uses.items(), key=lambda use: -use[1]))


def gains(
    model: Model,
    rate_per_s: float,
    objectives: Mapping[str, Objective],
    candidates: tuple[str, ...],
    *,
    requests: int,
    seed: int,
) -> dict[str, float]:
    """By resource: by which factor (its logarithm) more of it lowers the slowest responses."""
    load = OpenRate(rate_per_s)

    def slowest(each: Model) -> float:
        found = outcome(each, load, requests=requests, seed=seed)
        return min(1e3, max(1e-6, stretch(each, found, objectives)))

    now = slowest(model)
    return {name: math.log(now / slowest(relieved(model, name))) for name in candidates}


def relieved(model: Model, name: str) -> Model:
    """The model with more of one resource."""
    if name == CORES:
        return msgspec.structs.replace(model, cores=model.cores * RELIEF)
    return msgspec.structs.replace(
        model,
        stations=tuple(
            msgspec.structs.replace(s, servers=_more(s.servers)) if s.name == name else s
            for s in model.stations
        ),
        pools=tuple(
            msgspec.structs.replace(p, size=_more(p.size)) if p.name == name else p
            for p in model.pools
        ),
    )


def _more(count: int) -> int:
    return max(count + 1, round(count * RELIEF))


def named(each: list[dict[str, float]], used: Mapping[str, float]) -> Bottleneck:
    """From the gains of several draws, the best model's first."""
    first: dict[str, float] = {}
    for found in each:
        if found:
            top = max(found, key=lambda name: found[name])
            first[top] = first.get(top, 0.0) + 1 / len(each)
    if not each or not each[0]:
        top = max(used, key=lambda name: used[name], default="")
        return Bottleneck(names=(top,) if top else (), shares=first, utilization=dict(used))
    mean = {name: sum(found.get(name, 0.0) for found in each) / len(each) for name in each[0]}
    best = max(mean.values())
    names = sorted((n for n in mean if mean[n] >= ALIKE * best), key=lambda n: -mean[n])
    return Bottleneck(names=tuple(names), shares=first, utilization=dict(used))

"""Bounds without simulation, exact figures where a closed form holds, and what gives out first.

Bounds are for capacity; response times are simulated. Notation: docs/reference/notation.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from loadpath.answer import Interval
from loadpath.model.capacity import saturation
from loadpath.model.demands import Limit, demands, limits, steps_within
from loadpath.model.exact import mg1, mg1_ps, mmc, mva
from loadpath.model.network import Model, Serve
from loadpath.model.simulated import Load, OpenRate, Users

BEYOND_ANY = 1 << 20
"""Servers, slots or cores of a resource that is thought away."""
LIFT_MIN = 0.02
"""Lifts of capacity nearer to each other than this count as the same."""
SHARE_MIN = 0.1
"""Of models that explain a recording as well: how many must name a resource to keep it in."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What throughput X (per s) and mean response time R (s) lie between under a load.

    `method` is the narrowest that holds of: `exact`, `balanced` (Zahorjan, Sevcik, Eager & Galler
    1982), `asymptotic` (Muntz & Wong 1974; Denning & Buzen 1978). Errors and retries are left out.
    """

    method: str
    throughput_low_per_s: float
    throughput_high_per_s: float
    response_low_s: float
    response_high_s: float


class Lift(msgspec.Struct, frozen=True):
    """`ratio` is the capacity without a resource's limit ÷ with it; `limit` its own limit."""

    limit: Limit
    ratio: float


class FirstLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What gives out first: one resource, or several that are within the error of each other.

    `lifts` has the largest first. Without a limit `first` is empty and the capacity infinite.
    """

    first: tuple[str, ...]
    capacity_per_s: Interval
    lifts: tuple[Lift, ...]

    @property
    def is_certain(self) -> bool:
        """Whether it is one resource."""
        return len(self.first) == 1


def bounds(model: Model, load: Load) -> Bounds:
    """Bounds of X and R under a load, from demands alone, thus without wake-ups."""
    of = demands(model)
    limit = limits(model)[0].rate_per_s
    exact = _exact(model, load)
    if exact is not None:
        x, r = exact
        return _bounds("exact", (x, x), (r, r))
    queued = [d for d in of.cpu_s.values() if d > 0]
    if isinstance(load, OpenRate):
        x = min(load.rate_per_s, limit)
        if load.rate_per_s >= limit:
            return _bounds("asymptotic", (0.0, x), (of.own_s, math.inf))
        if not _is_balanced(model) or load.arrivals != "poisson":
            return _bounds("asymptotic", (x, x), (of.own_s, math.inf))
        mean, cpu_s = sum(queued) / len(queued), sum(queued)
        return _bounds(
            "balanced",
            (x, x),
            tuple(of.delay_s + cpu_s / (1 - x * d) for d in (mean, max(queued))),
        )
    n, z = load.users, load.think_s + of.delay_s
    cpu_s = of.own_s - of.delay_s
    high = min(limit, n / (of.own_s + load.think_s))
    low = n / (n * cpu_s + z)
    method = "asymptotic"
    if _is_balanced(model):
        mean, top = sum(queued) / len(queued), max(queued)
        crowd = n - 1
        low = n / (cpu_s + z + crowd * top / (1 + z / (n * cpu_s)))
        high = min(limit, n / (cpu_s + z + crowd * mean / (1 + z / cpu_s)))
        method = "balanced"
    elif model.pools or not _has_cores_to_spare(model):
        low = 0.0  # what waits while it holds something has no bound from means
    response = (n / high - load.think_s, n / low - load.think_s if low else math.inf)
    return _bounds(method, (low, high), response)


def first_limits(
    model: Model, *, draws: Sequence[Model] = (), requests: int = 60_000, seed: int = 0
) -> FirstLimits:
    """What gives out first: of which resource the limit, thought away, lifts capacity most.

    Asking so tells a pool that is full because of what it waits for from one that is too small, and
    a thread that lacks a core from one that lacks time. `draws` are models that explain the same
    recording as well: what is first in a tenth of them or more is within the error.
    """
    capacity, lifts = _lifts(model, requests, seed)
    if math.isinf(capacity.value):
        return FirstLimits(first=(), capacity_per_s=capacity, lifts=lifts)
    first = _firsts(lifts)
    if draws:
        found = [_lifts(draw, requests, seed) for draw in draws]
        named = [name for _, each in found for name in _firsts(each)[:1]]
        shares = {name: named.count(name) / len(draws) for name in named}
        often = {name for name, share in shares.items() if share >= SHARE_MIN}
        first = tuple(x.limit.resource for x in lifts if x.limit.resource in often | {first[0]})
        values = [c.value for c, _ in found]
        tail = (1 - capacity.confidence) / 2
        low, high = (float(np.quantile(values, q)) for q in (tail, 1 - tail))
        capacity = Interval(
            capacity.value,
            min(capacity.low, low),
            max(capacity.high, high),
            capacity.confidence,
            "replications and draws of the fit",
            len(draws),
        )
    return FirstLimits(first=first, capacity_per_s=capacity, lifts=lifts)


def without_limit(model: Model, resource: str) -> Model:
    """The model with as many servers, slots or cores of one resource as anybody could use."""
    change = msgspec.structs.replace
    if resource == "cores":
        return change(model, cores=float(BEYOND_ANY))
    return change(
        model,
        stations=tuple(
            # Idle servers without end would each have to be woken.
            change(s, servers=BEYOND_ANY, wakeup_s=0.0, shared_s=0.0) if s.name == resource else s
            for s in model.stations
        ),
        pools=tuple(change(p, size=BEYOND_ANY) if p.name == resource else p for p in model.pools),
    )


def _lifts(model: Model, requests: int, seed: int) -> tuple[Interval, tuple[Lift, ...]]:
    capacity = saturation(model, requests=requests, seed=seed)
    found = []
    for limit in limits(model):
        ratio = 1.0
        if capacity.value > 0 and math.isfinite(limit.rate_per_s):
            relieved = saturation(
                without_limit(model, limit.resource), requests=requests, seed=seed
            )
            ratio = relieved.value / capacity.value
        found.append(Lift(limit, ratio))
    return capacity, tuple(sorted(found, key=lambda lift: -lift.ratio))


def _firsts(lifts: Sequence[Lift]) -> tuple[str, ...]:
    """Those whose lift is the largest or within the error of it; where nothing lifts, by limit.

    Two resources that are exhausted together each hide the other, so neither lifts much then.
    """
    best = lifts[0].ratio
    if best < 1 + LIFT_MIN:
        least = min(x.limit.rate_per_s for x in lifts)
        return tuple(
            x.limit.resource for x in lifts if x.limit.rate_per_s <= least * (1 + LIFT_MIN)
        )
    return tuple(x.limit.resource for x in lifts if x.ratio > best * (1 - LIFT_MIN))


def _bounds(method: str, x: Sequence[float], r: Sequence[float]) -> Bounds:
    return Bounds(
        method=method,
        throughput_low_per_s=x[0],
        throughput_high_per_s=x[1],
        response_low_s=r[0],
        response_high_s=r[1],
    )


def _has_cores_to_spare(model: Model) -> bool:
    return sum(s.servers for s in model.stations if s.on_host) <= model.cores


def _is_plain(model: Model) -> bool:
    """Whether nothing but stations and delays is in it, one after the other, and cores suffice."""
    every = [step for p in model.programs for step in steps_within(p.steps)]
    return (
        _has_cores_to_spare(model)
        and not model.pools
        and all(type(step).__name__ in {"Serve", "Delay", "Maybe"} for step in every)
        and all(s.wakeup_s == s.shared_s == 0 for s in model.stations)
    )


def _is_balanced(model: Model) -> bool:
    """Whether it has a product form over single servers (Baskett et al. 1975), of one class."""
    return (
        _is_plain(model)
        and len(model.programs) == 1
        and any(d > 0 for d in demands(model).cpu_s.values())
        and all(s.servers == 1 for s in model.stations)
        and all(s.discipline == "ps" or _is_exponential(model, s.name) for s in model.stations)
    )


def _is_exponential(model: Model, station: str) -> bool:
    laws = {step.work for step in _visits(model, station)}
    return len(laws) <= 1 and all(law.kind == "exponential" for law in laws)


def _visits(model: Model, station: str) -> list[Serve]:
    return [
        step
        for p in model.programs
        for step in steps_within(p.steps)
        if isinstance(step, Serve) and step.station == station
    ]


def _exact(model: Model, load: Load) -> tuple[float, float] | None:
    """X and R where they are known exactly: M/M/c, M/G/1, M/G/1-PS, and closed product form."""
    of = demands(model)
    if isinstance(load, Users):
        if not _is_balanced(model) or load.users > 100_000:
            return None
        found = mva(list(of.cpu_s.values()), load.users, load.think_s + of.delay_s)
        return found.throughput_per_s, found.response_time_s + of.delay_s
    steps = [step for p in model.programs for step in p.steps]
    if load.arrivals != "poisson" or len(model.stations) != 1 or not _is_plain(model):
        return None
    if len(steps) != 1 or not isinstance(steps[0], Serve):
        return None
    station, law = model.stations[0], steps[0].work
    x = load.rate_per_s
    if x * law.mean_s >= station.servers:
        return None
    if law.kind == "exponential":
        return x, mmc(x, law.mean_s, station.servers).response_time_s
    if station.servers > 1:
        return None
    if station.discipline == "ps":
        return x, mg1_ps(x, law.mean_s).response_time_s
    return x, mg1(x, law.mean_s, 0.0 if law.kind == "constant" else law.cv).response_time_s

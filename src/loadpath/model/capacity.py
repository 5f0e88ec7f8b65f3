"""Capacity: the throughput limit of a model, and its knee, the highest rate that keeps objectives.

Both by simulation, started from the limits that means alone set. All rates are tried with the same
random numbers, so that their figures differ by the rate and not by chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from loadpath.answer import Interval
from loadpath.errors import ConfigurationError
from loadpath.model.demands import demands, limits
from loadpath.model.network import Acquire, Attempt, Maybe, Model, Spawn, Step
from loadpath.model.program import Compiled, compile_model
from loadpath.model.replicate import Seen
from loadpath.model.respond import ended, ended_well_s
from loadpath.model.simulate import OpenRate, Users, is_stable, replicated
from loadpath.model.state import OK
from loadpath.spec.objective import Objective
from loadpath.stats.intervals import mean_interval
from loadpath.stats.quantiles import quantile

REPLICATIONS = 8
USERS_MAX = 20_000
"""Users that ask at once when a model is saturated: more than it can hold is enough."""
TRIES_MAX = 40
TOLERANCE = 0.002
"""How far apart, as a ratio, the last two rates of a search may be."""

NEAR_LIMIT = 0.95
"""Share of the throughput limit beyond which a queue remembers longer than a window, so that the
replications' spread understates a knee's error: its interval reaches to the limit then."""


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """The highest rate (requests per second, of the mix) at which every objective holds.

    `limited_by` says which gives out first: `p99 of GET /x`, `errors`, or `throughput` where the
    queue grows before any time is too long. At a rate of 0 an objective is missed without load.
    """

    rate_per_s: Interval
    saturation_per_s: Interval
    limited_by: str
    simulations: int


def saturation(
    model: Model, *, requests: int = 200_000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """The throughput limit (requests per second), when nobody gives up; infinite without one.

    Many users who do not think keep every queue full. Where requests begin work that no reply
    waits for, users could outrun it: there it is the highest rate at which nothing grows.
    """
    patient = without_giving_up(model)
    bound = limits(patient)[0].rate_per_s
    if math.isinf(bound):
        return Interval(math.inf, math.inf, math.inf, confidence, "no limit", 0)
    compiled = compile_model(patient)
    users = Users(min(USERS_MAX, _enough_users(patient, bound)))
    seen = replicated(
        compiled,
        users,
        requests=requests,
        seed=seed,
        replications=REPLICATIONS,
        limit_per_s=bound,
    )
    if any(s.stuck for s in seen):
        return Interval(0.0, 0.0, 0.0, confidence, "it locks itself up", len(seen))
    if not is_stable(seen):
        return _highest_stable(compiled, bound, requests, seed, confidence)
    found = mean_interval([s.ended_well_per_s for s in seen], confidence)
    # No throughput exceeds what the demands allow; a simulated one does by its error only.
    return Interval(
        min(found.value, bound), found.low, found.high, confidence, "replications", len(seen)
    )


def knee(
    model: Model,
    objective: Objective,
    *,
    of_operations: Mapping[str, Objective] | None = None,
    arrivals: Literal["poisson", "evenly"] = "poisson",
    requests: int = 400_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Knee:
    """Where the mix misses `objective`, or an operation its own; each simulation has `requests`.

    `objective` is judged over all requests, `of_operations` over those of each operation. The
    interval is the spread of the replications' own knees: chance only, not the model's error.
    """
    compiled = compile_model(model)
    for name in of_operations or {}:
        if name not in compiled.operations:
            raise ConfigurationError(f"no operation {name!r} in {', '.join(compiled.operations)}")
    limit = saturation(model, requests=requests, seed=seed, confidence=confidence)
    top = limit.value if math.isfinite(limit.value) else USERS_MAX / demands(model).own_s
    if top <= 0:
        return Knee(
            rate_per_s=Interval(0.0, 0.0, 0.0, confidence, "it locks itself up", REPLICATIONS),
            saturation_per_s=limit,
            limited_by="throughput",
            simulations=0,
        )
    search = _Search(compiled, objective, of_operations or {}, arrivals, requests, seed, top)
    rate = search.highest(top)
    of_each = search.of_replications(rate)
    spread = mean_interval(of_each, confidence)
    half = (spread.high - spread.low) / 2
    if rate > NEAR_LIMIT * top:
        half = max(half, top - rate)
    return Knee(
        rate_per_s=Interval(
            rate, max(0.0, rate - half), rate + half, confidence, "replications", len(of_each)
        ),
        saturation_per_s=limit,
        limited_by=search.limited_by,
        simulations=len(search.margins),
    )


def without_giving_up(model: Model) -> Model:
    """The model in which nobody times out, tries again or loses patience."""
    programs = tuple(msgspec.structs.replace(p, steps=_patient(p.steps)) for p in model.programs)
    return msgspec.structs.replace(model, programs=programs)


def _patient(steps: Sequence[Step]) -> tuple[Step, ...]:
    found: list[Step] = []
    for step in steps:
        match step:
            case Attempt():
                found.extend(_patient(step.steps))
            case Acquire():
                found.append(Acquire(step.pool))
            case Maybe():
                found.append(
                    Maybe(step.probability, _patient(step.steps), _patient(step.otherwise))
                )
            case Spawn():
                found.append(Spawn(_patient(step.steps), step.every))
            case _:
                found.append(step)
    return tuple(found)


def _enough_users(model: Model, bound_per_s: float) -> int:
    """So many that some always wait at whatever is the limit: what fits in, several times over."""
    inside = min(bound_per_s * demands(model).own_s, USERS_MAX)
    sizes = [*(s.servers for s in model.stations), *(p.size for p in model.pools)]
    return 20 + math.ceil(3 * inside) + 2 * sum(size for size in sizes if size < USERS_MAX)


def _highest_stable(
    compiled: Compiled, bound: float, requests: int, seed: int, confidence: float
) -> Interval:
    low, high = 0.0, bound
    while high - low > 2 * TOLERANCE * bound:
        rate = (low + high) / 2
        load = OpenRate(rate)
        seen = replicated(
            compiled,
            load,
            requests=requests,
            seed=seed,
            replications=REPLICATIONS,
            limit_per_s=bound,
        )
        low, high = (rate, high) if is_stable(seen) else (low, rate)
    return Interval((low + high) / 2, low, high, confidence, "bisection on stability", REPLICATIONS)


class _Search:
    """Tries rates, and keeps of each replication by how much it missed the worst objective.

    That margin is 1 - limit / time: linear in the rate where times grow as 1 / (1 - utilization),
    and 1 where they grow without end.
    """

    def __init__(
        self,
        compiled: Compiled,
        objective: Objective,
        of_operations: Mapping[str, Objective],
        arrivals: Literal["poisson", "evenly"],
        requests: int,
        seed: int,
        limit_per_s: float,
    ) -> None:
        self.compiled = compiled
        self.arrivals = arrivals
        self.requests = requests
        self.seed = seed
        self.limit_per_s = limit_per_s
        self.limited_by = "throughput"
        self.margins: dict[float, list[float]] = {}
        self.judged: list[tuple[tuple[int, str] | None, Objective]] = [(None, objective)]
        for name, own in of_operations.items():
            self.judged.append(((compiled.operations.index(name), name), own))

    def highest(self, top: float) -> float:
        """The rate at which the margin of all replications together is 0, by Illinois' rule.

        (Dowell & Jarratt 1971: regula falsi that halves the weight of an end that stays.)
        """
        low, high = top * 0.001, top
        at_low, at_high = self.margin(low), self.margin(high)
        if at_low > 0:
            return 0.0
        if at_high <= 0:
            self.limited_by = "throughput"
            return top
        side = 0
        for _ in range(TRIES_MAX):
            if high - low <= TOLERANCE * high:
                break
            # Not nearer to an end than the tolerance, so that the far end comes nearer as well.
            rate = (low * at_high - high * at_low) / (at_high - at_low)
            inset = min(TOLERANCE / 2 * high, (high - low) / 2)
            rate = min(max(rate, low + inset), high - inset)
            margin = self.margin(rate)
            if margin > 0:
                high, at_high = rate, margin
                at_low = at_low / 2 if side > 0 else at_low
                side = 1
            else:
                low, at_low = rate, margin
                at_high = at_high / 2 if side < 0 else at_high
                side = -1
        return (low + high) / 2

    def margin(self, rate: float) -> float:
        """By how much the worst objective is missed at a rate; negative when all hold."""
        seen = replicated(
            self.compiled,
            OpenRate(rate, self.arrivals),
            requests=self.requests,
            seed=self.seed,
            replications=REPLICATIONS,
            limit_per_s=self.limit_per_s,
        )
        if not is_stable(seen):
            self.margins[rate] = [1.0] * len(seen)
            self.limited_by = "throughput"
            return 1.0
        self.margins[rate] = [self._worst([s])[0] for s in seen]
        worst, why = self._worst(seen)
        if worst > 0:
            self.limited_by = why
        return worst

    def of_replications(self, pooled: float) -> list[float]:
        """Each replication's own knee, between the rates that were tried."""
        rates = sorted(self.margins)
        found = []
        for r in range(REPLICATIONS):
            margins = [self.margins[rate][r] for rate in rates]
            over = next((k for k, margin in enumerate(margins) if margin > 0), None)
            if over is None:
                found.append(rates[-1])
            elif over == 0:
                found.append(0.0 if pooled == 0 else rates[0])
            else:
                before, after = margins[over - 1], margins[over]
                share = -before / (after - before)
                found.append(rates[over - 1] + share * (rates[over] - rates[over - 1]))
        return found

    def _worst(self, seen: Sequence[Seen]) -> tuple[float, str]:
        """The largest margin over all objectives, and the objective's name."""
        worst, why = -math.inf, "throughput"
        for operation, objective in self.judged:
            name = f" of {operation[1]}" if operation else ""
            outcomes = np.concatenate([ended(s, operation) for s in seen])
            times_s = np.concatenate([ended_well_s(s, operation) for s in seen])
            if not len(outcomes):
                continue
            errors, allowed = float(np.mean(outcomes != OK)), objective.errors_ratio
            margins = [((errors - allowed) / max(errors, allowed, 1e-9), f"errors{name}")]
            for limit in objective.quantiles:
                slow_s = quantile(times_s, limit.quantile) if len(times_s) else math.inf
                label = f"p{limit.quantile * 100:g}{name}"
                margins.append((1 - limit.limit_s / max(slow_s, 1e-12), label))
            worst, why = max((worst, why), *margins)
        return worst, why

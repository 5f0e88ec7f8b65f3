"""What a request asks of every station and pool in the mean, and what limits that sets by itself.

Notation: docs/reference/notation.md. All follows from means alone, so it holds for any
distribution and any discipline (Denning & Buzen 1978).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from loadpath.model.network import (
    Acquire,
    Attempt,
    Delay,
    Maybe,
    Model,
    Program,
    Release,
    Serve,
    Spawn,
    Step,
)


class Demands(msgspec.Struct, frozen=True, kw_only=True):
    """Of a mean request, or of one operation, when nothing waits and every first try is in time.

    `cpu_s` (D) is the CPU time it takes of each station, without wake-ups, what it spawns included;
    `visits` (V) how often; `held_s` the least time it holds each pool; `own_s` the time until its
    reply; `delay_s` the part of that which is no CPU time.
    """

    cpu_s: dict[str, float]
    visits: dict[str, float]
    held_s: dict[str, float]
    own_s: float
    delay_s: float


def demands(model: Model, operation: str | None = None) -> Demands:
    """Demands of one operation, or (None) of the mix. Raises `KeyError` for an unknown one."""
    programs = [p for p in model.programs if operation in {None, p.operation}]
    if not programs:
        raise KeyError(operation)
    total = sum(p.weight for p in programs) if operation is None else 1.0
    sums = _Sums(model)
    for program in programs:
        share = program.weight / total if operation is None else 1.0
        sums.add(program, share)
    return Demands(
        cpu_s=sums.cpu_s,
        visits=sums.visits,
        held_s=sums.held_s,
        own_s=sums.own_s,
        delay_s=sums.delay_s,
    )


class Limit(msgspec.Struct, frozen=True):
    """The rate (requests per second, of the mix) at which a resource alone would be exhausted."""

    resource: str
    kind: str
    rate_per_s: float


def limits(model: Model) -> tuple[Limit, ...]:
    """Every resource's own limit, least first: station c / D, cores c / ΣD, pool size / held.

    No throughput exceeds the least (the utilization law). What requests wait for while they hold a
    pool makes its true limit smaller: that is for the simulation to say.
    """
    of = demands(model)
    found = [Limit(s.name, "station", _rate(s.servers, of.cpu_s[s.name])) for s in model.stations]
    found += [Limit(p.name, "pool", _rate(p.size, of.held_s[p.name])) for p in model.pools]
    on_host = sum(of.cpu_s[s.name] for s in model.stations if s.on_host)
    found.append(Limit("cores", "cores", _rate(model.cores, on_host)))
    return tuple(sorted(found, key=lambda limit: limit.rate_per_s))


def steps_within(steps: Iterable[Step]) -> Iterable[Step]:
    """Every step, those inside others included."""
    for step in steps:
        yield step
        if isinstance(step, Maybe | Spawn | Attempt):
            yield from steps_within(step.steps)
        if isinstance(step, Maybe):
            yield from steps_within(step.otherwise)


def _rate(servers: float, each_s: float) -> float:
    return servers / each_s if each_s > 0 else math.inf


class _Sums:
    """Adds up programs, each with its share of the mix."""

    def __init__(self, model: Model) -> None:
        self.cpu_s = {s.name: 0.0 for s in model.stations}
        self.visits = {s.name: 0.0 for s in model.stations}
        self.held_s = {p.name: 0.0 for p in model.pools}
        self.own_s = self.delay_s = 0.0

    def add(self, program: Program, share: float) -> None:
        own_s, delay_s = self._steps(program.steps, share, [])
        self.own_s += own_s
        self.delay_s += delay_s

    def _steps(self, steps: Iterable[Step], share: float, held: list[str]) -> tuple[float, float]:
        """Time and delay of some steps, times their share; `held` is changed as they go."""
        own_s = delay_s = 0.0
        for step in steps:
            took_s = waited_s = 0.0
            match step:
                case Serve():
                    self.cpu_s[step.station] += share * step.work.mean_s
                    self.visits[step.station] += share
                    took_s = share * step.work.mean_s
                    self._hold(held, took_s)
                case Delay():
                    took_s = waited_s = share * step.time.mean_s
                    self._hold(held, took_s)
                case Acquire():
                    held.append(step.pool)
                case Release():
                    held.reverse()
                    held.remove(step.pool)
                    held.reverse()
                case Maybe():
                    other = list(held)
                    took_s, waited_s = self._steps(step.steps, share * step.probability, held)
                    less = self._steps(step.otherwise, share * (1 - step.probability), other)
                    took_s, waited_s = took_s + less[0], waited_s + less[1]
                case Spawn():
                    self._steps(step.steps, share / step.every, [])
                case Attempt():
                    inner: list[str] = []
                    took_s, waited_s = self._steps(step.steps, share, inner)
                    self._hold(held, took_s)
            own_s += took_s
            delay_s += waited_s
        return own_s, delay_s

    def _hold(self, held: Iterable[str], took_s: float) -> None:
        for pool in held:
            self.held_s[pool] += took_s

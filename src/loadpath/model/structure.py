"""What a request does, step by step: the structure of a model, before and after it has figures.

A request is sent by the engine, crosses what stands beside the service's main thread, then takes
turns between that thread and the calls it makes, and is read by the engine. Where the wires were
not read, every dependency that works for an operation is taken to be called once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from loadpath.model.network import (
    Acquire,
    Delay,
    Law,
    Maybe,
    Pool,
    Program,
    Release,
    Serve,
    Spawn,
    Step,
    call_name,
)
from loadpath.model.observations import Exchange, Observations, Path
from loadpath.model.stations import ENGINE, SERVICE, Placed
from loadpath.model.weigh import Demands

ALWAYS = 0.95
"""A call this likely is made by every request."""

NEVER = 0.01

COVERED_S = 1e-6
"""A call that another covers whole is no wait of its own."""

ASIDE_MIN = 0.01
"""Work that nobody waits for, below this share of what a request costs, is left out."""

SURE = 0.97
"""Up to this quantile the times of calls are taken as they were seen."""

GAP_MIN_S = 2e-5
"""Going on after a reply costs something even where the gap was too short to see."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Stations by role, and the pools. `limit` is the name of the pool of requests in service."""

    main: str
    beside: tuple[str, ...]
    engine: str | None
    of_part: dict[str, str]
    pools: tuple[Pool, ...] = ()
    limit: str | None = None


def layout_of(placed: Sequence[Placed], pools: Sequence[Pool], limit: str | None) -> Layout:
    """Who plays which role."""
    service = [p for p in placed if p.station.part == SERVICE]
    return Layout(
        main=next(p.station.name for p in service if p.main),
        beside=tuple(p.station.name for p in service if not p.main),
        engine=next((p.station.name for p in placed if p.station.part == ENGINE), None),
        of_part={p.station.part: p.station.name for p in placed if p.main},
        pools=tuple(pools),
        limit=limit,
    )


def aside(part: str) -> str:
    """The station of what a dependency does when nobody waits for it."""
    return f"{part} aside"


def waited(path: Path | None) -> tuple[Exchange, ...]:
    """The calls that the reply waits for."""
    if path is None:
        return ()
    return tuple(
        e for e in path.exchanges if not e.after and e.calls >= NEVER and e.time.mean_s >= COVERED_S
    )


def waited_s(path: Path) -> float:
    """Seconds that a request waits for its calls."""
    return sum(_times_made(each) * each.time.mean_s for each in waited(path))


def _whole(exchange: Exchange) -> int:
    """How many times every request makes the call, one after the other."""
    return math.floor(exchange.calls + 1 - ALWAYS)


def _rest(exchange: Exchange) -> float:
    """How likely it is made once more than that."""
    rest = exchange.calls - _whole(exchange)
    return rest if rest > 1 - ALWAYS or not _whole(exchange) else 0.0


def _times_made(exchange: Exchange) -> float:
    return _whole(exchange) + _rest(exchange)


def visits(layout: Layout, path: Path | None, calls_all: bool) -> dict[str, float]:
    """Visits of each station by one request of an operation."""
    found = {layout.main: 1.0}
    for name in layout.beside:
        found[name] = 1.0
    if layout.engine is not None:
        found[layout.engine] = 2.0
    for exchange in waited(path):
        station = layout.of_part.get(exchange.dependency)
        times = _times_made(exchange)
        found[layout.main] += times
        if station is not None:
            found[station] = found.get(station, 0.0) + times
    if calls_all:
        for part, station in layout.of_part.items():
            if part not in {SERVICE, ENGINE}:
                found[station] = found.get(station, 0.0) + 1.0
    return found


def program(
    operation: str,
    observations: Observations,
    layout: Layout,
    demands: Mapping[str, Demands],
    *,
    path: Path | None,
    calls_all: bool,
    cv: float,
    residual: Law,
    factor: float = 1.0,
    wire: float = 1.0,
) -> Program:
    """One operation's, with the figures. `residual` is the time that nothing else explains; `cv`
    spreads the service's own work, `factor` is on all work, `wire` on
    the time of calls. What a dependency does beside its calls
    is nobody's wait."""

    def work_s(station: str) -> float:
        found = demands.get(station)
        return 0.0 if found is None else factor * found.work_s.get(operation, 0.0)

    def serve(station: str, seconds: float, call: str = "") -> Serve:
        return Serve(
            station, Law(kind="gamma" if cv > 0 else "constant", mean_s=seconds, cv=cv), call
        )

    calls = waited(path)
    gaps = [max(e.gap_s, GAP_MIN_S) * max(1, _whole(e)) for e in calls]
    gaps.append(max(path.last_gap_s if path is not None else 0.0, GAP_MIN_S))
    own_s = work_s(layout.main)
    steps: list[Step] = []
    spawned: list[Step] = []
    if layout.engine is not None:
        steps.append(serve(layout.engine, work_s(layout.engine) / 2))
    steps += [serve(name, work_s(name)) for name in layout.beside]
    pools = {pool.part: pool.name for pool in layout.pools if pool.name != layout.limit}
    of_limit = next((pool.part for pool in layout.pools if pool.name == layout.limit), SERVICE)
    left = {
        station: work_s(station)
        for part, station in layout.of_part.items()
        if part not in {SERVICE, ENGINE}
    }
    asked = _asked(calls)
    holding: str | None = None
    for number, exchange in enumerate(calls):
        pool = pools.get(exchange.dependency)
        times, rest = _whole(exchange), _rest(exchange)
        gap = serve(
            layout.main,
            own_s * gaps[number] / sum(gaps) / max(1, times),
            call_name(exchange.dependency, exchange.shape),
        )
        steps.append(gap)
        station = layout.of_part.get(exchange.dependency)
        share = exchange.calls * exchange.time.mean_s / max(asked[exchange.dependency], 1e-12)
        on_wire_s = exchange.time.mean_s * wire
        total_s = work_s(station) * share if station is not None else 0.0
        each_s = min(total_s / (times + rest), on_wire_s)
        call = _call(exchange, station, each_s, on_wire_s)
        if station is not None:
            left[station] = max(0.0, left[station] - each_s * (times + rest))
        later = [e for e in calls[number + 1 :] if e.dependency == exchange.dependency]
        holds = exchange.holds and bool(later)
        if pool is not None and holding is None and holds:
            steps.append(Acquire(pool))
            holding = pool
        if pool is not None and holding != pool:
            call = (Acquire(pool), *call, Release(pool))
        if times:
            steps += (*call, *((gap, *call) * (times - 1)))
        if rest:
            steps.append(Maybe(rest, call))
        if holding is not None and holding == pool and not holds:
            steps.append(Release(pool))
            holding = None
    if holding is not None:
        steps.append(Release(holding))
    for part, station in layout.of_part.items():
        seconds = left.get(station, 0.0)
        if seconds <= ASIDE_MIN * sum(work_s(name) for name in layout.of_part.values()):
            continue
        if calls_all:
            held = pools.get(part)
            inner: tuple[Step, ...] = (serve(station, seconds),)
            steps += inner if held is None else (Acquire(held), *inner, Release(held))
        else:
            spawned.append(serve(aside(part), seconds))
    steps.append(serve(layout.main, own_s * gaps[-1] / sum(gaps)))
    steps += _residual(residual, layout.limit, of_limit)
    steps += [Spawn((each,)) for each in spawned]
    if layout.engine is not None:
        steps.append(serve(layout.engine, work_s(layout.engine) / 2))
    return Program(
        operation=operation,
        weight=observations.weights.get(operation, 0.0),
        steps=tuple(steps),
    )


def _asked(calls: Sequence[Exchange]) -> dict[str, float]:
    """Seconds that each dependency is asked for by one request."""
    found: dict[str, float] = {}
    for each in calls:
        found[each.dependency] = found.get(each.dependency, 0.0) + each.calls * each.time.mean_s
    return found


def _call(
    exchange: Exchange, station: str | None, work_s: float, on_wire_s: float
) -> tuple[Step, ...]:
    """Time on the wire as CPU of the dependency and what is none: its disk, its locks, the way."""
    steps: list[Step] = []
    rest_s = on_wire_s - work_s
    name = call_name(exchange.dependency, exchange.shape)
    if rest_s > 0:
        steps.append(Delay(_like(exchange, rest_s), exchange.dependency, name))
    if station is not None and work_s > 0:
        steps.append(Serve(station, _like(exchange, work_s), name))
    return tuple(steps)


def _like(exchange: Exchange, mean_s: float) -> Law:
    """A law of that mean, spread as the call was."""
    seen = exchange.time
    average = sum(seen.quantiles_s) / len(seen.quantiles_s)
    if average <= 0 or seen.count < 5:
        return Law(kind="exponential", mean_s=mean_s, cv=1.0)
    # The slowest few are few: how slow requests are tells the tail better than their calls do.
    longest = seen.quantiles_s[round(SURE * len(seen.quantiles_s))]
    values = [min(value, longest) for value in seen.quantiles_s]
    factor = mean_s * len(values) / sum(values)
    return empirical([value * factor for value in values])


def empirical(values_s: Sequence[float]) -> Law:
    """The law that draws those values, with its mean and spread told."""
    count = len(values_s)
    mean_s = sum(values_s) / count
    variance = sum((value - mean_s) ** 2 for value in values_s) / count
    cv = variance**0.5 / mean_s if mean_s > 0 else 0.0
    return Law(kind="empirical", mean_s=mean_s, cv=cv, values_s=tuple(values_s))


def _residual(law: Law, limit: str | None, part: str) -> list[Step]:
    """Time that nothing explains; where there is a limit, it is spent holding it."""
    if law.mean_s <= 0:
        return []
    delay = Delay(law, part)
    return [delay] if limit is None else [Acquire(limit), delay, Release(limit)]

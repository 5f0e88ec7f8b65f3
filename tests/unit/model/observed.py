"""Observations of a model whose truth is known: what recordings of such a service would tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from loadpath.model.network import (
    Acquire,
    Delay,
    Law,
    Model,
    Pool,
    Program,
    Release,
    Serve,
    Station,
    Step,
)
from loadpath.model.observations import (
    PROBABILITIES,
    Connections,
    Exchange,
    Group,
    Limit,
    Observations,
    Path,
    Stretch,
    Times,
)
from loadpath.model.outcome import knee_per_s, outcome
from loadpath.model.simulate import simulate
from loadpath.model.simulated import OpenRate
from loadpath.spec import Objective
from loadpath.spec.objective import QuantileLimit

OBJECTIVE = Objective((QuantileLimit(0.99, 0.05),))
REQUESTS = 8_000


def service(
    own_s: float = 0.002,
    *,
    wakeup_s: float = 0.0,
    shared_s: float = 0.0,
    window_s: float = 0.0,
    call_s: float = 0.0,
    work_s: float = 0.0,
    size: int = 3,
    cores: float = 2.0,
) -> Model:
    """One operation: a thread of the service and, with `call_s`, one call over a pool of `size`, of
    which `work_s` is CPU of the database."""
    call: tuple[Step, ...] = ()
    stations = [
        Station(name="engine", part="engine"),
        Station(
            name="service thread",
            part="service",
            wakeup_s=wakeup_s,
            shared_s=shared_s,
            window_s=window_s,
        ),
    ]
    pools = ()
    if call_s > 0:
        stations.append(Station(name="database backends", part="database", servers=size))
        pools = (Pool(name="database connections", part="database", size=size),)
        call = (
            Acquire("database connections"),
            Delay(Law(mean_s=call_s - work_s), "database"),
            Serve("database backends", Law(mean_s=work_s)),
            Release("database connections"),
            Serve("service thread", Law(mean_s=own_s / 2)),
        )
    first_s = own_s / 2 if call else own_s
    steps = (
        Serve("engine", Law(mean_s=1e-5)),
        Serve("service thread", Law(kind="gamma", mean_s=first_s, cv=0.2)),
        *call,
        Serve("engine", Law(mean_s=1e-5)),
    )
    return Model(
        cores=cores,
        stations=tuple(stations),
        pools=pools,
        programs=(Program(operation="GET /", weight=1.0, steps=steps),),
    )


def times(values_s: Sequence[float]) -> Times:
    """A distribution as recordings give it."""
    values = np.asarray(values_s)
    return Times(
        count=len(values),
        mean_s=float(values.mean()),
        p99_s=float(np.quantile(values, 0.99)),
        quantiles_s=tuple(np.quantile(values, PROBABILITIES).tolist()),
    )


def stretch(model: Model, rate_per_s: float, purpose: str, *, seed: int) -> Stretch:
    """What the model does at that rate."""
    load = OpenRate(rate_per_s)
    seen = simulate(model, load, requests=REQUESTS, seed=seed, replications=2)
    drawn = outcome(model, load, requests=REQUESTS, seed=seed)
    rates = {p.operation: rate_per_s * p.weight for p in model.programs}
    ended = np.isfinite(drawn.responses_s)
    return Stretch(
        purpose=purpose,
        duration_s=REQUESTS / rate_per_s,
        offered_per_s=rates,
        done_per_s=rates,
        cores={s.name: s.cpu_cores for s in seen.stations},
        waiting={
            use.name: max(0.0, use.utilization * station.servers - use.cpu_cores)
            for use, station in zip(seen.stations, model.stations, strict=True)
        },
        responses={
            p.operation: times(drawn.responses_s[ended & (drawn.operations == n)])
            for n, p in enumerate(model.programs)
        },
        met=None,
    )


def observations(
    model: Model,
    *,
    calls_s: Mapping[str, float] | None = None,
    shares: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.85, 0.95),
    limit: Limit | None = None,
    seed: int = 7,
) -> Observations:
    """What recordings would tell of it, up to its knee. `calls_s`: calls seen on the wires, by
    dependency; None: the wires were not read."""
    objectives = {p.operation: OBJECTIVE for p in model.programs}
    knee = knee_per_s(model, objectives, requests=20_000, seed=seed)
    purposes = ["baseline", *["hold"] * (len(shares) - 1)]
    kinds = {"engine": "engine", "service": "thread"}
    return Observations(
        cores=round(model.cores),
        workers=1,
        weights={p.operation: p.weight for p in model.programs},
        objectives=objectives,
        groups=tuple(
            Group(name=s.name, part=s.part, kind=kinds.get(s.part, "backends"), servers=s.servers)  # type: ignore[arg-type]
            for s in model.stations
        ),
        stretches=tuple(
            stretch(model, share * knee, purpose, seed=seed + n)
            for n, (share, purpose) in enumerate(zip(shares, purposes, strict=True))
        ),
        paths=() if calls_s is None else tuple(path(p.operation, calls_s) for p in model.programs),
        connections=tuple(
            Connections(dependency=p.part, kind="postgres", size=p.size, full=False)
            for p in model.pools
            if p.part != "service"
        ),
        limit=limit,
        knee_per_s=(knee, 0.97 * knee, 1.03 * knee),
    )


def path(operation: str, calls_s: Mapping[str, float]) -> Path:
    """One call to each dependency."""
    return Path(
        operation=operation,
        exchanges=tuple(
            Exchange(
                dependency=name,
                kind="postgres",
                shape="SELECT 1",
                calls=1.0,
                time=times([seconds] * 50),
                gap_s=0.001,
            )
            for name, seconds in calls_s.items()
        ),
        alone_s=sum(calls_s.values()) + 0.002,
        last_gap_s=0.001,
    )


def resized(model: Model, size: int) -> Model:
    """The model with pools of that size."""
    pools = tuple(msgspec.structs.replace(pool, size=size) for pool in model.pools)
    return msgspec.structs.replace(model, pools=pools)

"""Simulates a model under a load: independent replications, each without its warm-up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from loadpath.errors import ConfigurationError
from loadpath.model.demands import limits
from loadpath.model.kernel import EVENLY, POISSON, USERS
from loadpath.model.network import Law, Model
from loadpath.model.program import Compiled, compile_model
from loadpath.model.replicate import Seen, replicate
from loadpath.model.respond import respond
from loadpath.model.simulated import (
    Estimate,
    Load,
    OpenRate,
    PoolUse,
    Response,
    Simulated,
    StationUse,
    Users,
)
from loadpath.stats.intervals import mean_interval

__all__ = ["Estimate", "OpenRate", "Response", "Simulated", "Users", "simulate"]

NEAR_SATURATION = 0.9
"""Utilization beyond which a response time is told by its bounds alone."""
WARM_UP_RATIO = 0.2
WARM_UP_MIN = 1000
"""Requests left out before each window: a share of the window's, at least so many."""
MEMORIES = 3
"""How many times the memory of the queue is left out as well, at most as much again as is kept."""
FILLING = 5
"""So many times what a request takes alone are left out as well: until then, more come than go."""
BEHIND_RATIO = 0.01
"""Share of a window's arrivals that may be left behind before the system counts as unstable."""


def simulate(
    model: Model,
    load: Load,
    *,
    requests: int = 200_000,
    seed: int = 0,
    replications: int = 10,
    confidence: float = 0.95,
) -> Simulated:
    """What the model does under that load, from `requests` requests in all.

    The same arguments give the same figures. Raises `ConfigurationError` for what is not a model.
    """
    if replications < 2 or requests < 20 * replications:
        raise ConfigurationError(
            f"{requests} requests in {replications} replications: expected 2 or more replications "
            "of 20 requests or more"
        )
    compiled = compile_model(model, thinking(load))
    limit_per_s = limits(model)[0].rate_per_s
    seen = replicated(
        compiled,
        load,
        requests=requests,
        seed=seed,
        replications=replications,
        limit_per_s=limit_per_s,
    )
    return summarize(model, compiled, load, seen, seed=seed, confidence=confidence)


def thinking(load: Load) -> Law:
    """What a user does between a reply and the next request."""
    return Law(kind=load.think, mean_s=load.think_s) if isinstance(load, Users) else Law(mean_s=0.0)


def replicated(
    compiled: Compiled,
    load: Load,
    *,
    requests: int,
    seed: int,
    replications: int,
    limit_per_s: float,
) -> list[Seen]:
    """The windows of independent replications, all of the same length.

    `limit_per_s` is the throughput limit as far as it is known: what comes near it forgets slowly
    that it began empty, after some 1 / (1 - √(λ / limit))² requests (Cohen 1982, for M/M/1).
    """
    count = requests // replications
    warm = max(WARM_UP_MIN, round(WARM_UP_RATIO * count))
    if isinstance(load, Users):
        arrivals, rate = USERS, float(load.users)
    else:
        arrivals, rate = POISSON if load.arrivals == "poisson" else EVENLY, load.rate_per_s
    if not 0 < rate < math.inf:
        raise ConfigurationError(f"the load is {rate}, expected more than 0")
    if isinstance(load, Users):
        warm = max(warm, 2 * load.users)
    else:
        empty = 1 - math.sqrt(min(1.0, rate / limit_per_s))
        warm = max(warm, math.ceil(min(count, MEMORIES / max(empty, 1e-9) ** 2)))
        warm = max(warm, math.ceil(FILLING * compiled.own_s * rate))
    return [
        replicate(compiled, arrivals, rate, warm=warm, count=count, seed=(seed, r))
        for r in range(replications)
    ]


def summarize(
    model: Model,
    compiled: Compiled,
    load: Load,
    seen: Sequence[Seen],
    *,
    seed: int,
    confidence: float,
) -> Simulated:
    """Pool the replications; their spread gives the intervals."""
    stations = np.mean([s.stations for s in seen], axis=0)
    pools = np.mean([s.pools for s in seen], axis=0)
    visits = np.mean([s.visits_per_s for s in seen], axis=0)
    grants = np.mean([s.grants_per_s for s in seen], axis=0)
    shared_cpu = float(stations[:, 2] @ compiled.on_host) if len(stations) else 0.0
    station_uses = tuple(
        StationUse(
            name=station.name,
            part=station.part,
            utilization=min(1.0, float(row[1]) / station.servers),
            cpu_cores=float(row[2]),
            jobs=float(row[0]),
            visits_per_s=float(rate),
        )
        for station, row, rate in zip(model.stations, stations, visits, strict=True)
    )
    pool_uses = tuple(
        PoolUse(
            name=pool.name,
            part=pool.part,
            utilization=min(1.0, float(row[0]) / pool.size),
            waiting=float(row[1]),
            grants_per_s=float(rate),
        )
        for pool, row, rate in zip(model.pools, pools, grants, strict=True)
    )
    cores = min(1.0, shared_cpu / model.cores)
    busiest = max(
        [cores, *(u.utilization for u in station_uses), *(u.utilization for u in pool_uses)]
    )
    stable = is_stable(seen)
    told = stable and busiest <= NEAR_SATURATION
    overall = respond(seen, told=told, confidence=confidence)
    names = compiled.operations
    operations = tuple(
        # With one operation only, all is said already.
        msgspec.structs.replace(overall, operation=name)
        if len(names) == 1
        else respond(seen, (k, name), told=told, confidence=confidence)
        for k, name in enumerate(names)
    )
    return Simulated(
        load=load,
        seed=seed,
        replications=len(seen),
        stable=stable,
        near_saturation=not told,
        throughput_per_s=mean_interval([s.ended_well_per_s for s in seen], confidence),
        in_system=float(np.mean([s.in_system for s in seen])),
        cores_utilization=cores,
        overall=overall,
        operations=operations,
        stations=station_uses,
        pools=pool_uses,
    )


def is_stable(seen: Sequence[Seen]) -> bool:
    """Whether as much went as came, work that no reply waits for included."""
    if any(s.crowded or s.stuck for s in seen):
        return False
    return mean_interval([s.growth / len(s.responses_s) for s in seen]).low <= BEHIND_RATIO

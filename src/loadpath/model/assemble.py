"""A model from its figures: stations, pools and programs put together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.model.network import Law, Model, Pool, Serve, Spawn, Station
from loadpath.model.observations import Observations
from loadpath.model.stations import ENGINE, SERVICE, Placed
from loadpath.model.structure import Layout, aside, layout_of, program
from loadpath.model.weigh import Demands

LIMIT = "requests in service"

NEAR_MOST = 0.75
"""A stretch that completed this share of the most tells what was busy then."""

FAIR_SHARE = 0.5

IDLE = 0.6
CORES_IDLE = 0.75
"""Below these shares of a thread and of the cores it is not CPU that requests wait for."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a fit has to find. `wires`: the share of the time on the wires that an operation's calls
    take without taps on them. `factor` is on all work on the host, `overhead` what its cores lose
    when many want them: so many cores in one do the work of one."""

    demands: dict[str, Demands]
    residuals: dict[str, Law]
    wires: dict[str, float] = {}
    spreads: dict[str, float]
    cores: float
    factor: float = 1.0
    overhead: float = 1.0


def planned(observations: Observations, placed: Sequence[Placed]) -> Layout:
    """Roles and pools: a connection pool for each database that was used, and a limit on requests
    in service where requests wait while no CPU is busy."""
    pools = []
    limit = None
    found = observations.limit if limited(observations, placed) else None
    for each in observations.connections:
        size = each.size
        alike = found is not None and found.dependency == each.dependency
        if alike and found is not None:
            # Little's law counts what is held, open connections may lie idle beside it.
            size = (
                each.size if abs(found.requests / each.size - 1) <= 0.25 else round(found.requests)
            )
        if size >= 1 and (each.kind == "postgres" or alike):
            name = f"{each.dependency} connections"
            pools.append(Pool(name=name, part=each.dependency, size=max(1, size)))
    full = [each.dependency for each in observations.connections if each.full]
    if not observations.paths and len(full) == 1:
        # No wire was read, but PostgreSQL said that all were busy: they are what is waited for.
        limit = next((pool.name for pool in pools if pool.part == full[0]), None)
    elif found is not None and all(pool.part != found.dependency for pool in pools):
        if found.dependency:
            name = f"{found.dependency} connections"
            pools.append(Pool(name=name, part=found.dependency, size=max(1, round(found.requests))))
        else:
            limit = LIMIT
            pools.append(Pool(name=LIMIT, part=SERVICE, size=max(1, round(found.requests))))
    return layout_of(placed, pools, limit)


def cores_left(cores: int, others_cores: float) -> float:
    """Cores that the model has while others took so many: a fair scheduler leaves it half of them,
    however much the others want, since they take what it leaves idle too."""
    return max(cores - others_cores, FAIR_SHARE * cores)


def limited(observations: Observations, placed: Sequence[Placed]) -> bool:
    """Whether a limit on requests in service was seen that no CPU explains: no thread was busy, or
    kept waiting for a core, most of the time."""
    if observations.limit is None:
        return False
    # What was used near the most that was completed.
    near = [
        s
        for s in observations.stretches
        if s.rate_per_s >= NEAR_MOST * observations.limit.done_per_s and len(s.done_per_s) > 0
    ]
    if not near:
        return False
    for stretch in near:
        total = sum(stretch.cores.values())
        busiest = max(
            (
                sum(
                    stretch.cores.get(name, 0.0) + stretch.waiting.get(name, 0.0)
                    for name in p.groups
                )
                / p.station.servers
                for p in placed
                if p.waking
            ),
            default=0.0,
        )
        if total > CORES_IDLE * observations.cores or busiest > IDLE:
            return False
    return True


def assembled(
    observations: Observations, placed: Sequence[Placed], layout: Layout, figures: Figures
) -> Model:
    """The model with those figures."""
    paths = {path.operation: path for path in observations.paths}
    programs = tuple(
        program(
            operation,
            observations,
            layout,
            figures.demands,
            path=paths.get(operation),
            calls_all=not observations.paths,
            cv=figures.spreads.get(operation, 0.0),
            residual=figures.residuals.get(operation, Law(mean_s=0.0)),
            factor=figures.factor,
            wire=figures.wires.get(operation, 1.0),
        )
        for operation, weight in observations.weights.items()
        if weight > 0
    )
    used = {
        step.station
        for each in programs
        for spawn in each.steps
        if isinstance(spawn, Spawn)
        for step in spawn.steps
        if isinstance(step, Serve)
    }
    stations: list[Station] = []
    for each in placed:
        found = figures.demands.get(each.station.name, Demands(work_s={}))
        stations.append(
            msgspec.structs.replace(
                each.station,
                wakeup_s=found.wakeup_s * figures.factor,
                shared_s=found.shared_s * figures.factor,
                window_s=found.window_s,
            )
        )
        name = aside(each.station.part)
        if each.main and name in used:
            stations.append(msgspec.structs.replace(each.station, name=name))
    return Model(
        cores=figures.cores / figures.overhead,
        stations=tuple(stations),
        pools=layout.pools,
        programs=programs,
        engine=layout.engine or ENGINE,
    )

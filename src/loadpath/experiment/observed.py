"""What a model is fitted from, out of recordings. Pure: reads recordings, drives nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadpath.errors import InconclusiveError
from loadpath.experiment.callpaths import paths_of
from loadpath.experiment.concurrency import HEADROOM_MIN, in_service
from loadpath.experiment.holding import connection_uses
from loadpath.experiment.knee import mix_of
from loadpath.experiment.limits import IDLE_STATES, POOL_FULL
from loadpath.experiment.mixknee import MixKnee, mix_knee
from loadpath.experiment.stretches import stretches_of
from loadpath.experiment.traced import NAME
from loadpath.model.observations import Connections, Limit, Observations, Path, Stretch
from loadpath.recording import Recording

WORKED = 0.03
"""A connection below this share of what the busiest one cost is not one that requests use."""

BESIDE_MAX = 2
"""So many connections beside a pool at most; more that idle are a pool that is not needed whole."""

MOST = 0.5
"""Calls that take this share of a response are what a request spends its time on."""


def observations_of(recordings: Sequence[Recording]) -> Observations:
    """Put together what the recordings of one service saw: `mix` and, where there is one, `traced`.

    Raises `InconclusiveError` when they do not hold what a model needs.
    """
    mix = next((r for r in recordings if r.name == "mix"), None)
    traced = next((r for r in recordings if r.name == NAME), None)
    if mix is None:
        raise InconclusiveError(
            f"expected a recording named `mix` to fit a model from; got "
            f"{', '.join(r.name for r in recordings) or 'none'}",
            advice="Record it: loadpath ask bottleneck.",
        )
    stretches, grouping = stretches_of(mix)
    paths = paths_of(traced) if traced is not None else ()
    knee = mix_knee(mix)
    rate = knee.rate
    return Observations(
        cores=int(mix.host()["cores"].max(initial=1)),
        workers=mix.setup.worker_count,
        weights=mix_of(mix.setup.workload),
        objectives={
            o.name: mix.setup.workload.objective_of(o) for o in mix.setup.workload.operations
        },
        groups=grouping.groups,
        stretches=stretches,
        paths=paths,
        connections=_connections(mix, traced),
        limit=_limit(mix, knee, stretches, paths),
        knee_per_s=None if rate is None else (rate.value, rate.low, rate.high),
    )


def _connections(mix: Recording, traced: Recording | None) -> tuple[Connections, ...]:
    rows = mix.postgres()
    found = []
    for part in sorted(set(rows["part"])):
        chosen = rows["part"] == part
        _, at = np.unique(rows["at_s"][chosen], return_inverse=True)
        backends = rows["backends"][chosen].astype(np.float64)
        busy = ~np.isin(rows["state"][chosen], IDLE_STATES)
        opened = np.bincount(at, weights=backends)
        taken = np.bincount(at, weights=backends * busy)
        size = _worked(mix, str(part), int(opened.max()))
        # Four samples are about a second.
        smooth = np.convolve(taken, np.full(4, 0.25), "valid") if len(taken) >= 4 else taken
        full = bool(len(smooth) and smooth.max() >= POOL_FULL * size)
        found.append(Connections(dependency=str(part), kind="postgres", size=size, full=full))
    known = {each.dependency for each in found}
    for use in connection_uses(traced) if traced is not None else ():
        if use.dependency not in known and use.open_count:
            found.append(
                Connections(
                    dependency=use.dependency, kind=use.kind, size=use.open_count, full=False
                )
            )
    return tuple(found)


def _worked(mix: Recording, part: str, opened: int) -> int:
    """How many of the connections to a PostgreSQL are of a pool: one that listens for
    notifications, or is there to watch, is open beside it and does next to nothing."""
    rows = mix.processes()
    own = (rows["part"] == part) & (rows["name"] == "backend")
    spent = [
        float(np.ptp(rows["cpu_s"][own & (rows["pid"] == pid)])) for pid in set(rows["pid"][own])
    ]
    active = sum(each >= WORKED * max(spent) for each in spent) if spent else 0
    return active if opened - BESIDE_MAX <= active < opened else opened


def _limit(
    mix: Recording, knee: MixKnee, stretches: Sequence[Stretch], paths: Sequence[Path]
) -> Limit | None:
    found = in_service(mix, knee)
    requests, done_per_s = (0.0, 0.0) if found is None else (found.requests, found.done_per_s)
    if found is None:
        requests, done_per_s = _overrun(mix, stretches)
    if requests <= 0:
        return None
    weights = mix_of(mix.setup.workload)
    spent: dict[str, float] = {}
    alone_s = 0.0
    for path in paths:
        weight = weights.get(path.operation, 0.0)
        alone_s += weight * path.alone_s
        for each in path.exchanges:
            if not each.after:
                asked_s = weight * each.calls * each.time.mean_s
                spent[each.dependency] = spent.get(each.dependency, 0.0) + asked_s
    most = max(spent, key=lambda name: spent[name], default="")
    named = most if most and spent[most] >= MOST * alone_s else ""
    return Limit(requests=requests, dependency=named, done_per_s=done_per_s)


def _overrun(mix: Recording, stretches: Sequence[Stretch]) -> tuple[float, float]:
    """By Little's law without a knee: requests in service, and the most completed per second, where
    some stretch of the mix was missed or overrun; else nothing."""
    driven = {name for name, weight in mix_of(mix.setup.workload).items() if weight > 0}
    mixed = [s for s in stretches if set(s.responses) >= driven]
    over = [
        s for s in mixed if s.met is False or s.rate_per_s < sum(s.offered_per_s.values()) / 1.1
    ]
    if not over:
        return 0.0, 0.0
    quiet = min(mixed, key=lambda s: s.rate_per_s)
    most = max(s.rate_per_s for s in mixed)
    if most < HEADROOM_MIN * quiet.rate_per_s:
        return 0.0, 0.0
    asked = sum(quiet.offered_per_s.values())
    alone_s = sum(
        quiet.offered_per_s.get(name, 0.0) * times.mean_s for name, times in quiet.responses.items()
    )
    return most * alone_s / asked, most

"""How well a fitted model repeats what it was fitted from: the residuals of the fit."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from loadpath.model.assemble import cores_left
from loadpath.model.calibrate import load_of
from loadpath.model.network import Model
from loadpath.model.observations import Observations, Stretch
from loadpath.model.outcome import outcome

OF_THE_MIX = frozenset({"baseline", "hold", "demand"})

BELOW = 0.8
"""Up to this share of the highest rate that was kept up, response times are compared."""

ENOUGH = 200
"""So many requests of a stretch say what its mean was, ten times as many its p99."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of the mix, all operations together: measured and simulated, in seconds."""

    rate_per_s: float
    requests: int
    mean_s: tuple[float, float]
    p99_s: tuple[float, float]


def agreements(
    model: Model, observations: Observations, *, requests: int, seed: int
) -> tuple[Agreement, ...]:
    """Of each stretch that was steady and not close to the knee, others taking the cores that they
    took then."""
    driven = {name for name, weight in observations.weights.items() if weight > 0}
    mixed = [
        s
        for s in observations.stretches
        if s.steady and s.purpose in OF_THE_MIX and set(s.responses) >= driven
    ]
    top = max((s.rate_per_s for s in mixed), default=0.0)
    if observations.knee_per_s is not None:
        top = min(top, observations.knee_per_s[0])
    found = []
    taken = [s.others_cores for s in mixed if s.purpose == "hold"]
    usual = cores_left(observations.cores, float(np.median(taken)) if taken else 0.0)
    for stretch in mixed:
        if stretch.rate_per_s > BELOW * top or _count(stretch) < ENOUGH:
            continue
        # The model's own cores are those of its knee, less what it loses to overhead.
        share = cores_left(observations.cores, stretch.others_cores) / usual
        then = msgspec.structs.replace(model, cores=model.cores * share)
        drawn = outcome(then, load_of(stretch), requests=requests, seed=seed).responses_s
        own = drawn[np.isfinite(drawn)]
        count = _count(stretch)
        mean_s = sum(t.count * t.mean_s for t in stretch.responses.values()) / count
        found.append(
            Agreement(
                rate_per_s=stretch.rate_per_s,
                requests=count,
                mean_s=(mean_s, float(own.mean())),
                p99_s=(_pooled(stretch, 0.99), float(np.quantile(own, 0.99))),
            )
        )
    return tuple(found)


def misfit(
    model: Model, observations: Observations, *, requests: int, seed: int
) -> tuple[float, float]:
    """Typical logarithm of simulated ÷ measured, of mean and p99; 0 where nothing is comparable.

    The median of the absolute values, as one hold that something disturbed says nothing.
    """
    found = agreements(model, observations, requests=requests, seed=seed)
    means = [abs(math.log(a.mean_s[1] / a.mean_s[0])) for a in found if min(a.mean_s) > 0]
    slow = [
        abs(math.log(a.p99_s[1] / a.p99_s[0]))
        for a in found
        if a.requests >= 10 * ENOUGH and min(a.p99_s) > 0
    ]
    return (
        float(np.median(means)) if means else 0.0,
        float(np.median(slow)) if slow else 0.0,
    )


def _count(stretch: Stretch) -> int:
    return sum(times.count for times in stretch.responses.values())


def _pooled(stretch: Stretch, probability: float) -> float:
    """A quantile of all operations together, from what is kept of each."""
    values = np.concatenate([t.quantiles_s for t in stretch.responses.values()])
    weights = np.concatenate(
        [
            np.full(len(t.quantiles_s), t.count / len(t.quantiles_s))
            for t in stretch.responses.values()
        ]
    )
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(len(values) - 1, int(np.searchsorted(reached, probability)))])

"""Simulated requests against objectives: response times, and the rate at which they are missed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.model.demands import limits
from loadpath.model.network import Model
from loadpath.model.program import compile_model
from loadpath.model.simulate import replicated, thinking
from loadpath.model.simulated import Load, OpenRate
from loadpath.model.state import OK
from loadpath.spec import Objective

Floats = npt.NDArray[np.float64]

REPLICATIONS = 2
RATE_MAX_PER_S = 1e6

TOLERANCE = 0.004
"""A knee is placed to this share of itself."""


class Outcome(msgspec.Struct, frozen=True):
    """One entry a request: its operation, by number, and its response time; infinite where it
    failed or had not ended when the simulation did."""

    operations: npt.NDArray[np.uint8]
    responses_s: Floats


def outcome(model: Model, load: Load, *, requests: int, seed: int) -> Outcome:
    """What `requests` simulated requests came to."""
    compiled = compile_model(model, thinking(load))
    seen = replicated(
        compiled,
        load,
        requests=requests,
        seed=seed,
        replications=REPLICATIONS,
        limit_per_s=limits(model)[0].rate_per_s,
    )
    operations = np.concatenate([s.operations for s in seen])
    responses_s = np.concatenate(
        [
            np.where((s.outcomes == OK) & ~np.isnan(s.responses_s), s.responses_s, np.inf)
            for s in seen
        ]
    )
    return Outcome(operations, responses_s)


def stretch(model: Model, found: Outcome, objectives: Mapping[str, Objective]) -> float:
    """The worst quantile of the response times as multiples of their limits: above 1 it is missed.

    All operations together, each against its own limit, as `experiment/assess.py` judges a hold.
    """
    worst = 0.0
    quantiles = {q.quantile for o in objectives.values() for q in o.quantiles}
    for quantile in quantiles:
        limits = np.array([_limit_s(objectives.get(p.operation), quantile) for p in model.programs])
        of_each = limits[found.operations]
        chosen = np.isfinite(of_each)
        if chosen.any():
            each = np.sort(found.responses_s[chosen] / of_each[chosen])
            worst = max(worst, float(each[min(len(each) - 1, math.ceil(quantile * len(each)))]))
    return worst


def _limit_s(objective: Objective | None, quantile: float) -> float:
    if objective is None:
        return math.inf
    return min((q.limit_s for q in objective.quantiles if q.quantile == quantile), default=math.inf)


def knee_per_s(
    model: Model,
    objectives: Mapping[str, Objective],
    *,
    requests: int,
    seed: int,
    near: float | None = None,
    tolerance: float = TOLERANCE,
) -> float:
    """The rate of the mix (1/s) at which the objective is first missed, by bisection.

    `near`: where it is expected, which saves steps. Placed to `tolerance` of itself. 0 where even a
    single request misses it.
    """

    def missed(rate_per_s: float) -> bool:
        found = outcome(model, OpenRate(rate_per_s), requests=requests, seed=seed)
        return stretch(model, found, objectives) > 1

    bound = limits(model)[0].rate_per_s
    low, high = 0.0, bound if math.isfinite(bound) else RATE_MAX_PER_S
    bound = high
    if near is not None:
        low, high = _bracket(missed, min(near, bound), bound)
    if low == 0.0 and missed(0.001 * high):
        return 0.0
    while high - low > tolerance * high:
        middle = (low + high) / 2
        low, high = (low, middle) if missed(middle) else (middle, high)
    return (low + high) / 2


def _bracket(missed: Callable[[float], bool], near: float, bound: float) -> tuple[float, float]:
    """Two rates close to `near` of which only the higher one misses."""
    step = 1.06
    if missed(near):
        high = near
        while high > 1e-3 * bound:
            low = high / step
            if not missed(low):
                return low, high
            high, step = low, step * step
        return 0.0, high
    low = near
    while low < bound:
        high = min(bound, low * step)
        if high >= bound or missed(high):
            return low, high
        low, step = high, step * step
    return low, bound

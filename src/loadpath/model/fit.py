"""From what was observed to a model of it, and others that explain it as well.

1. Groups of threads become stations, calls seen on the wire become their visits.
2. CPU at many rates gives the demand of each operation at each station, wake-ups and shared work
   apart (`weigh.py`).
3. What is left of the response time at low load, when hardly anybody queues, is a delay, with its
   distribution (`calibrate.py`).
4. One factor on all work on the host makes the model's own knee the one that was measured.
5. The same again from resampled stretches, with the machine's speed and the knee varied as they
   were seen to vary: the draws.
"""

from __future__ import annotations

import math

import numpy as np

from loadpath.errors import InconclusiveError
from loadpath.model.agreement import misfit
from loadpath.model.network import Fitted
from loadpath.model.observations import Observations
from loadpath.model.plan import RATES_MIN, Plan, weighed
from loadpath.model.stations import SERVICE, placed_stations

DRAWS = 16

REQUESTS = 30_000
"""Simulated to calibrate the best model."""


def fit(observations: Observations, *, seed: int = 1, draws: int = DRAWS) -> Fitted:
    """Fit a model. Raises `InconclusiveError` with what to record when they do not suffice.

    Deterministic by `seed`. `draws` are made from resampled stretches.
    """
    check(observations)
    plan = Plan(observations)
    best = plan.fitted(plan.weighed, requests=REQUESTS, seed=seed)
    generator = np.random.default_rng(seed)
    drawn = tuple(plan.drawn(generator, best, seed=seed + 1 + n) for n in range(draws))
    model = plan.model(best)
    mean, p99 = misfit(model, observations, requests=REQUESTS, seed=seed)
    return Fitted(model=model, draws=drawn, mean_misfit=mean, p99_misfit=p99)


def check(observations: Observations) -> None:
    """Raises `InconclusiveError`, with what is missing, when they do not suffice for a model."""
    mixed = [
        s
        for s in weighed(observations.stretches)
        if len(s.done_per_s) == len(_driven(observations))
    ]
    rates = sorted({round(math.log(s.rate_per_s) * 5) for s in mixed})
    if len(rates) < RATES_MIN:
        raise InconclusiveError(
            f"expected CPU at {RATES_MIN} rates of the mix or more to fit a model from; got "
            f"{len(rates)}",
            advice="Record loads from today's up to the knee: loadpath ask bottleneck does.",
        )
    placed = placed_stations(observations)
    if not any(p.station.part == SERVICE for p in placed):
        raise InconclusiveError(
            "expected CPU of the service in some stretch of load; there is none",
            advice="Look at the recording's table `threads`: was the service's process metered?",
        )
    silent = [name for name in _driven(observations) if all(name not in s.responses for s in mixed)]
    if silent:
        raise InconclusiveError(
            f"expected response times of every operation; there are none of {', '.join(silent)}",
            advice="Drive the mix for longer: --duration.",
        )


def _driven(observations: Observations) -> list[str]:
    return [name for name, weight in observations.weights.items() if weight > 0]

"""When requests are due: whole schedules, drawn ahead. Pure; times are seconds from the start."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from loadpath.drive.plan import OpenLoad

Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]


def expected_arrivals(load: OpenLoad, duration_s: float) -> float:
    """The mean number of arrivals: the integral of the rate over the duration."""
    growth = _log_growth(load)
    if growth == 0:
        return load.rate_per_s * duration_s
    return load.rate_per_s * duration_s * math.expm1(growth) / growth


def open_arrivals(load: OpenLoad, duration_s: float, rng: np.random.Generator) -> Floats:
    """Every arrival of an open load, sorted, in [0, duration_s).

    A unit-rate process is drawn and carried through the inverse of the integrated rate, which makes
    it a process of that rate (time rescaling: Cinlar 1975, Introduction to Stochastic Processes,
    section 4.7). The constant process has its points where the integrated rate is a whole number.
    """
    total = expected_arrivals(load, duration_s)
    if total <= 0:
        return np.empty(0)
    if load.process == "constant":
        # Less a hair, so that 100/s over 3 s is 300 arrivals whatever the rounding.
        points = np.arange(math.ceil(total - 1e-9), dtype=np.float64)
    else:
        points = _unit_poisson(total, rng)
    growth = _log_growth(load)
    if growth == 0:
        times = points / load.rate_per_s
    else:
        times = np.log1p(points * (growth / (load.rate_per_s * duration_s))) * (duration_s / growth)
    return times[times < duration_s]


def choose_operations(weights: Sequence[float], count: int, rng: np.random.Generator) -> Indices:
    """`count` positions in `weights`, each drawn in proportion to its weight."""
    cumulative = np.cumsum(np.asarray(weights, dtype=np.float64))
    chosen: Indices = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
    # A draw may round up to the very end of the last weight.
    return np.minimum(chosen, len(weights) - 1).astype(np.intp, copy=False)


def think_times(mean_s: float, count: int, rng: np.random.Generator) -> Floats:
    """`count` exponential think times in seconds."""
    return rng.exponential(mean_s, count) if mean_s > 0 else np.zeros(count)


def _log_growth(load: OpenLoad) -> float:
    if load.end_rate_per_s is None or load.end_rate_per_s == load.rate_per_s:
        return 0.0
    return math.log(load.end_rate_per_s / load.rate_per_s)


def _unit_poisson(total: float, rng: np.random.Generator) -> Floats:
    """The points of a unit-rate Poisson process in [0, total)."""
    blocks: list[Floats] = []
    reached = 0.0
    while reached < total:
        left = total - reached
        gaps = rng.exponential(1.0, int(left + 4 * math.sqrt(left)) + 16)
        block = reached + np.cumsum(gaps)
        blocks.append(block)
        reached = float(block[-1])
    points = np.concatenate(blocks)
    return points[points < total]

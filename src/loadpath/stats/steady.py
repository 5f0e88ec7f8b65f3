"""Steady state: what to leave out at the start, and whether a queue still grew at the end."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr

from loadpath.stats.batches import BATCHES, batch_means, lag1_correlation
from loadpath.stats.quantiles import Floats


class Truncation(msgspec.Struct, frozen=True):
    """How many values to leave out at the start. `settled` False: no part looked steady."""

    index: int
    settled: bool


class Trend(msgspec.Struct, frozen=True):
    """Whether a series rose or fell.

    `change` is how much, from its beginning to its end, in its unit; `change_ratio` against its
    median; `p_value` how likely a steady series looks like that or more so (both directions).
    """

    change: float
    change_ratio: float
    p_value: float


def warmup(values: npt.ArrayLike, batch: int = 5) -> Truncation:
    """How many values at the start are warm-up: MSER-5 (White 1997; White, Cobb & Spratt 2000).

    It leaves out what makes the standard error of the rest's mean smallest, in means of `batch`
    values each. Only the first half is searched: a minimum at its very end means that the series
    was still settling. Raises `ValueError` for fewer than 4 batches.
    """
    array = np.asarray(values, dtype=np.float64)
    count = len(array) // batch
    if count < 4:
        raise ValueError(f"{len(array)} values are too few: MSER-{batch} needs {4 * batch}")
    means = array[: count * batch].reshape(count, batch).mean(axis=1)
    # Sums over the tails, from the centered series: no digits are lost to a large mean.
    centered = means - means.mean()
    left = np.arange(count, 0, -1)
    tail_sum = np.cumsum(centered[::-1])[::-1]
    tail_squares = np.cumsum((centered**2)[::-1])[::-1]
    standard_error = (tail_squares - tail_sum**2 / left) / left**2
    searched = standard_error[: count // 2 + 1]
    best = int(np.argmin(searched))
    return Truncation(best * batch, best < len(searched) - 1)


def trend(values: npt.ArrayLike) -> Trend:
    """Mann and Kendall's test of a series in order (Mann 1945), with Sen's slope (Sen 1968).

    It uses ranks and medians alone, so neither skew nor single spikes disturb it. It takes values
    as independent: give it means over bins that are long against the queue's memory; what
    correlation is left widens its variance as for an AR(1) series. Raises `ValueError` for fewer
    than 4 values or any that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    count = len(array)
    if count < 4 or not np.isfinite(array).all():
        raise ValueError("a trend needs at least 4 finite values")
    later, earlier = np.triu_indices(count, 1)[::-1]
    difference = array[later] - array[earlier]
    score = float(np.sign(difference).sum())
    slope = float(np.median(difference / (later - earlier)))
    variance = count * (count - 1) * (2 * count + 5) / 18 - _ties(array)
    rest = array - slope * np.arange(count)
    memory = min(max(lag1_correlation(rest), 0.0), 0.9)
    variance *= (1 + memory) / (1 - memory)
    z = 0.0 if variance <= 0 else math.copysign(max(abs(score) - 1, 0.0), score) / variance**0.5
    middle = float(np.median(array))
    change = slope * (count - 1)
    ratio = change / abs(middle) if middle else math.copysign(math.inf, change) if change else 0.0
    return Trend(change, ratio, min(1.0, 2 * float(ndtr(-abs(z)))))


def is_drifting(
    values: npt.ArrayLike,
    *,
    smallest_ratio: float = 0.25,
    significance: float = 0.01,
    batches: int = BATCHES,
) -> bool:
    """Whether a series in order was still rising or falling: both surely and by much.

    Of response times or of requests in flight that means a queue that grows: the load is above
    what the service can carry however good the quantiles look so far. A change that is certain but
    below `smallest_ratio` of the median does not count; nor does a large one that may be chance.
    Values that are not finite (requests that never finished) count as the largest that is; when
    they are more than a tenth, nothing was steady.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 4:
        return False
    finite = array[np.isfinite(array)]
    if len(finite) < 0.9 * len(array):
        return True
    bounded: Floats = np.where(np.isfinite(array), array, finite.max())
    means = batch_means(bounded, min(batches, len(bounded)))
    found = trend(means)
    # Two tests share the risk: one sees a slope in noise, the other a random walk with a drift,
    # which is what an overloaded queue is and what looks like mere correlation to the first.
    p_value = 2 * min(found.p_value, _steps_p_value(means))
    return p_value <= significance and abs(found.change_ratio) >= smallest_ratio


def _steps_p_value(values: Floats) -> float:
    """How likely steps of mean 0 look like these or more so (Student's t, both directions)."""
    steps = np.diff(values)
    error = float(steps.std(ddof=1)) / math.sqrt(len(steps))
    if error == 0:
        return 0.0 if steps[0] else 1.0
    return 2 * float(stdtr(len(steps) - 1, -abs(float(steps.mean())) / error))


def _ties(values: Floats) -> float:
    """What equal values take from the variance of Kendall's score."""
    _, sizes = np.unique(values, return_counts=True)
    return float((sizes * (sizes - 1) * (2 * sizes + 5)).sum()) / 18

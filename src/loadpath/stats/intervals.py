"""Confidence intervals, each named by how it was made.

For response times of one stretch of load, which are serially correlated, use
`response_quantile_interval` and `correlated_ratio_interval`; the others hold for independent
observations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrc

from loadpath.answer import Interval
from loadpath.stats.batches import (
    BATCHES,
    BATCHINGS,
    batch_edges,
    design_effect,
    normal_critical,
    student_critical,
)
from loadpath.stats.quantiles import Floats, quantile, rank, with_missing_slowest


def ratio_interval(hits: int, count: int, confidence: float = 0.95) -> Interval:
    """A share `hits / count` of independent events: Wilson's score interval (Wilson 1927).

    It keeps its confidence for few events and for shares near 0, where the usual ± does not.
    With no events at all it is [0, 1].
    """
    if not 0 <= hits <= count:
        raise ValueError(f"{hits} hits of {count}")
    share = hits / count if count else 0.0
    low, high = _wilson(share, count, normal_critical(confidence))
    return Interval(share, low, high, confidence, "Wilson", count)


def correlated_ratio_interval(flags: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """A share of events that come in clumps; `flags` (0 or 1) in the order observed.

    Wilson's interval for the number of independent events that carry the same information: the
    count divided by the design effect, with Student's t for the batches it was judged by (Korn &
    Graubard 1998, who do so to Clopper and Pearson's). That number is `samples`. Close to
    `ratio_interval` when events are independent.
    """
    array = np.asarray(flags, dtype=np.float64)
    count = len(array)
    if count == 0:
        return ratio_interval(0, 0, confidence)
    share = float(array.mean())
    independent = count / design_effect(array)
    low, high = _wilson(share, independent, _batched_critical(count, confidence))
    return Interval(share, low, high, confidence, "Wilson, batched", round(independent))


def clustered_ratio_interval(
    flags: npt.ArrayLike, clusters: npt.ArrayLike, confidence: float = 0.95
) -> Interval:
    """A share of events that share their fate within clusters and come in clumps over time.

    `flags` (0 or 1) in the order observed, `clusters` the id of each one's cluster. Wilson's
    interval for the number of independent events that carry the same information: the count divided
    by the larger of two design effects, that of the clusters (the linearized variance of a ratio,
    Cochran 1977, 9A) and that of time, as `correlated_ratio_interval` has it. Where all flags are
    equal no spread can be seen, and each cluster counts as one event.
    """
    array = np.asarray(flags, dtype=np.float64)
    count = len(array)
    if count == 0:
        return ratio_interval(0, 0, confidence)
    share = float(array.mean())
    _, places = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(places)
    number = len(sizes)
    if share in (0.0, 1.0):
        independent = float(number)
    elif number == 1:
        independent = 1.0
    else:
        spread = np.bincount(places, weights=array) - share * sizes
        squared = float((spread**2).sum()) * number / (number - 1)
        of_clusters = squared / (count * share * (1 - share))
        independent = count / max(1.0, of_clusters, design_effect(array))
    critical = student_critical(confidence, max(1, min(*BATCHINGS, number) - 1))
    low, high = _wilson(share, independent, critical)
    return Interval(share, low, high, confidence, "Wilson, clustered", round(independent))


def mean_interval(values: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean of independent values: Student's t (1908). Infinite with a single one.

    Raises `ValueError` for none.
    """
    array = np.asarray(values, dtype=np.float64)
    count = len(array)
    if count == 0:
        raise ValueError("a mean of no values")
    mean = float(array.mean())
    half = math.inf
    if count > 1:
        half = student_critical(confidence, count - 1) * float(array.std(ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, confidence, "Student t", count)


def ratio_of_pairs_interval(
    baseline: Sequence[float], treatment: Sequence[float], confidence: float = 0.95
) -> Interval:
    """treatment ÷ baseline, measured in pairs: Student's t on the logarithms of the ratios.

    On the logarithm a halving and a doubling weigh the same, and the interval stays above 0. The
    value is the geometric mean. Raises `ValueError` unless all are positive and come in pairs.
    """
    if len(baseline) != len(treatment):
        raise ValueError(f"{len(baseline)} baselines for {len(treatment)} treatments")
    if min(*baseline, *treatment, math.inf) <= 0:
        raise ValueError("a ratio needs values above 0")
    of_logs = mean_interval(np.log(np.asarray(treatment) / np.asarray(baseline)), confidence)
    with np.errstate(over="ignore"):
        value, low, high = (float(np.exp(x)) for x in (of_logs.value, of_logs.low, of_logs.high))
    return Interval(value, low, high, confidence, "paired log ratio, Student t", len(baseline))


def quantile_interval(values: npt.ArrayLike, q: float, confidence: float = 0.95) -> Interval:
    """A quantile of independent values of any distribution, by order statistics.

    How many of n independent values lie below the true quantile is binomial(n, q), whatever the
    distribution, so two order statistics bound it (David & Nagaraja 2003, 7.1). With too few
    values beyond the quantile its upper bound is infinite; the lower one is at least the smallest
    value possible, taken as 0 (these are times) unless values are negative.
    """
    ordered = np.sort(with_missing_slowest(values))
    count = len(ordered)
    if count == 0:
        raise ValueError("a quantile of no values")
    low, high = _bounding_ranks(count, q, (1 - confidence) / 2)
    return Interval(
        float(ordered[rank(count, q) - 1]),
        float(ordered[low - 1]) if low >= 1 else _floor(ordered),
        float(ordered[high - 1]) if high <= count else math.inf,
        confidence,
        "order statistics",
        count,
    )


def sectioned_quantile_interval(
    values: npt.ArrayLike, q: float, confidence: float = 0.95, batches: int = BATCHES
) -> Interval:
    """A quantile of correlated values, in the order observed, by sectioning.

    The spread of the batches' own quantiles about that of the whole gives the standard error
    (Asmussen & Glynn 2007, III.5a; Nakayama 2014). Symmetric, so unfit for a quantile near the edge
    of saturation, whose distribution is not. Raises `ValueError` for fewer values than batches.
    """
    array = with_missing_slowest(values)
    whole = quantile(array, q)
    edges = batch_edges(len(array), batches)
    of_batches = np.array([quantile(array[a:b], q) for a, b in pairwise(edges)])
    half = math.inf
    if np.isfinite(of_batches).all() and batches > 1:
        squared = float(((of_batches - whole) ** 2).sum()) / (batches - 1)
        half = student_critical(confidence, batches - 1) * math.sqrt(squared / batches)
    low = max(whole - half, _floor(array)) if math.isfinite(whole) else _floor(array)
    return Interval(whole, low, whole + half, confidence, f"sectioning, {batches} batches", batches)


def response_quantile_interval(
    values: npt.ArrayLike, q: float, confidence: float = 0.95
) -> Interval:
    """A quantile of correlated values, in the order observed, by inverting the share below it.

    The interval of the share of values below the sample's quantile, widened for correlation by
    batches, is carried over to the values at its ends (Woodruff 1952). It needs no density, follows
    the skew of the distribution and is not thrown off by values that are infinite. `samples` is
    the number of independent values that carry the same information.

    It can only know what the stretch contained. Of 95 % intervals for the p99 of an M/M/1 queue,
    93 % held at half load with 4,000 responses, 88 % at 80 % load with 20,000; with 4,000 there,
    some 25 times the memory of the queue, 63 %. So a knee is not decided by one stretch.
    """
    array = with_missing_slowest(values)
    whole = quantile(array, q)
    ordered = np.sort(array)
    count = len(array)
    independent = count / design_effect(array <= whole)
    low_share, high_share = _wilson(q, independent, _batched_critical(count, confidence))
    # One rank further up: the value at the upper share must itself lie above it.
    low, high = math.floor(count * low_share), math.ceil(count * high_share) + 1
    return Interval(
        whole,
        float(ordered[low - 1]) if low >= 1 else _floor(array),
        float(ordered[high - 1]) if high <= count else math.inf,
        confidence,
        "Woodruff, batched",
        round(independent),
    )


def _batched_critical(count: int, confidence: float) -> float:
    """Student's t for the smallest number of batches that the design effect was judged by."""
    return student_critical(confidence, min(*BATCHINGS, count) - 1)


def _wilson(share: float, count: float, z: float) -> tuple[float, float]:
    """Wilson's bounds of a share of `count` independent events, `z` standard errors either side."""
    if count <= 0 or math.isinf(z):
        return 0.0, 1.0
    shrink = 1 + z * z / count
    center = (share + z * z / (2 * count)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    # At the ends the formula gives exactly 0 and 1 but for rounding.
    low = 0.0 if share == 0 else max(0.0, center - half)
    high = 1.0 if share == 1 else min(1.0, center + half)
    return low, high


def _bounding_ranks(count: int, q: float, tail: float) -> tuple[int, int]:
    """The closest order statistics that miss the quantile with a probability of `tail` each.

    0 and `count` + 1 stand for none.
    """
    reach = 12 * math.sqrt(count * q * (1 - q)) + 12
    ranks = np.arange(max(1, int(count * q - reach)), min(count, int(count * q + reach)) + 1)
    low = ranks[bdtr(ranks - 1, count, q) <= tail]
    high = ranks[bdtrc(ranks - 1, count, q) <= tail]
    return (int(low[-1]) if len(low) else 0), (int(high[0]) if len(high) else count + 1)


def _floor(values: Floats) -> float:
    """What no value can be below: 0 for times, nothing for values that may be negative."""
    return 0.0 if float(values.min()) >= 0 else -math.inf

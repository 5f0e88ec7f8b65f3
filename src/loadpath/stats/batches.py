"""Batches: cutting a series that remembers itself into pieces that (nearly) do not.

Response times of one stretch of load are serially correlated: a queue that is long now is long a
moment later. Treating them as independent makes every interval too narrow: of 95 % intervals for
the p99 of 4,000 response times of an M/M/1 queue, 57 % held at half load and 17 % at 80 % load.
Means over batches that are long against the memory of the queue are nearly independent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from loadpath.stats.quantiles import Floats

BATCHES = 20
"""Batches unless told otherwise: Schmeiser (1982) finds 10 to 30 best, however long the series."""

BATCHINGS = (8, 16, 32)
"""Numbers of batches tried where the memory of the series is unknown; the worst case counts."""


def batch_means(values: npt.ArrayLike, batches: int = BATCHES) -> Floats:
    """Means of `batches` consecutive pieces of nearly equal length, in order.

    Raises `ValueError` when there are fewer values than batches.
    """
    array = np.asarray(values, dtype=np.float64)
    edges = batch_edges(len(array), batches)
    return np.asarray(np.add.reduceat(array, edges[:-1]) / np.diff(edges))


def batch_edges(count: int, batches: int) -> npt.NDArray[np.int64]:
    """Where consecutive pieces of nearly equal length begin and, last, where they end."""
    if batches < 1 or count < batches:
        raise ValueError(f"{count} values cannot be cut into {batches} batches")
    return np.linspace(0, count, batches + 1).astype(np.int64)


def design_effect(flags: npt.ArrayLike, batchings: Sequence[int] = BATCHINGS) -> float:
    """How many times wider correlation makes the variance of a share; 1 for independent flags.

    `flags` are 0 or 1 in the order observed. It is the variance of the batches' shares against that
    of independent flags (Kish 1965); of several numbers of batches the one with the largest counts,
    since batches shorter than the memory of the series see too little of it. Never below 1:
    chance alone must not narrow an interval. More batches than flags are not tried.
    """
    array = np.asarray(flags, dtype=np.float64)
    share = float(array.mean())
    if share in {0.0, 1.0}:
        return 1.0
    effects = [
        float(batch_means(array, batches).var(ddof=1)) * len(array) / batches
        for batches in batchings
        if 2 <= batches <= len(array)
    ]
    return max([1.0, *(effect / (share * (1 - share)) for effect in effects)])


def lag1_correlation(values: npt.ArrayLike) -> float:
    """Correlation of a series with itself one step later; 0 when it does not vary."""
    array = np.asarray(values, dtype=np.float64)
    deviation = array - array.mean()
    variance = float(deviation @ deviation)
    return float(deviation[1:] @ deviation[:-1]) / variance if variance > 0 else 0.0


def normal_critical(confidence: float) -> float:
    """The normal deviate that `confidence` of the distribution lies within, both sides."""
    return float(ndtri((1 + _checked(confidence)) / 2))


def student_critical(confidence: float, degrees: float) -> float:
    """The same for Student's t with so many degrees of freedom; infinite for none."""
    if degrees <= 0:
        return float("inf")
    return float(stdtrit(degrees, (1 + _checked(confidence)) / 2))


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
    return confidence

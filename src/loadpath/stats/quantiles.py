"""Sample quantiles, exact: always an observation, never an interpolation.

A request that never finished is slower than every one that did: NaN counts as +inf, so a quantile
beyond which requests are missing is infinite rather than invented.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]


def quantile(values: npt.ArrayLike, q: float) -> float:
    """The smallest observation that at least a share `q` of the sample does not exceed.

    That is the inverse of the empirical distribution function: type 1 of Hyndman & Fan (1996).
    The result has the unit of `values`. Raises `ValueError` for an empty sample or q outside
    [0, 1].
    """
    return float(quantiles(values, (q,))[0])


def quantiles(values: npt.ArrayLike, qs: Sequence[float]) -> Floats:
    """Several quantiles at once, in the order asked, by one partial sort; else as `quantile`."""
    ordered = with_missing_slowest(values)
    if len(ordered) == 0:
        raise ValueError("a quantile of no values")
    ranks = np.array([rank(len(ordered), q) for q in qs], dtype=np.int64) - 1
    if len(ranks) == 0:
        return np.empty(0)
    return np.asarray(np.partition(ordered, np.unique(ranks))[ranks])


def rank(count: int, q: float) -> int:
    """Which of `count` ordered observations, from 1, is the quantile `q`."""
    if not 0 <= q <= 1:
        raise ValueError(f"a quantile lies in [0, 1], not at {q}")
    # 0.07 × 100 is 7.000000000000001 in binary: without the allowance that would be rank 8.
    return min(max(math.ceil(count * q * (1 - 1e-12)), 1), count)


def with_missing_slowest(values: npt.ArrayLike) -> Floats:
    """The values as floats, one dimension, NaN (never happened) replaced by +inf."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return np.where(np.isnan(array), np.inf, array)

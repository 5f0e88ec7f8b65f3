"""How work grows with the data: the exponent in work ∝ data^exponent, from pages touched.

Pages, not seconds: on growing tables pages gave 0.99–1.00 for scans and 0.00–0.12 for lookups,
seconds anything between −0.3 and 1.3. Pages below `FLOOR_PAGES` count as that many, since a tree
that gets one level more would look like growth otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from loadpath.answer import Interval

Growing: TypeAlias = Literal["lookup", "log", "linear", "worse"]

FLOOR_PAGES: Final = 8.0
FLOOR_ROWS: Final = 4.0

LOOKUP_MAX: Final = 0.1
LOG_MAX: Final = 0.4
LINEAR_MAX: Final = 1.25

_DRAWS: Final = 400
_CONFIDENCE: Final = 0.9


def exponent(
    work: Mapping[int, Sequence[float]], weights: Sequence[float], *, floor: float = FLOOR_PAGES
) -> Interval | None:
    """The slope of log work over log size, with an interval.

    `work` maps a size (1 is today's) to the work of each set of parameters, nan where it is not
    known; `weights` say how often each set was asked for. The slope is that of the weighted mean
    work by least squares. The interval is the bootstrap's over the sets (Efron 1979), and never
    narrower than the slopes between neighboring sizes. None with fewer than two sizes.
    """
    sizes = sorted(work)
    table = np.array([work[size] for size in sizes], float).reshape(len(sizes), -1)
    known = ~np.isnan(table).any(axis=0)
    if len(sizes) < 2 or not known.any():
        return None
    table = np.maximum(table[:, known], floor)
    shares = np.asarray(weights, float)[known]
    logs = np.log(sizes)
    value = float(_slopes(logs, (table @ shares / shares.sum())[:, None])[0])
    steps = np.diff(np.log(table @ shares / shares.sum())) / np.diff(logs)
    low, high = float(min(steps.min(), value)), float(max(steps.max(), value))
    count = table.shape[1]
    if count > 1:
        drawn = np.random.default_rng(1).integers(0, count, (_DRAWS, count))
        weighted = table[:, drawn] * shares[drawn]
        means = weighted.sum(axis=2) / shares[drawn].sum(axis=1)
        slopes = _slopes(logs, means)
        tail = (1 - _CONFIDENCE) / 2
        low = min(low, float(np.quantile(slopes, tail)))
        high = max(high, float(np.quantile(slopes, 1 - tail)))
    return Interval(value, low, high, _CONFIDENCE, "bootstrap over parameter sets", count)


def growing(value: float) -> Growing:
    """The class of an exponent."""
    if value <= LOOKUP_MAX:
        return "lookup"
    if value <= LOG_MAX:
        return "log"
    return "linear" if value <= LINEAR_MAX else "worse"


def _slopes(
    logs: npt.NDArray[np.float64], work: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    centered = logs - logs.mean()
    found: npt.NDArray[np.float64] = centered @ np.log(work) / (centered @ centered)
    return found

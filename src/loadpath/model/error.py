"""How far off a model is that fits: what its draws cannot know. Found on the tuning set alone.

The tuning set and what was found on it: docs/explanation/model.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from loadpath.answer import Interval

CONFIDENCE = 0.9
"""Every interval of a prediction holds the truth with this probability."""

NORMAL = 1.645
"""Standard deviations on either side of the middle for that."""

CAPACITY = 0.05
RATIO, RATIO_EACH = 0.02, 0.12
"""Standard deviation of the logarithm of a capacity, and of after ÷ before: so much, and so much of
the logarithm of that ratio, since what changes much is extrapolated far."""

MEAN, P99 = 0.05, 0.10
"""The same of response times, beside how far the model is off what it was fitted from; a change
adds what it adds to the ratio."""


HALF_MAX = math.log(10)
"""An interval reaches to a tenth and to ten times at most: beyond, the model knows nothing, and the
figures would only say how it goes astray."""


def interval(
    value: float, drawn: Sequence[float], error: float, *, method: str = "draws and model error"
) -> Interval:
    """Of a positive figure: the spread of the draws around it, and the model's own error."""
    known = [each for each in drawn if each > 0 and math.isfinite(each)]
    if value <= 0 or not math.isfinite(value):
        return Interval(value, 0.0, math.inf, CONFIDENCE, method, len(known))
    spread = 0.0
    if len(known) > 1:
        # A few draws that went astray say less than the middle ones.
        low, high = np.quantile(np.log(known), (0.1, 0.9))
        spread = float(high - low) / 2 / 1.2816
    half = min(HALF_MAX, NORMAL * math.hypot(spread, error))
    return Interval(
        value, value * math.exp(-half), value * math.exp(half), CONFIDENCE, method, len(known)
    )


def ratio_error(ratio: float) -> float:
    """Of after ÷ before."""
    if ratio <= 0 or not math.isfinite(ratio):
        return RATIO
    return math.hypot(RATIO, RATIO_EACH * math.log(ratio))

"""From what was observed to a model of it, and others that explain it as well."""

from __future__ import annotations

from loadpath.model.network import Fitted
from loadpath.model.observations import Observations


def fit(observations: Observations, *, seed: int = 1) -> Fitted:
    """Fit a model. Raises `InconclusiveError` with what to record when they do not suffice."""
    raise NotImplementedError

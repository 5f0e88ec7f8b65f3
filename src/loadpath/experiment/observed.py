"""What a model is fitted from, out of recordings. Pure: reads recordings, drives nothing."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.model.observations import Observations
from loadpath.recording import Recording


def observations_of(recordings: Sequence[Recording]) -> Observations:
    """Put together what the recordings of one service saw: `mix` and, where there is one, `traced`.

    Raises `InconclusiveError` when they do not hold what a model needs.
    """
    raise NotImplementedError

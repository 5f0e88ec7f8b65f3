"""Record what a model is fitted from, and no more: the recordings `mix` and `traced`."""

from __future__ import annotations

from loadpath.experiment.depth import Depth
from loadpath.experiment.session import Session
from loadpath.spec import Setup


async def record_for_model(session: Session, setup: Setup, depth: Depth) -> None:
    """Record into the session's run; `observations_of` reads it."""
    raise NotImplementedError

"""From what was observed to a model of it, and others that explain it as well.

1. Groups of threads become stations, calls seen on the wire become their visits.
2. CPU at many rates gives the demand of each operation at each station, wake-ups and shared work
   apart (`demand.py`).
3. What is left of the response time at low load, when hardly anybody queues, is a delay, with its
   distribution (`calibrate.py`).
4. One factor on all work on the host makes the model's own knee the one that was measured.
5. The same again from resampled stretches, with the machine's speed and the knee varied as they
   were seen to vary: the draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from loadpath.errors import InconclusiveError
from loadpath.model.demand import Demands, Sample, law
from loadpath.model.network import Fitted, Law, Model, Pool, Station
from loadpath.model.observations import Observations, Path, Stretch
from loadpath.model.stations import ENGINE, SERVICE, Placed, placed_stations
from loadpath.model.structure import Layout, aside, layout_of, program, visits

RATES_MIN = 3
"""CPU at fewer rates of the mix than this does not tell work from wake-ups."""

KEPT_UP = 0.9
"""A stretch that completed less than this share of what was offered is not weighed."""

DRAWS = 24

Residuals = Mapping[str, Law]


def fit(observations: Observations, *, seed: int = 1, draws: int = DRAWS) -> Fitted:
    """Fit a model. Raises `InconclusiveError` with what to record when they do not suffice."""
    check(observations)
    raise NotImplementedError


def check(observations: Observations) -> None:
    """Raises `InconclusiveError` when a model cannot be fitted from them, and says what is missing."""
    mixed = [s for s in weighed(observations.stretches) if len(s.done_per_s) == len(_driven(observations))]
    rates = sorted({round(np.log(s.rate_per_s) * 5) for s in mixed})
    if len(rates) < RATES_MIN:
        raise InconclusiveError(
            f"expected CPU at {RATES_MIN} rates of the mix or more to fit a model from; got "
            f"{len(rates)}",
            advice="Record loads from today's up to the knee: loadpath ask bottleneck does.",
        )
    placed = placed_stations(observations)
    if not any(p.station.part == SERVICE for p in placed):
        raise InconclusiveError(
            "expected CPU of the service in some stretch of load; there is none",
            advice="Look at the recording's table `threads`: was the service's process metered?",
        )
    silent = [name for name in _driven(observations) if all(name not in s.responses for s in mixed)]
    if silent:
        raise InconclusiveError(
            f"expected response times of every operation; there are none of {', '.join(silent)}",
            advice="Drive the mix for longer: --duration.",
        )


def _driven(observations: Observations) -> list[str]:
    return [name for name, weight in observations.weights.items() if weight > 0]


def weighed(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Those whose CPU tells demands: some work, and no queue that grew."""
    return [
        s
        for s in stretches
        if s.rate_per_s > 0 and s.rate_per_s >= KEPT_UP * sum(s.offered_per_s.values())
    ]

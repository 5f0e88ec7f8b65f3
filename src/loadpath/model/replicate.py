"""One replication: a seed, a load, a window after the warm-up; what was seen in it, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadpath.model.kernel import CROWDED, DONE, STUCK, USERS, run
from loadpath.model.program import Compiled, Floats
from loadpath.model.state import UNENDED, fresh_state
from loadpath.model.tokens import Text
from loadpath.model.window import (
    CLOSED,
    ENDED_BADLY,
    ENDED_WELL,
    GROWTH,
    IN_SYSTEM_S,
    OPENED,
    Window,
)

TOKENS_MAX = 1 << 16
"""Requests, tries and background work in the system at once, beyond which it is overloaded."""


@dataclass(frozen=True)
class Seen:
    """The window of one replication. Sums over time are already means.

    `responses_s` and `outcomes` in order of arrival, the latter `state.OK` and so on; `stations`
    has rows of jobs, busy servers, cores' worth of CPU; `pools` of held, waiting; `growth` is how
    many more tokens there were at its end than at its beginning.
    """

    responses_s: Floats
    outcomes: npt.NDArray[np.uint8]
    operations: npt.NDArray[np.uint8]
    duration_s: float
    ended_well_per_s: float
    ended_badly_per_s: float
    in_system: float
    stations: Floats
    visits_per_s: Floats
    pools: Floats
    grants_per_s: Floats
    growth: float
    crowded: bool
    stuck: bool


def replicate(
    compiled: Compiled, arrivals: int, rate: float, *, warm: int, count: int, seed: tuple[int, ...]
) -> Seen:
    """Run the kernel once: `rate` in requests per second, or users. Same seed, same draws."""
    stations, pools = len(compiled.servers), len(compiled.sizes)
    window = Window(
        responses=np.empty(count),
        outcomes=np.full(count, UNENDED, dtype=np.uint8),
        operations=np.zeros(count, dtype=np.uint8),
        clock=np.zeros(6),
        clocks=np.zeros((stations, 3)),
        waits=np.zeros((pools, 2)),
        visits=np.zeros(stations, dtype=np.int64),
        grants=np.zeros(pools, dtype=np.int64),
    )
    text = Text(
        compiled.code,
        compiled.numbers.copy(),  # the kernel counts in it
        compiled.values,
        compiled.extras_s,
        compiled.starts,
        compiled.shares,
    )
    entropy = np.random.SeedSequence(seed)
    # The last two streams are those of arrivals and of the mix, whatever the program's length.
    others = entropy.generate_state(len(compiled.code) + 2, np.uint64)
    streams = np.concatenate([others[2:], others[:2]])
    ended = run(
        text,
        fresh_state(compiled, TOKENS_MAX + (int(rate) if arrivals == USERS else 0)),
        window,
        streams,
        compiled.cores,
        arrivals,
        float(rate),
        warm,
    )
    assert ended in {DONE, CROWDED, STUCK}
    duration_s = float(window.clock[CLOSED] - window.clock[OPENED])
    over = 1 / duration_s if duration_s > 0 else 0.0
    return Seen(
        responses_s=window.responses,
        outcomes=window.outcomes,
        operations=window.operations,
        duration_s=duration_s,
        ended_well_per_s=float(window.clock[ENDED_WELL]) * over,
        ended_badly_per_s=float(window.clock[ENDED_BADLY]) * over,
        in_system=float(window.clock[IN_SYSTEM_S]) * over,
        stations=window.clocks * over,
        visits_per_s=window.visits.astype(np.float64) * over,
        pools=window.waits * over,
        grants_per_s=window.grants.astype(np.float64) * over,
        growth=float(window.clock[GROWTH]),
        crowded=ended == CROWDED,
        stuck=ended == STUCK,
    )

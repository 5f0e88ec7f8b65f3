"""What the kernel writes down: the requests of a window, and sums over the time that it is open."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import loadpath.model.state as c
from loadpath.model.jit import called
from loadpath.model.program import Floats, Ints
from loadpath.model.state import State
from loadpath.model.visits import account, account_pool

# Slots of `clock`: when the window was opened and closed, requests ended in it well and badly, the
# area under the number of requests in the system, how many more tokens there were at the end of it.
OPENED, CLOSED, ENDED_WELL, ENDED_BADLY, IN_SYSTEM_S, GROWTH = range(6)


class Window(NamedTuple):
    """What is observed: responses (s) and outcomes of `len(responses)` requests; sums over time."""

    responses: Floats
    outcomes: npt.NDArray[np.uint8]
    operations: npt.NDArray[np.uint8]
    clock: Floats
    clocks: Floats
    waits: Floats
    visits: Ints
    grants: Ints


@called
def open_window(state: State, window: Window, now: float, host: float) -> None:
    for s in range(len(state.stations)):
        account(state, s, now, host)
        state.clocks[s, c.JOB_S] = state.clocks[s, c.BUSY_S] = state.clocks[s, c.CPU_S] = 0.0
        state.stations[s, c.VISITS] = 0
    for p in range(len(state.pools)):
        account_pool(state, p, now)
        state.waits[p, c.HELD_S] = state.waits[p, c.WAITING_S] = 0.0
        state.pools[p, c.GRANTS] = 0
    window.clock[OPENED] = now
    window.clock[GROWTH] = state.counters[c.LIVE]


@called
def close_window(state: State, window: Window, now: float, host: float) -> None:
    window.clock[CLOSED] = now
    window.clock[GROWTH] = state.counters[c.LIVE] - window.clock[GROWTH]
    for s in range(len(state.stations)):
        account(state, s, now, host)
        window.visits[s] = state.stations[s, c.VISITS]
        for k in range(3):
            window.clocks[s, k] = state.clocks[s, k]
    for p in range(len(state.pools)):
        account_pool(state, p, now)
        window.grants[p] = state.pools[p, c.GRANTS]
        for k in range(2):
            window.waits[p, k] = state.waits[p, k]

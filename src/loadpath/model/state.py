"""What the kernel has in hand while it runs: tokens, heaps, stations and pools, in flat arrays.

A token is a request, one try of an attempt, or work that a request has begun and does not wait for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loadpath.model.heap import Int32s
from loadpath.model.program import Compiled, Floats, Ints

# Columns of `tokens`.
PC, KIND, PARENT, CHILD, TRIES, NEXT, PREVIOUS, INDEX, OPERATION, STATUS, GIVEN_UP = range(11)
REQUEST, TRY, SPAWNED = range(3)
"""Kinds of token."""
OK, NO_SLOT, TIMED_OUT, UNENDED = range(4)
"""How a request ended: well, without a slot of a pool, without a reply in time, or not yet."""

# Columns of `times`: when the request began, and the work of the visit under way.
BEGAN, WORK = range(2)

# Columns of `stations`.
JOBS, BUSY, SERVERS, HEAP, HOST, HEAD, TAIL, PS, VISITS = range(9)
# Columns of `clocks`: three areas, when they were last added to (real and host time), and a shared
# station's own clock: its time, when that was read, its speed, when its next job ends.
# PAID: until when the work that a station's jobs share is paid for.
JOB_S, BUSY_S, CPU_S, LAST, LAST_HOST, OWN, OWN_LAST, SPEED, ENDS, PAID = range(10)

# Columns of `pools` and of `waits`.
FREE, FIRST_WAITING, LAST_WAITING, WAITING, SIZE, GRANTS = range(6)
HELD_S, WAITING_S, POOL_LAST = range(3)

REAL, HOST_TIME, OWN_TIME = 0, 1, 2
"""Heaps: of real time, of the host's time, and from the third on one for each shared station."""

# Slots of `counters`.
FREE_TOKEN, FRESH_TOKEN, HOST_BUSY, READY_FIRST, READY_LAST, LIVE = range(6)


class State(NamedTuple):
    """See the columns above; `keys`, `items`, `sizes` and `places` are the heaps'."""

    tokens: Int32s
    times: Floats
    keys: Floats
    items: Int32s
    sizes: Int32s
    places: Int32s
    stations: Ints
    clocks: Floats
    pools: Ints
    waits: Floats
    counters: Ints


def fresh_state(compiled: Compiled, tokens: int) -> State:
    """An empty system with room for that many tokens."""
    count = len(compiled.servers)
    shared = np.flatnonzero(compiled.shared)
    stations = np.zeros((count, 9), dtype=np.int64)
    stations[:, SERVERS] = compiled.servers
    stations[:, HOST] = compiled.on_host
    stations[:, HEAP] = compiled.on_host
    stations[:, PS] = compiled.shared
    stations[shared, HEAP] = OWN_TIME + np.arange(len(shared))
    stations[:, HEAD] = stations[:, TAIL] = -1
    clocks = np.zeros((count, 10))
    clocks[:, SPEED] = 1.0
    clocks[:, ENDS] = np.inf
    pools = np.zeros((len(compiled.sizes), 6), dtype=np.int64)
    pools[:, FREE] = pools[:, SIZE] = compiled.sizes
    pools[:, FIRST_WAITING] = pools[:, LAST_WAITING] = -1
    heaps = OWN_TIME + len(shared)
    return State(
        tokens=np.empty((tokens, 16), dtype=np.int32),
        times=np.empty((tokens, 2)),
        keys=np.empty((heaps, tokens)),
        items=np.empty((heaps, tokens), dtype=np.int32),
        sizes=np.zeros(heaps, dtype=np.int32),
        places=np.empty(tokens, dtype=np.int32),
        stations=stations,
        clocks=clocks,
        pools=pools,
        waits=np.zeros((len(compiled.sizes), 3)),
        counters=np.array([-1, 0, 0, -1, -1, 0], dtype=np.int64),
    )

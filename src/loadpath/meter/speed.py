"""How fast the machine is just now: CPU time of a fixed piece of work.

A virtual machine shares its hardware with others that it cannot see. When they slow it down, no
process inside shows it and no time is reported stolen: everything merely takes more CPU time.
"""

from __future__ import annotations

import time

ROUNDS = 40_000
TRIES = 5
PAUSE_S = 0.01


def fixed_work_s() -> float:
    """CPU seconds (about 0.003) that a fixed piece of work takes; the least of a few tries.

    The least, because whatever disturbs a try, an interrupt or a cold cache, only adds to it. The
    tries are spread a little, so that what the last load left to do has time to end.
    """
    times = []
    for _ in range(TRIES):
        times.append(_once())
        time.sleep(PAUSE_S)
    return min(times)


def _once() -> float:
    began_s = time.thread_time()
    total = 0
    for number in range(ROUNDS):
        total ^= number * 31 + (total >> 3)
    return time.thread_time() - began_s

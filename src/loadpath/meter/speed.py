"""How fast the machine is just now: CPU time of a fixed piece of work.

A virtual machine shares its hardware with others that it cannot see. When they slow it down, no
process inside shows it and no time is reported stolen: everything merely takes more CPU time.
"""

from __future__ import annotations

import time

ROUNDS = 40_000
TRIES = 5


def fixed_work_s() -> float:
    """CPU seconds (about 0.003) that a fixed piece of work takes; the least of a few tries.

    The least, because whatever disturbs a try, an interrupt or a cold cache, only adds to it.
    """
    return min(_once() for _ in range(TRIES))


def _once() -> float:
    began_s = time.thread_time()
    total = 0
    for number in range(ROUNDS):
        total ^= number * 31 + (total >> 3)
    return time.thread_time() - began_s

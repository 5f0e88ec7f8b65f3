"""Where the known services truly give out: exact simulation of the queue that each of them is.

Poisson arrivals, c servers, a fixed service time: M/D/c. First come first served with a fixed
service time means that customer n is served by server n mod c, so that each server sees every c-th
arrival, and Lindley's recursion (1952) gives each wait exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CUSTOMERS = 400_000


def responses_s(arrivals_s: Floats, service_s: float, servers: int) -> Floats:
    """The response time of each arrival (rising times), from an empty queue."""
    found = np.empty(len(arrivals_s))
    for server in range(servers):
        own = arrivals_s[server::servers]
        # W(n+1) = max(0, W(n) + D − A(n)) is a random walk less its lowest point so far.
        walk = np.concatenate(([0.0], np.cumsum(service_s - np.diff(own))))[: len(own)]
        found[server::servers] = walk - np.minimum.accumulate(walk) + service_s
    return found


def knee_per_s(service_s: float, servers: int, limit_s: float, quantile: float = 0.99) -> float:
    """The rate at which that quantile of the response time reaches the limit."""
    gaps = np.cumsum(np.random.default_rng(1).exponential(size=CUSTOMERS))
    capacity = servers / service_s
    low, high = 0.05 * capacity, capacity
    for _ in range(16):
        rate = (low + high) / 2
        slow = np.quantile(responses_s(gaps / rate, service_s, servers), quantile)
        low, high = (low, rate) if slow > limit_s else (rate, high)
    return (low + high) / 2

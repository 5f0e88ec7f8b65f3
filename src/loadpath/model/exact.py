"""Closed forms: what is known exactly of single queues, and of closed networks without sharing.

λ arrival rate (per s), S mean service time (s), c servers, Z think time (s), D demands (s).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue in steady state: U of its servers, mean response time R (s), mean number in it N."""

    utilization: float
    response_time_s: float
    jobs: float


def mm1(rate_per_s: float, service_s: float) -> Queue:
    """Poisson arrivals, exponential service, one server (Kendall 1953): R = S / (1 - U).

    Raises `ValueError` at or beyond saturation, as do the others.
    """
    return mmc(rate_per_s, service_s, 1)


def mm1_quantile_s(rate_per_s: float, service_s: float, q: float) -> float:
    """The quantile `q` of the response time in M/M/1, which is exponential there, in order."""
    return -math.log(1 - q) * mm1(rate_per_s, service_s).response_time_s


def mmc(rate_per_s: float, service_s: float, servers: int) -> Queue:
    """Poisson arrivals, exponential service, c servers: Erlang's C formula (1917)."""
    utilization = _utilization(rate_per_s, service_s, servers)
    offered = rate_per_s * service_s
    blocked = 1.0
    for k in range(1, servers + 1):  # Erlang's B, by its recursion
        blocked = offered * blocked / (k + offered * blocked)
    waits = blocked / (1 - utilization * (1 - blocked))
    return _queue(
        rate_per_s, utilization, service_s + waits * service_s / (servers * (1 - utilization))
    )


def mg1(rate_per_s: float, service_s: float, cv: float) -> Queue:
    """Poisson arrivals, any service time, one server, FIFO: Pollaczek (1930) and Khinchine (1932).

    `cv` is the coefficient of variation of the service time; 0 is M/D/1.
    """
    utilization = _utilization(rate_per_s, service_s, 1)
    waits_s = utilization * service_s * (1 + cv**2) / (2 * (1 - utilization))
    return _queue(rate_per_s, utilization, service_s + waits_s)


def md1(rate_per_s: float, service_s: float) -> Queue:
    """Poisson arrivals, constant service, one server, FIFO."""
    return mg1(rate_per_s, service_s, 0.0)


def mg1_ps(rate_per_s: float, service_s: float) -> Queue:
    """Poisson arrivals, one server shared by all jobs: as M/M/1, whatever the distribution
    (Sakata, Noguchi & Oizumi 1971)."""
    return mm1(rate_per_s, service_s)


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A closed network with N users: throughput X (per s), response time R (s), and per station
    utilization and mean number of jobs."""

    throughput_per_s: float
    response_time_s: float
    utilizations: tuple[float, ...]
    jobs: tuple[float, ...]


def mva(demands_s: Sequence[float], users: int, think_s: float = 0.0) -> Closed:
    """Exact mean value analysis of one class over single-server stations (Reiser & Lavenberg 1980).

    It holds for FIFO with exponential service, and for processor sharing with any.
    """
    if users < 1:
        raise ValueError(f"{users} users, expected 1 or more")
    jobs = [0.0] * len(demands_s)
    throughput = response_s = 0.0
    for n in range(1, users + 1):
        residences_s = [d * (1 + q) for d, q in zip(demands_s, jobs, strict=True)]
        response_s = sum(residences_s)
        throughput = n / (think_s + response_s)
        jobs = [throughput * r for r in residences_s]
    return Closed(
        throughput_per_s=throughput,
        response_time_s=response_s,
        utilizations=tuple(throughput * d for d in demands_s),
        jobs=tuple(jobs),
    )


def _utilization(rate_per_s: float, service_s: float, servers: int) -> float:
    utilization = rate_per_s * service_s / servers
    if not 0 <= utilization < 1:
        raise ValueError(f"utilization is {utilization:.3g}, expected less than 1: it has no limit")
    return utilization


def _queue(rate_per_s: float, utilization: float, response_s: float) -> Queue:
    return Queue(utilization=utilization, response_time_s=response_s, jobs=rate_per_s * response_s)

"""What a simulation says: response times, throughput, errors, and how busy everything was."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from loadpath.answer import Interval


class OpenRate(msgspec.Struct, frozen=True, tag=True):
    """Requests that come whether others have ended or not: Poisson, or evenly spaced."""

    rate_per_s: float
    arrivals: Literal["poisson", "evenly"] = "poisson"


class Users(msgspec.Struct, frozen=True, tag=True):
    """So many users, each of whom thinks after every reply, `think_s` in the mean (Z)."""

    users: int
    think_s: float = 0.0
    think: Literal["exponential", "constant"] = "exponential"


Load: TypeAlias = OpenRate | Users


class Estimate(msgspec.Struct, frozen=True):
    """A figure that lies between `low` and `high`; `value` is None where only that can be said."""

    value: float | None
    low: float
    high: float
    confidence: float


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """Response times (R) of the requests that ended well, of one operation or (None) of all.

    `errors_ratio` is the share that failed: `no_slot_ratio` gave up waiting for a pool,
    `timed_out_ratio` had no reply in time.
    """

    operation: str | None
    requests: int
    throughput_per_s: float
    mean_s: Estimate
    p50_s: Estimate
    p90_s: Estimate
    p99_s: Estimate
    p999_s: Estimate
    errors_ratio: Interval
    no_slot_ratio: float
    timed_out_ratio: float


class StationUse(msgspec.Struct, frozen=True, kw_only=True):
    """A station over the window. `utilization` (U) is the share of its servers that had work,
    waiting for a core or not; `cpu_cores` the cores' worth of CPU that they had; `jobs` (N) those
    in service and in its queue."""

    name: str
    part: str
    utilization: float
    cpu_cores: float
    jobs: float
    visits_per_s: float


class PoolUse(msgspec.Struct, frozen=True, kw_only=True):
    """A pool over the window: the share of it that was held, how many waited, slots given per s."""

    name: str
    part: str
    utilization: float
    waiting: float
    grants_per_s: float


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """What a model does under a load, with the warm-up left out.

    `throughput_per_s` (X) counts requests that ended well; `in_system` (N) is their mean number.
    `stable` is False when more came than went: then times and queues only say that they grow.
    `near_saturation`: something is more than 90 % busy, so no response time has a `value`, since a
    small error of the model would change it by much; its bounds stand.
    """

    load: Load
    seed: int
    replications: int
    stable: bool
    near_saturation: bool
    throughput_per_s: Interval
    in_system: float
    cores_utilization: float
    overall: Response
    operations: tuple[Response, ...]
    stations: tuple[StationUse, ...]
    pools: tuple[PoolUse, ...]

    @property
    def busiest(self) -> tuple[str, float]:
        """The station, pool or `cores` that is busiest, and its utilization."""
        uses: list[tuple[str, float]] = [(s.name, s.utilization) for s in self.stations]
        uses += [(p.name, p.utilization) for p in self.pools]
        return max([*uses, ("cores", self.cores_utilization)], key=lambda use: use[1])

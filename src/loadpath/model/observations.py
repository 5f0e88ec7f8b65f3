"""What a model is fitted from: pure data that recordings produce, and nothing of how they did.

Rates are per second of the monotonic clock, CPU is in cores (CPU seconds per second), and every
response time counts from the intended start of its request.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from loadpath.spec import Objective

GroupKind: TypeAlias = Literal["thread", "threads", "interpreter", "backends", "rest", "engine"]
"""`thread`: the one busy thread of each process; `threads`: processes that work in several at once;
`interpreter`: several under one interpreter lock; `backends`: a process for each connection;
`rest`: what else runs in a part, beside whatever requests wait for."""

PROBABILITIES = tuple((2 * i + 1) / 400 for i in range(200))
"""The quantiles that a distribution is kept as: the middles of 200 equal shares."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Threads that are metered together and become one station: `servers` of them at most."""

    name: str
    part: str
    kind: GroupKind
    servers: int


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took: mean and quantiles at `PROBABILITIES`, in seconds, of `count`.

    `p99_s` is kept apart, since the quantiles are middles of shares.
    """

    count: int
    mean_s: float
    p99_s: float
    quantiles_s: tuple[float, ...]


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of one load, `duration_s` long, seen after it had settled.

    `offered_per_s` and `done_per_s` are by operation. `cores` is the CPU that each group used,
    `waiting` how many of its threads stood ready without a core, on average. `others_cores` were
    taken by what is not part of the deployment. `users` and `think_s` of a closed load, else None.
    `met`: whether the objective was; None where it could not be told. `speed_s`: CPU time of a
    fixed piece of work just before, 0 where it was not taken. `steady` is false of a ramp, and of
    an overload whose queue grew.
    """

    purpose: str
    duration_s: float
    offered_per_s: dict[str, float]
    done_per_s: dict[str, float]
    cores: dict[str, float]
    waiting: dict[str, float]
    responses: dict[str, Times]
    others_cores: float = 0.0
    users: int | None = None
    think_s: float | None = None
    met: bool | None = None
    speed_s: float = 0.0
    steady: bool = True

    @property
    def rate_per_s(self) -> float:
        """Requests completed per second, of all operations."""
        return sum(self.done_per_s.values())


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A call that an operation makes of a dependency, seen on the wire.

    It is made `calls` times per request (below 1: not by all of them), taking `time` on the wire,
    as a tap saw it, that no earlier call covers. `gap_s` is the service's own time before it.
    `holds`: its connection stays taken until the next call to that dependency. `after`: nobody
    waits for it.
    """

    dependency: str
    kind: str
    shape: str
    calls: float
    time: Times
    gap_s: float = 0.0
    holds: bool = False
    after: bool = False


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """What a request of one operation does beside running: its calls in the order it makes them.

    `alone_s` is its response time when nobody else asks, `last_gap_s` the service's own time after
    the last reply that it waits for.
    """

    operation: str
    exchanges: tuple[Exchange, ...]
    alone_s: float
    last_gap_s: float


class Connections(msgspec.Struct, frozen=True, kw_only=True):
    """The service's connections to a dependency that gives each of them a process or a slot.

    `size` is the most that were open at once under any load; `full` whether all of them were busy
    nearly all the time in some stretch, so that there are surely no more.
    """

    dependency: str
    kind: str
    size: int
    full: bool


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit on how many requests are in service at once, which no CPU explains.

    `requests` by Little's law, from the most that was completed; `dependency` whose calls they
    spend their time on, `""`: none.
    """

    requests: float
    done_per_s: float
    dependency: str = ""


class Observations(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `weights` is the mix, `objectives` by operation, `cores` what the host has.

    `knee_per_s` is (value, low, high) of where the mix was seen to miss its objective, or None.
    """

    cores: int
    workers: int
    weights: dict[str, float]
    objectives: dict[str, Objective]
    groups: tuple[Group, ...]
    stretches: tuple[Stretch, ...]
    paths: tuple[Path, ...] = ()
    connections: tuple[Connections, ...] = ()
    limit: Limit | None = None
    knee_per_s: tuple[float, float, float] | None = None

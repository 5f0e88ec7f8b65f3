"""The words of a model: stations, pools, what a request does there, and the host they share.

Two levels. A request moves through stations, which are threads: an event loop, a backend of the
database, a cache. And every busy thread of the host needs a core: with n threads busy on c cores
each runs at the speed min(1, c / n). (Layered queueing, Woodside 1995; here simulated, not solved.)
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


def call_name(dependency: str, shape: str) -> str:
    """What tells the calls of a model apart."""
    return f"{dependency} {shape}"


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """How long something takes: `mean_s` seconds, spread by `cv`, the coefficient of variation.

    `empirical` draws from `values_s`, equally likely, whose mean and spread the other two repeat.
    """

    kind: Literal["constant", "exponential", "gamma", "lognormal", "empirical"] = "constant"
    mean_s: float
    cv: float = 0.0
    values_s: tuple[float, ...] = ()


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """Threads that serve: `servers` of them, first come first served, or all jobs at once (`ps`).

    `part` is the part of the deployment it belongs to. `on_host` is false of what runs elsewhere
    and takes no core. An idle server pays `wakeup_s` of CPU more for the job that wakes it. Jobs
    share what they cause: one that comes later than `window_s` after the last that paid (of n
    servers, `window_s` / n) pays `shared_s` of CPU more. So a job's demand falls as load rises.
    """

    name: str
    part: str
    servers: int = 1
    discipline: Literal["fifo", "ps"] = "fifo"
    on_host: bool = True
    wakeup_s: float = 0.0
    shared_s: float = 0.0
    window_s: float = 0.0


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """What at most `size` requests hold at once: connections, slots, thread tokens."""

    name: str
    part: str
    size: int


class Serve(msgspec.Struct, frozen=True, tag=True):
    """Takes that much CPU time of a station.

    `call`: the call of a dependency that it is part of (`call_name`), or, at a station of the
    service, that comes next; `""`: none.
    """

    station: str
    work: Law
    call: str = ""


class Delay(msgspec.Struct, frozen=True, tag=True):
    """Time that passes without a queue and without a core: a network, a disk, an outside call.

    `part` is whose time it is, `call` the call that it is part of.
    """

    time: Law
    part: str = ""
    call: str = ""


class Acquire(msgspec.Struct, frozen=True, tag=True):
    """Waits for one of a pool, first come first served; gives up after `patience_s`, and the
    request (or the attempt around it) fails then."""

    pool: str
    patience_s: float | None = None


class Release(msgspec.Struct, frozen=True, tag=True):
    """Gives it back."""

    pool: str


class Maybe(msgspec.Struct, frozen=True, tag=True):
    """Does the steps with that probability: a cache that misses."""

    probability: float
    steps: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


class Spawn(msgspec.Struct, frozen=True, tag=True):
    """Begins work that the reply does not wait for; it takes stations and cores all the same.

    One in `every` requests begins it: work done in batches.
    """

    steps: tuple[Step, ...]
    every: float = 1.0


class Attempt(msgspec.Struct, frozen=True, tag=True):
    """Tries the steps, given up after `timeout_s` and tried again at most `retries` times.

    Between tries it waits `backoff_s`, times 2 for each try before. What a given-up try had begun
    at a station is finished there: nobody tells it. With `cancels` it goes no further and gives
    back what it holds then: a timeout within the service. Without, it does all its steps: a
    client's timeout, of which the service learns nothing.
    """

    steps: tuple[Step, ...]
    timeout_s: float
    retries: int = 0
    backoff_s: float = 0.0
    cancels: bool = True


Step: TypeAlias = Serve | Delay | Acquire | Release | Maybe | Spawn | Attempt


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What a request of one operation does, and its weight in the mix."""

    operation: str
    weight: float
    steps: tuple[Step, ...]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A service on a host of `cores`, with the mix of operations it serves.

    `engine` names the station that is the load engine: predictions are made with it on the host
    and, by taking it off, elsewhere. `cores` may be a fraction: what is left of them.
    """

    cores: float
    stations: tuple[Station, ...]
    pools: tuple[Pool, ...]
    programs: tuple[Program, ...]
    engine: str = "engine"


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """The best model of a recording, and others that explain it as well (bootstrap draws).

    What is predicted from each of `draws` spreads as the fit is uncertain. The misfits are by how
    much the best model misses the response times that it was fitted from (a logarithm).
    """

    model: Model
    draws: tuple[Model, ...]
    mean_misfit: float = 0.0
    p99_misfit: float = 0.0

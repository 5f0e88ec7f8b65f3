"""What the load engine is told and what it tells: frozen, and sent between processes as msgpack.

All points in time are seconds of the monotonic clock, which the processes of one machine share.
"""

from __future__ import annotations

import math
import secrets
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from loadpath.spec import Tls, Workload


class OpenLoad(msgspec.Struct, frozen=True, kw_only=True, tag="open", tag_field="kind"):
    """Requests arrive at a rate, whatever the service does about them.

    With `end_rate_per_s` the rate runs geometrically from `rate_per_s` to it over the segment: it
    grows by the same factor in every second.
    """

    rate_per_s: float
    end_rate_per_s: float | None = None
    process: Literal["poisson", "constant"] = "poisson"

    def rate_at(self, elapsed_s: float, duration_s: float) -> float:
        """The rate in requests per second `elapsed_s` into a segment of `duration_s`."""
        if self.end_rate_per_s is None or duration_s <= 0:
            return self.rate_per_s
        share = min(max(elapsed_s / duration_s, 0.0), 1.0)
        return self.rate_per_s * math.pow(self.end_rate_per_s / self.rate_per_s, share)


class ClosedLoad(msgspec.Struct, frozen=True, kw_only=True, tag="closed", tag_field="kind"):
    """Each of `users` does its next operation `think_time_s` (mean, exponential) after the last."""

    users: int
    think_time_s: float


Load: TypeAlias = OpenLoad | ClosedLoad

TimerMode: TypeAlias = Literal["us", "ms"]
"""`us`: sent within tens of microseconds of the intended time, a wake-up per event. `ms`: within
one or two milliseconds, wake-ups shared, a fraction of the CPU."""


class EnginePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an engine needs to know before its first segment.

    It connects to `host`:`port` and nowhere else. `connections_max` None: the workload's own.
    `salt` keys the digests in the column `key`, so that they tell nothing outside of this run. A
    request sent more than `late_after_s` after it was due, with a connection free, counts as the
    engine's fault (None: 1 ms with the `us` timer, 4 ms with `ms`). `tls` None: plain HTTP.
    `relayed_tls`: to a relay that speaks TLS with the service, whose own addresses are `https`.
    `processes` share one schedule and the connections. `audit`: measure how long replies wait in
    the kernel before the engine reads them, which costs it some CPU.
    """

    host: str
    port: int
    workload: Workload
    seed: int = 1
    timer: TimerMode = "us"
    connections_max: int | None = None
    salt: bytes = msgspec.field(default_factory=lambda: secrets.token_bytes(16))
    connect_timeout_s: float = 5.0
    late_after_s: float | None = None
    tls: Tls | None = None
    relayed_tls: bool = False
    processes: int = 1
    audit: bool = False

    @property
    def connection_limit(self) -> int:
        """How many connections may be open at once."""
        limit = self.connections_max
        return max(1, self.workload.connections_max if limit is None else limit)

    @property
    def late_limit_s(self) -> float:
        """From how many seconds on a request counts as sent late by the engine."""
        if self.late_after_s is not None:
            return self.late_after_s
        return 0.001 if self.timer == "us" else 0.004


LEAD_S = 0.01
"""From when a segment is ready to when its schedule starts."""


class Part(msgspec.Struct, frozen=True):
    """Which of the processes of an engine: number `index` of `of`.

    It has every `of`-th arrival, and its share of the connections.
    """

    index: int = 0
    of: int = 1

    def share(self, total: int) -> int:
        """How many of `total` things it has."""
        return total // self.of + (self.index < total % self.of)


WHOLE = Part()


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of load of one kind. Rows go to `requests_path` when it is over.

    What flows tried to write and what was read back goes to the other two paths, where there was
    any. `weights` are the operations that are driven and their shares; empty: the workload's own
    mix. `background` is a second open load under the first, on the operations of
    `background_weights`. After the last arrival, replies are waited for `drain_s` at most. With
    `replies_path` every reply is digested and noted there, which costs the engine some CPU.
    """

    index: int
    purpose: str
    load: Load
    duration_s: float
    requests_path: Path
    writes_path: Path | None = None
    reads_path: Path | None = None
    replies_path: Path | None = None
    drain_s: float = 2.0
    weights: dict[str, float] = {}
    background: OpenLoad | None = None
    background_weights: dict[str, float] = {}


class EffectsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which effects are looked for, of what flows tried to write in those segments.

    At most `limit` a kind, those first that ended nearest to `near_s` (None: any), for `budget_s`
    at most. What was found goes to `path`.
    """

    segments: tuple[int, ...]
    path: Path
    limit: int
    budget_s: float
    near_s: float | None = None


class EffectsCounted(msgspec.Struct, frozen=True):
    """How many logical requests were looked for, of how many there were; `unknown` of the first
    could not be told. `uncounted_kinds` have nothing that counts them, in the workload's flows."""

    looked_for: int
    total: int
    unknown: int
    uncounted_kinds: tuple[str, ...] = ()


class VariantsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Ask some GETs of the last digested segment again in other ways; what came goes to `path`.

    At most `limit` of each operation, for `budget_s` at most.
    """

    path: Path
    segment: int
    limit: int = 8
    budget_s: float = 10.0


class SegmentProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How a running segment stands, told every 250 to 300 ms.

    `arrivals` are those due so far, `sent` requests sent, `done` whole replies, `errors` requests
    that failed, `in_flight` requests without their reply yet, `waiting` arrivals due and not yet
    sent. `done_rate_per_s` (whole operations), response times (from the intended start, in seconds)
    and slip (sent less intended, where a connection was free) are of the last second; None: there
    were none. `target_rate_per_s` is None for a closed load.
    """

    index: int
    at_s: float
    elapsed_s: float
    target_rate_per_s: float | None
    arrivals: int
    sent: int
    done: int
    errors: int
    in_flight: int
    waiting: int
    done_rate_per_s: float
    response_time_p50_s: float | None
    response_time_p99_s: float | None
    slip_p99_s: float | None
    engine_cpu_s: float


class SegmentResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment came to; the rows themselves are in its `requests_path`.

    `started_s` is when the schedule began, `ended_s` when the last arrival could come, `drained_s`
    when nothing was waited for any more. `arrivals` were due, each an operation of one or more
    requests; `done` of the requests had a whole reply, `errors` failed, `unfinished` of those had
    neither when the segment was over. `skipped` operations made no request at all, `retried`
    requests were sent a second time because an idle connection turned out to be closed.
    `late` arrivals were sent, or began to wait for a connection, too late by the engine's own
    fault. `engine_nice` is its scheduling priority, which it raises where it may. `first_errors`
    maps an operation to what its first failure looked like, redacted. Of the `handshakes` of TLS
    some were `handshakes_resumed` from an earlier session. The read delays, of an audited engine,
    are how long replies lay in the kernel before it read them.
    """

    index: int
    started_s: float
    ended_s: float
    drained_s: float
    arrivals: int
    done: int
    errors: int
    unfinished: int
    skipped: int
    retried: int
    connections_opened: int
    late: int
    engine_cpu_s: float
    engine_pid: int
    engine_nice: int
    stopped_early: bool
    first_errors: dict[str, str]
    handshakes: int = 0
    handshakes_resumed: int = 0
    read_delay_p50_s: float | None = None
    read_delay_p99_s: float | None = None


class ProbeReply(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an operation on an otherwise quiet engine; of a flow, its last step.

    `error` is None when it succeeded, else what went wrong. `start` is the beginning of the reply,
    redacted. `response_time_s` covers every step, from `started_s` on the monotonic clock.
    """

    status: int
    started_s: float
    response_time_s: float
    error: str | None
    start: str

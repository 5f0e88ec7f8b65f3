"""What is kept of one segment: a stretch of load of one kind, with its own requests file."""

from __future__ import annotations

from typing import Any

import msgspec


class KeptReplies(msgspec.Struct, frozen=True, kw_only=True):
    """What a cache before the service did with one operation's requests during a segment.

    `hits` were answered from what was kept, `waited` of them from a fetch under way; `fetched` were
    asked of the service. Of the hits `sampled` were compared with what the service said at that
    time, and so many of these were `stale`.
    """

    operation: str
    requests: int
    hits: int
    waited: int
    fetched: int
    sampled: int
    stale: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a cache before the service did during a segment: by rule, and how many requests it
    passed on. `entries`, `bytes` and `evicted` (since it began) are at the segment's end, `cpu_s`
    is what it used in it."""

    rules: tuple[KeptReplies, ...]
    passed: int
    entries: int
    bytes: int
    evicted: int
    cpu_s: float


class SegmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of segments.jsonl. Times are monotonic seconds.

    `load` and `background` are what the engine was told, as built-ins: `rate_per_s`,
    `end_rate_per_s`, `process` of an open load, `users`, `think_time_s` of a closed one; `weights`
    and `background_weights` say on which operations. `arm` and `round` place the segment in an
    interleaved comparison; `label` is for people. `first_errors` maps an operation to what its
    first failure looked like, redacted by the engine.

    `kept` is what a cache before the service did, where there was one.

    `fixed_work_s` is the CPU time that a fixed piece of work took just before it: how fast the
    machine was then (0: not measured).

    Reading is tolerant: unknown fields are ignored and those with a default may be missing, so that
    a later version can add some.
    """

    index: int
    purpose: str
    load: dict[str, Any]
    duration_s: float
    weights: dict[str, float]
    started_s: float
    ended_s: float
    drained_s: float
    background: dict[str, Any] | None = None
    background_weights: dict[str, float] = {}
    label: str = ""
    arm: str = ""
    round: int = 0
    stopped_early: bool = False
    arrivals: int = 0
    done: int = 0
    errors: int = 0
    unfinished: int = 0
    skipped: int = 0
    retried: int = 0
    connections_opened: int = 0
    late: int = 0
    fixed_work_s: float = 0.0
    engine_cpu_s: float = 0.0
    engine_pid: int = 0
    handshakes: int = 0
    handshakes_resumed: int = 0
    read_delay_p50_s: float | None = None
    read_delay_p99_s: float | None = None
    first_errors: dict[str, str] = {}
    kept: Kept | None = None

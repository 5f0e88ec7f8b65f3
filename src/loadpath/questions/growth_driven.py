"""What users saw on grown data, beside what was foretold; and at how many users it is missed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from loadpath.answer import Interval
from loadpath.experiment.assess import responses
from loadpath.experiment.demand import demand_in
from loadpath.experiment.knee import measured_window
from loadpath.recording import Recording
from loadpath.spec import Workload
from loadpath.statements.record import Foretold
from loadpath.stats.intervals import response_quantile_interval

TODAY, GROWN, INDEXED = "growth-today", "growth-4", "growth-4-indexed"
"""The recordings: on today's data, on four times as much, and with the indexes recommended."""

P99 = 0.99
SAMPLES_MIN = 100


class Driven(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on one data set at so many times today's load: what was measured.

    `p99_s` None: too few requests. `failed` is the share of them. `database_s` is the CPU that all
    databases took for a request of the mix.
    """

    recording: str
    operation: str
    rate: int
    requests: int
    p99_s: Interval | None
    failed: float
    database_s: float | None


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """What one user who asks for an operation over and over waits, in the median, by recording."""

    operation: str
    p50_s: dict[str, float]


class Misses(msgspec.Struct, frozen=True, kw_only=True):
    """From how many times today's users on an operation misses its p99, as the model has it.

    `by_data`: at today's load, by the data alone; `by_rate`: with today's data, by the load alone.
    None: not up to the largest that was looked at.
    """

    operation: str
    limit_s: float
    users: int | None
    by_data: int | None
    by_rate: int | None


def misses(foretold: Sequence[Foretold], workload: Workload) -> tuple[Misses, ...]:
    """When each operation that has a limit for its p99 misses it."""
    found = []
    for operation in workload.operations:
        limit_s = p99_limit_s(workload, operation.name)
        own = [each for each in foretold if each.operation == operation.name]
        if limit_s is None or not own:
            continue
        found.append(
            Misses(
                operation=operation.name,
                limit_s=limit_s,
                users=_first([f for f in own if f.data == f.rate], limit_s),
                by_data=_first([f for f in own if f.rate == 1], limit_s),
                by_rate=_first([f for f in own if f.data == 1], limit_s),
            )
        )
    return tuple(found)


def _first(along: Sequence[Foretold], limit_s: float) -> int | None:
    missed = [max(f.data, f.rate) for f in along if f.p99_s is None or f.p99_s > limit_s]
    return min(missed, default=None)


def p99_limit_s(workload: Workload, name: str) -> float | None:
    """The limit of an operation's p99; None: it has none."""
    operation = next(each for each in workload.operations if each.name == name)
    quantiles = workload.objective_of(operation).quantiles
    return min((q.limit_s for q in quantiles if q.quantile == P99), default=None)


def driven(recordings: Sequence[Recording]) -> tuple[Driven, ...]:
    """What was measured on each data set."""
    found = []
    for recording in recordings:
        if recording.name not in (TODAY, GROWN, INDEXED):
            continue
        for segment in recording.segments:
            if segment.purpose != "hold":
                continue
            from_s, to_s = measured_window(segment)
            seen = responses(recording.requests(segment.index)).between(from_s, to_s)
            spent = demand_in(recording, [segment])
            for number, name in enumerate(recording.operations):
                own = seen.of(number)
                if not len(own):
                    continue
                finite = own.response_s[np.isfinite(own.response_s)]
                enough = len(finite) >= SAMPLES_MIN
                found.append(
                    Driven(
                        recording=recording.name,
                        operation=name,
                        rate=int(segment.label.removeprefix("× ")),
                        requests=len(own),
                        p99_s=_known(response_quantile_interval(own.response_s, P99))
                        if enough
                        else None,
                        failed=float(own.failed.mean()),
                        database_s=None if spent is None else _databases_s(recording, spent.parts),
                    )
                )
    return tuple(found)


def alone_on(recordings: Sequence[Recording]) -> tuple[Alone, ...]:
    """What was measured of operations driven by themselves on each data set."""
    found: dict[str, dict[str, float]] = {}
    for recording in recordings:
        for segment in recording.segments:
            if segment.purpose == "alone":
                seen = responses(recording.requests(segment.index)).between(
                    *measured_window(segment)
                )
                good = seen.response_s[~seen.failed & np.isfinite(seen.response_s)]
                if len(good):
                    of_operation = found.setdefault(segment.label, {})
                    of_operation[recording.name] = float(np.median(good))
    return tuple(Alone(operation=name, p50_s=p50_s) for name, p50_s in found.items())


def _databases_s(recording: Recording, parts: dict[str, float]) -> float:
    names = {d.name for d in recording.setup.service.dependencies if d.kind == "postgres"}
    return sum(cpu_s for part, cpu_s in parts.items() if part in names)


def _known(found: Interval) -> Interval | None:
    """None where more than one in a hundred never ended."""
    return found if math.isfinite(found.value) else None


def of(measured: Sequence[Driven], recording: str, operation: str, rate: int) -> Driven | None:
    """One of them."""
    for each in measured:
        if (each.recording, each.operation, each.rate) == (recording, operation, rate):
            return each
    return None

"""What grown data does to response times, foretold: the model with the demands that were measured.

A statement that takes longer on grown data takes that much more of the database, for each time an
operation makes it. All else is taken to stay: what the service itself does with more rows is not in
it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from loadpath.changes.steps import Call, calls_rewritten, count_calls, scaled, with_programs
from loadpath.experiment.attribution import LoadPath
from loadpath.model.network import Delay, Fitted, Law, Model, Program, Serve, Step
from loadpath.model.outcome import outcome
from loadpath.model.simulated import Load, OpenRate, Users
from loadpath.spec import Arrivals, OpenArrivals
from loadpath.statements.course import Course, course
from loadpath.statements.record import DatabaseRecord, Foretold, GrowthRecord

TIMES: Final = (1, 2, 4, 8, 16)
"""Multiples of today's users that are looked at."""

REQUESTS: Final = 12_000
DRAWN_REQUESTS: Final = 3_000
DRAWS: Final = 5
CARRIED: Final = 0.9
"""A load of which less than this share gets through in a simulation is not carried."""

TAIL: Final = (0.05, 0.95)


def foretell(
    fitted: Fitted, record: GrowthRecord, paths: Sequence[LoadPath], arrivals: Arrivals
) -> tuple[Foretold, ...]:
    """p99 of every operation with grown data, with grown load, and with both."""
    found: list[Foretold] = []
    for data, rate in sorted(
        {(1, t) for t in TIMES} | {(t, t) for t in TIMES} | {(t, 1) for t in TIMES}
    ):
        added = [(d.dependency, added_s(d, paths, data)) for d in record.databases]
        seen: list[dict[str, float]] = []
        for number, fitted_model in enumerate((fitted.model, *fitted.draws[:DRAWS])):
            model = fitted_model
            for dependency, by_operation in added:
                model = grown(model, dependency, by_operation)
            requests = DRAWN_REQUESTS if number else REQUESTS
            seen.append(_p99s(model, _load(arrivals, rate), requests, seed=1 + number))
        for operation, p99_s in seen[0].items():
            drawn = [each[operation] for each in seen[1:] if operation in each]
            carried = math.isfinite(p99_s)
            finite = carried and drawn and all(map(math.isfinite, drawn))
            low, high = np.quantile(drawn, TAIL) if finite else (None, None)
            found.append(
                Foretold(
                    operation=operation,
                    data=data,
                    rate=rate,
                    p99_s=p99_s if carried else None,
                    low_s=None if low is None else min(float(low), p99_s),
                    high_s=None if high is None else max(float(high), p99_s),
                )
            )
    return tuple(found)


def added_s(record: DatabaseRecord, paths: Sequence[LoadPath], times: int) -> dict[str, float]:
    """Seconds that the database works more for a request of each operation, with so many times as
    many users."""
    more = {
        each.shape: _time_s(found, times) - found.first.time_s
        for each in record.statements
        if (found := course(each, "users")) is not None
    }
    return {
        path.operation: sum(
            call.calls * max(0.0, more.get(call.shape, 0.0))
            for call in path.calls
            if call.dependency == record.dependency and not call.after_reply
        )
        for path in paths
    }


def _time_s(found: Course, times: int) -> float:
    """A statement's time at a size between those measured, or beyond, on straight lines of their
    logarithms."""
    xs = np.log([point.times for point in found.points])
    ys = np.log([max(point.time_s, 1e-7) for point in found.points])
    x = math.log(times)
    if x <= xs[-1]:
        return float(np.exp(np.interp(x, xs, ys)))
    slope = (ys[-1] - ys[-2]) / (xs[-1] - xs[-2])
    return float(np.exp(ys[-1] + max(0.0, slope) * (x - xs[-1])))


def grown(model: Model, dependency: str, more_s: Mapping[str, float]) -> Model:
    """The model with so many seconds more of that dependency in each request of an operation,
    spread over its calls."""

    def later(program: Program) -> Program:
        count = count_calls(model, dependency, program.steps)
        added = more_s.get(program.operation, 0.0)
        if not count or added <= 0:
            return program
        each_s = added / count
        steps = calls_rewritten(
            model, dependency, program.steps, lambda call: _longer(call, each_s, dependency)
        )
        return msgspec.structs.replace(program, steps=steps)

    return with_programs(model, later)


def _longer(call: Call, more_s: float, dependency: str) -> tuple[Step, ...]:
    for number, step in enumerate(call):
        if isinstance(step, Serve) and step.work.mean_s > 0:
            longer = scaled(step, (step.work.mean_s + more_s) / step.work.mean_s)
            return (*call[:number], longer, *call[number + 1 :])
    return (*call, Delay(Law(mean_s=more_s), dependency))


def _load(arrivals: Arrivals, rate: int) -> Load:
    if isinstance(arrivals, OpenArrivals):
        return OpenRate(arrivals.rate_per_s * rate)
    return Users(arrivals.users * rate, arrivals.think_time_s)


def _p99s(model: Model, load: Load, requests: int, *, seed: int) -> dict[str, float]:
    """By operation; infinite where the load is not carried."""
    found = outcome(model, load, requests=requests, seed=seed)
    ended = np.isfinite(found.responses_s)
    carried = bool(ended.mean() >= CARRIED)
    p99s = {}
    for number, program in enumerate(model.programs):
        own = found.responses_s[(found.operations == number) & ended]
        if len(own):
            p99s[program.operation] = float(np.quantile(own, 0.99)) if carried else math.inf
    return p99s

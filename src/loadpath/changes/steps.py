"""Programs of a model rewritten: which steps belong to what, and steps put in the place of others.

A *call* of a dependency is the `Delay` that is its time without CPU and then the `Serve` at its
station; either may be missing. What a `Spawn` does is no call: the reply does not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

from loadpath.changes.change import NotPredictedError
from loadpath.model.network import (
    Acquire,
    Attempt,
    Delay,
    Law,
    Maybe,
    Model,
    Program,
    Release,
    Serve,
    Spawn,
    Step,
)

SERVICE = "service"
"""The part of the service's own stations and pools."""

Rewrite: TypeAlias = Callable[[Step], tuple[Step, ...]]


def rewritten(steps: Iterable[Step], rewrite: Rewrite) -> tuple[Step, ...]:
    """The steps with what `rewrite` makes of each; inside a `Maybe`, `Spawn`, `Attempt` as well."""
    made: list[Step] = []
    for step in steps:
        if isinstance(step, Maybe):
            made.append(
                msgspec.structs.replace(
                    step,
                    steps=rewritten(step.steps, rewrite),
                    otherwise=rewritten(step.otherwise, rewrite),
                )
            )
        elif isinstance(step, Spawn | Attempt):
            made.append(msgspec.structs.replace(step, steps=rewritten(step.steps, rewrite)))
        else:
            made += rewrite(step)
    return tuple(made)


def leaves(steps: Iterable[Step]) -> list[Step]:
    """Every step that does something itself, in order."""
    found: list[Step] = []

    def note(step: Step) -> tuple[Step, ...]:
        found.append(step)
        return (step,)

    rewritten(steps, note)
    return found


def with_programs(model: Model, rewrite: Callable[[Program], Program]) -> Model:
    """The model with each of its programs rewritten."""
    return msgspec.structs.replace(model, programs=tuple(map(rewrite, model.programs)))


def program_of(model: Model, operation: str) -> Program:
    """What a request of that operation does. Raises `NotPredictedError` when that is not known."""
    for program in model.programs:
        if program.operation == operation:
            return program
    raise NotPredictedError(f"the model knows nothing of {operation}: it was not driven")


def replaced(model: Model, operation: str, steps: tuple[Step, ...]) -> Model:
    """The model with other steps for that operation."""

    def rewrite(program: Program) -> Program:
        if program.operation != operation:
            return program
        return msgspec.structs.replace(program, steps=steps)

    return with_programs(model, rewrite)


def stations_of(model: Model, part: str) -> frozenset[str]:
    """The names of the stations that belong to that part."""
    return frozenset(station.name for station in model.stations if station.part == part)


def pools_of(model: Model, part: str) -> frozenset[str]:
    """The names of the pools that belong to that part."""
    return frozenset(pool.name for pool in model.pools if pool.part == part)


def is_of(step: Step, model: Model, part: str) -> bool:
    """Whether it is a step at that part: its stations, its pools, its time."""
    if isinstance(step, Serve):
        return step.station in stations_of(model, part)
    if isinstance(step, Delay):
        return step.part == part
    if isinstance(step, Acquire | Release):
        return step.pool in pools_of(model, part)
    return False


Call: TypeAlias = tuple[Step, ...]
CallRewrite: TypeAlias = Callable[[Call], tuple[Step, ...]]


def calls_rewritten(
    model: Model, part: str, steps: Iterable[Step], rewrite: CallRewrite
) -> tuple[Step, ...]:
    """The steps with what `rewrite` makes of each call of that dependency, in order."""
    stations = stations_of(model, part)
    made: list[Step] = []
    call: list[Step] = []

    def ended() -> None:
        if call:
            made.extend(rewrite(tuple(call)))
            call.clear()

    for step in steps:
        if isinstance(step, Delay) and step.part == part:
            ended()
            call.append(step)
        elif isinstance(step, Serve) and step.station in stations:
            if call and isinstance(call[-1], Serve):
                ended()
            call.append(step)
            ended()
        else:
            ended()
            made.append(_inside(step, model, part, rewrite))
    ended()
    return tuple(made)


def _inside(step: Step, model: Model, part: str, rewrite: CallRewrite) -> Step:
    if isinstance(step, Maybe):
        return msgspec.structs.replace(
            step,
            steps=calls_rewritten(model, part, step.steps, rewrite),
            otherwise=calls_rewritten(model, part, step.otherwise, rewrite),
        )
    if isinstance(step, Attempt):
        return msgspec.structs.replace(
            step, steps=calls_rewritten(model, part, step.steps, rewrite)
        )
    return step


def count_calls(model: Model, part: str, steps: Iterable[Step]) -> int:
    """How many places there are in the steps from which that dependency is called."""
    found = 0

    def note(call: Call) -> tuple[Step, ...]:
        nonlocal found
        found += 1
        return call

    calls_rewritten(model, part, steps, note)
    return found


def scaled(step: Step, factor: float) -> Step:
    """The step, taking so many times as long."""
    if isinstance(step, Serve):
        return msgspec.structs.replace(step, work=scaled_law(step.work, factor))
    if isinstance(step, Delay):
        return msgspec.structs.replace(step, time=scaled_law(step.time, factor))
    return step


def scaled_law(law: Law, factor: float) -> Law:
    """The law of so many times the time; its shape stays."""
    return msgspec.structs.replace(
        law,
        mean_s=law.mean_s * factor,
        values_s=tuple(value * factor for value in law.values_s),
    )


def thinned(count: int, share: float) -> CallRewrite:
    """A `CallRewrite` that keeps so large a share of `count` calls, spread evenly over them.

    What is kept is scaled where the share is no whole number of them, so that the time of all
    together is exactly the share.
    """
    kept = max(1, round(count * share)) if share > 0 else 0
    each = count * share / kept if kept else 0.0
    seen = 0

    def rewrite(call: Call) -> tuple[Step, ...]:
        nonlocal seen
        seen += 1
        stays = math.floor(seen * kept / count) > math.floor((seen - 1) * kept / count)
        return tuple(scaled(step, each) for step in call) if stays else ()

    return rewrite

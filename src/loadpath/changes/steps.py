"""Programs of a model rewritten: which steps belong to what, and steps put in the place of others.

A *visit* of a dependency is a `Serve` at one of its stations or, where it has none (it runs
elsewhere), a `Delay` that is its time.
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


def visits_of(model: Model, part: str) -> Callable[[Step], bool]:
    """What tells a visit of that part. Raises `NotPredictedError` when nothing ever visits it."""
    stations = stations_of(model, part)
    every = [step for program in model.programs for step in leaves(program.steps)]
    if any(isinstance(step, Serve) and step.station in stations for step in every):
        return lambda step: isinstance(step, Serve) and step.station in stations
    if any(isinstance(step, Delay) and step.part == part for step in every):
        return lambda step: isinstance(step, Delay) and step.part == part
    raise NotPredictedError(f"no call to {part} was recorded: the model knows nothing of it")


def scaled(step: Step, factor: float) -> Step:
    """The step, taking so many times as long."""
    if isinstance(step, Serve):
        return Serve(step.station, scaled_law(step.work, factor))
    if isinstance(step, Delay):
        return Delay(scaled_law(step.time, factor), step.part)
    return step


def scaled_law(law: Law, factor: float) -> Law:
    """The law of so many times the time; its shape stays."""
    return msgspec.structs.replace(
        law,
        mean_s=law.mean_s * factor,
        values_s=tuple(value * factor for value in law.values_s),
    )


def thinned(steps: tuple[Step, ...], chosen: Callable[[Step], bool], share: float) -> Rewrite:
    """A `Rewrite` that keeps so large a share of the chosen steps, spread evenly over them.

    What is kept is scaled where the share is no whole number of them, so that the time of all
    together is exactly the share.
    """
    count = sum(chosen(step) for step in leaves(steps))
    kept = max(1, round(count * share)) if share > 0 else 0
    each = count * share / kept if kept else 0.0
    seen = 0

    def rewrite(step: Step) -> tuple[Step, ...]:
        nonlocal seen
        if not chosen(step):
            return (step,)
        seen += 1
        stays = math.floor(seen * kept / count) > math.floor((seen - 1) * kept / count)
        return (scaled(step, each),) if stays else ()

    return rewrite

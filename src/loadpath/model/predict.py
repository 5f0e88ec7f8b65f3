"""Before and after a change: capacity, response times, what gives out, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np

from loadpath.answer import Interval
from loadpath.model.bottleneck import (
    CORES,
    USED_MIN,
    Bottleneck,
    gains,
    named,
    utilization,
)
from loadpath.model.error import CAPACITY, MEAN, P99, interval, ratio_error
from loadpath.model.network import Fitted, Model
from loadpath.model.outcome import TOLERANCE, knee_per_s, outcome
from loadpath.model.simulated import Load, OpenRate, Users
from loadpath.spec import Objective

__all__ = [
    "Bottleneck",
    "Capacity",
    "OpenRate",
    "Point",
    "Predicting",
    "Prediction",
    "Side",
    "Times",
    "Users",
    "capacities",
    "predict",
]

SATURATED = 0.9
"""Above this share of capacity only capacity is predicted: response times there are a cliff."""

BEST_REQUESTS, DRAWN_REQUESTS = 24_000, 4_000
POINT_REQUESTS = 40_000
"""Simulated for one figure of the best model, of a draw, and for the best model's times."""

DRAWN_TOLERANCE = 0.012
"""The knee of a draw is placed to this share of itself."""

DRAWS_ELSEWHERE = 8
"""The place of the engine that is not measured gets fewer draws."""

DRAWS_OF_NAMES = 5
"""And so many say what gives out first."""


class Predicting(Protocol):
    """A change, as far as a prediction needs it."""

    def predict(self, model: Model) -> Model:
        """The model as the change leaves it. Raises `LoadpathError` where it does not apply."""
        ...


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Response times in seconds."""

    mean_s: Interval
    p50_s: Interval
    p99_s: Interval


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One load and operation (None: all of them). None in place of times: beyond `SATURATED`."""

    load: Load
    operation: str | None
    before: Times | None
    after: Times | None


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The rate of the mix (1/s) at which the objective is first missed, and after ÷ before."""

    before: Interval
    after: Interval
    ratio: Interval


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction with the engine in one place."""

    capacity: Capacity
    points: tuple[Point, ...]
    bottleneck_before: Bottleneck
    bottleneck_after: Bottleneck


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """With the load engine `here`, on the host it loads, and with it `elsewhere`."""

    here: Side
    elsewhere: Side

    @property
    def capacity(self) -> Capacity:
        """On this box, engine included: what a measurement here would find."""
        return self.here.capacity

    @property
    def points(self) -> tuple[Point, ...]:
        """On this box, engine included."""
        return self.here.points

    @property
    def bottleneck_before(self) -> Bottleneck:
        """On this box, engine included."""
        return self.here.bottleneck_before

    @property
    def bottleneck_after(self) -> Bottleneck:
        """On this box, engine included."""
        return self.here.bottleneck_after


def predict(
    fitted: Fitted,
    changes: Sequence[Predicting],
    loads: Sequence[Load],
    objectives: Mapping[str, Objective],
    *,
    seed: int = 1,
) -> Prediction:
    """Predict what `changes`, one after the other, do to each of `loads` and to the capacity.

    `objectives` by operation. Deterministic by `seed`: before and after are simulated with the same
    random numbers, so that what does not change cancels. Raises what a change raises.
    """

    def changed(model: Model) -> Model:
        for change in changes:
            model = change.predict(model)
        return model

    pairs = [(model, changed(model)) for model in (fitted.model, *fitted.draws)]
    away = [
        (engine_elsewhere(before), engine_elsewhere(after))
        for before, after in pairs[: 1 + DRAWS_ELSEWHERE]
    ]
    return Prediction(
        here=_side(pairs, loads, objectives, fitted, seed=seed),
        elsewhere=_side(away, loads, objectives, fitted, seed=seed),
    )


def capacities(
    fitted: Fitted,
    changes: Sequence[Predicting],
    objectives: Mapping[str, Objective],
    *,
    seed: int = 1,
) -> list[Capacity]:
    """What each of `changes`, by itself, does to the capacity with the engine on this host.

    Without response times and causes it takes a small part of what `predict` does. Raises what a
    change raises.
    """
    models = (fitted.model, *fitted.draws)
    befores: list[float] = []
    for number, model in enumerate(models):
        near = befores[0] if befores else None
        befores.append(_knee(model, objectives, number, seed, near))
    found = []
    for change in changes:
        afters: list[float] = []
        for number, model in enumerate(models):
            near = afters[0] if afters else befores[0]
            afters.append(_knee(change.predict(model), objectives, number, seed, near))
        found.append(_capacity(list(zip(befores, afters, strict=True))))
    return found


def engine_elsewhere(model: Model) -> Model:
    """The model with its load engine on another host."""
    return msgspec.structs.replace(
        model,
        stations=tuple(
            msgspec.structs.replace(station, on_host=False)
            if station.name == model.engine
            else station
            for station in model.stations
        ),
    )


Pair = tuple[Model, Model]


def _side(
    pairs: Sequence[Pair],
    loads: Sequence[Load],
    objectives: Mapping[str, Objective],
    fitted: Fitted,
    *,
    seed: int,
) -> Side:
    knees: list[tuple[float, float]] = []
    for number, (before, after) in enumerate(pairs):
        of_before = _knee(before, objectives, number, seed, knees[0][0] if knees else None)
        of_after = of_before
        if after is not before:
            near = knees[0][1] if knees else of_before
            of_after = _knee(after, objectives, number, seed, near)
        knees.append((of_before, of_after))
    capacity = _capacity(knees)
    points: list[Point] = []
    for load in loads:
        points += _points(pairs, knees, load, fitted, seed=seed)
    return Side(
        capacity=capacity,
        points=tuple(points),
        bottleneck_before=_bottleneck(
            [before for before, _ in pairs], [k for k, _ in knees], objectives, seed=seed
        ),
        bottleneck_after=_bottleneck(
            [after for _, after in pairs], [k for _, k in knees], objectives, seed=seed
        ),
    )


def _knee(
    model: Model,
    objectives: Mapping[str, Objective],
    number: int,
    seed: int,
    near: float | None,
) -> float:
    """Of the best model (number 0), or of a draw."""
    return knee_per_s(
        model,
        objectives,
        requests=DRAWN_REQUESTS if number else BEST_REQUESTS,
        seed=seed + number,
        near=near or None,
        tolerance=DRAWN_TOLERANCE if number else TOLERANCE,
    )


def _capacity(knees: Sequence[tuple[float, float]]) -> Capacity:
    (before, after), drawn = knees[0], knees[1:]
    ratio = after / before if before > 0 else 0.0
    error = ratio_error(ratio)
    return Capacity(
        before=interval(before, [b for b, _ in drawn], CAPACITY),
        after=interval(after, [a for _, a in drawn], math.hypot(CAPACITY, error)),
        ratio=interval(ratio, [a / b for b, a in drawn if b > 0], error if ratio != 1 else 0.0),
    )


Figures = dict[str | None, tuple[float, float, float]]
"""Mean, p50 and p99 in seconds by operation."""


def _figures(model: Model, load: Load, *, requests: int, seed: int) -> Figures:
    found = outcome(model, load, requests=requests, seed=seed)
    figures: Figures = {}
    ended = np.isfinite(found.responses_s)
    for number, name in [(-1, None), *((n, p.operation) for n, p in enumerate(model.programs))]:
        chosen = ended if number < 0 else ended & (found.operations == number)
        own = found.responses_s[chosen]
        if len(own):
            middle, slow = np.quantile(own, (0.5, 0.99))
            figures[name] = float(own.mean()), float(middle), float(slow)
    return figures


def _points(
    pairs: Sequence[Pair],
    knees: Sequence[tuple[float, float]],
    load: Load,
    fitted: Fitted,
    *,
    seed: int,
) -> list[Point]:
    taken: list[list[Figures]] = [[], []]
    error = 0.0
    for side in (0, 1):
        if knees[0][side] <= 0 or _share(pairs[0][side], load, knees[0][side]) > SATURATED:
            continue
        for number, pair in enumerate(pairs):
            requests = DRAWN_REQUESTS if number else POINT_REQUESTS
            at = load if number == 0 else _carried(pair[side], load, knees[number][side])
            if at is not None:
                taken[side].append(_figures(pair[side], at, requests=requests, seed=seed + number))
    if knees[0][0] > 0:
        error = ratio_error(knees[0][1] / knees[0][0])
    names = [None, *(program.operation for program in pairs[0][0].programs)]
    return [
        Point(
            load=load,
            operation=name,
            before=_times(taken[0], name, fitted, 0.0),
            after=_times(taken[1], name, fitted, error),
        )
        for name in names
    ]


def _carried(model: Model, load: Load, knee_per_s: float) -> Load | None:
    """The load, or as much of it as that draw carries; None where it carries nothing.

    A load beyond a draw's capacity builds a queue that is as long as the simulation lasts: its
    response times say nothing of the service.
    """
    if knee_per_s <= 0:
        return None
    share = _share(model, load, knee_per_s) / SATURATED
    if share <= 1:
        return load
    if isinstance(load, OpenRate):
        return msgspec.structs.replace(load, rate_per_s=load.rate_per_s / share)
    return msgspec.structs.replace(load, users=max(1, int(load.users / share)))


def _share(model: Model, load: Load, knee_per_s: float) -> float:
    """How much of the capacity a load takes; of users, what they can come to at most."""
    if isinstance(load, OpenRate):
        return load.rate_per_s / knee_per_s
    found = _figures(model, load, requests=DRAWN_REQUESTS, seed=1).get(None)
    each_s = load.think_s + (found[0] if found is not None else 0.0)
    return load.users / max(each_s, 1e-9) / knee_per_s


def _times(
    taken: Sequence[Figures], name: str | None, fitted: Fitted, error: float
) -> Times | None:
    if not taken or name not in taken[0]:
        return None

    def of(which: int, own: float, misfit: float) -> Interval:
        drawn = [figures[name][which] for figures in taken[1:] if name in figures]
        return interval(taken[0][name][which], drawn, math.hypot(own, misfit, error))

    return Times(
        mean_s=of(0, MEAN, fitted.mean_misfit),
        p50_s=of(1, MEAN, fitted.mean_misfit),
        p99_s=of(2, P99, fitted.p99_misfit),
    )


def _bottleneck(
    models: Sequence[Model],
    knees: Sequence[float],
    objectives: Mapping[str, Objective],
    *,
    seed: int,
) -> Bottleneck:
    if knees[0] <= 0:
        return Bottleneck(names=(), shares={}, utilization={})
    used = utilization(models[0], knees[0], requests=BEST_REQUESTS, seed=seed)
    candidates = tuple(name for name, share in used.items() if share >= USED_MIN or name == CORES)
    each = [
        gains(model, knee, objectives, candidates, requests=DRAWN_REQUESTS, seed=seed)
        for model, knee in list(zip(models, knees, strict=True))[: 1 + DRAWS_OF_NAMES]
        if knee > 0
    ]
    return named(each, used)

"""A cache on the host of the service in a model: a station of its own, that hits end at. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from loadpath.experiment.caching.placing import Cost
from loadpath.model.network import Fitted, Law, Maybe, Model, Program, Serve, Station, Step

STATION = "cache before it"


class Kept(msgspec.Struct, frozen=True):
    """So large a share of each operation's requests is answered by the cache, for `cost`.

    A change of a model that `fronted` made.
    """

    hit_ratios: Mapping[str, float]
    cost: Cost

    def predict(self, model: Model) -> Model:
        """The model with hits that go no further than the cache."""
        programs = tuple(self._kept(program, model) for program in model.programs)
        return msgspec.structs.replace(model, programs=programs)

    def _kept(self, program: Program, model: Model) -> Program:
        ratio = self.hit_ratios.get(program.operation, 0.0)
        at = next(n for n, step in enumerate(program.steps) if _is_front(step))
        more_s = max(self.cost.passed_s - self.cost.hit_s, 0.0)
        rest, last = _ended(program.steps[at + 1 :], model)
        missed = Maybe(1 - ratio, (_served(more_s), *rest))
        steps = (*program.steps[:at], _served(self.cost.hit_s), missed, *last)
        return msgspec.structs.replace(program, steps=steps) if ratio else program


def fronted(fitted: Fitted, cost: Cost) -> Fitted:
    """The same with a cache before the service that passes everything on."""
    return msgspec.structs.replace(
        fitted,
        model=_fronted(fitted.model, cost),
        draws=tuple(_fronted(model, cost) for model in fitted.draws),
    )


def _fronted(model: Model, cost: Cost) -> Model:
    station = Station(name=STATION, part=STATION)

    def passing(program: Program) -> Program:
        first = 0
        while first < len(program.steps) and _is_engines(program.steps[first], model):
            first += 1
        steps = (*program.steps[:first], _served(cost.passed_s), *program.steps[first:])
        return msgspec.structs.replace(program, steps=steps)

    return msgspec.structs.replace(
        model,
        stations=(*model.stations, station),
        programs=tuple(map(passing, model.programs)),
    )


def _ended(steps: tuple[Step, ...], model: Model) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """What a miss does, and what the engine does at the end of hits and misses alike."""
    last = len(steps)
    while last and _is_engines(steps[last - 1], model):
        last -= 1
    return steps[:last], steps[last:]


def _served(mean_s: float) -> Serve:
    return Serve(STATION, Law(kind="exponential", mean_s=mean_s, cv=1.0))


def _is_front(step: Step) -> bool:
    return _name(step) == STATION


def _is_engines(step: Step, model: Model) -> bool:
    return _name(step) == model.engine


def _name(step: Step) -> str:
    return step.station if isinstance(step, Serve) else ""

"""A cache in a model: a station of its own that hits end at."""

from __future__ import annotations

from loadpath.experiment.caching.fronted import STATION, Kept, fronted
from loadpath.experiment.caching.placing import Cost
from loadpath.model.network import Fitted, Law, Maybe, Model, Program, Serve, Station

ENGINE = Serve("engine", Law(mean_s=1e-5))
WORK = Serve("worker", Law(mean_s=1e-3))
COST = Cost(passed_s=4e-5, hit_s=2e-5)

MODEL = Model(
    cores=2,
    stations=(Station(name="engine", part="engine"), Station(name="worker", part="service")),
    pools=(),
    programs=(
        Program(operation="read", weight=9, steps=(ENGINE, WORK, ENGINE)),
        Program(operation="write", weight=1, steps=(ENGINE, WORK, ENGINE)),
    ),
)


def cost_at(steps: object, station: str) -> float:
    """Mean seconds at a station, a `Maybe` counted by its probability."""
    total = 0.0
    for step in steps:  # type: ignore[attr-defined]
        if isinstance(step, Maybe):
            total += step.probability * cost_at(step.steps, station)
        elif isinstance(step, Serve) and step.station == station:
            total += step.work.mean_s
    return total


def test_without_a_rule_every_request_passes_it() -> None:
    model = fronted(Fitted(model=MODEL, draws=(MODEL,)), COST).model
    assert [station.name for station in model.stations] == ["engine", "worker", STATION]
    for program in model.programs:
        assert cost_at(program.steps, STATION) == COST.passed_s
        assert cost_at(program.steps, "worker") == WORK.work.mean_s


def test_a_hit_costs_the_cache_and_the_engine_alone() -> None:
    model = fronted(Fitted(model=MODEL, draws=()), COST).model
    read, write = Kept({"read": 0.75}, COST).predict(model).programs
    assert abs(cost_at(read.steps, STATION) - (0.75 * COST.hit_s + 0.25 * COST.passed_s)) < 1e-12
    assert abs(cost_at(read.steps, "worker") - 0.25 * WORK.work.mean_s) < 1e-12
    assert abs(cost_at(read.steps, "engine") - 2e-5) < 1e-12
    assert cost_at(write.steps, "worker") == WORK.work.mean_s

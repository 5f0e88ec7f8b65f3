"""An operation that makes the same call many times: an N+1, as the model has it."""

from __future__ import annotations

import msgspec
import pytest

from loadpath.changes.calls import FewerCalls
from loadpath.changes.slower import Slower
from loadpath.model.demands import demands
from loadpath.model.network import Law, Model, Pool, Station
from loadpath.model.observations import Observations
from loadpath.model.stations import Placed
from loadpath.model.structure import layout_of, program, visits, waited_s
from loadpath.model.weigh import Demands
from loadpath.spec import Objective

from .observed import path

CALL_S, WORK_S, OWN_S = 0.001, 0.0004, 0.004
POOL = Pool(name="database connections", part="database", size=3)
THREAD = Station(name="thread", part="service")
BACKENDS = Station(name="backends", part="database", servers=3)


def made(calls: float) -> Model:
    """The model of one operation that makes so many calls of `CALL_S`, `WORK_S` of each CPU."""
    once = path("GET /", {"database": CALL_S})
    often = msgspec.structs.replace(
        once, exchanges=(msgspec.structs.replace(once.exchanges[0], calls=calls),)
    )
    seen = Observations(
        cores=2,
        workers=1,
        weights={"GET /": 1.0},
        objectives={"GET /": Objective()},
        groups=(),
        stretches=(),
    )
    placed = [
        Placed(station=s, groups=(s.name,), main=True, waking=True) for s in (THREAD, BACKENDS)
    ]
    layout = layout_of(placed, (POOL,), None)
    assert visits(layout, often, False)["backends"] == pytest.approx(calls)
    assert waited_s(often) == pytest.approx(calls * CALL_S)
    steps = program(
        "GET /",
        seen,
        layout,
        {
            "thread": Demands(work_s={"GET /": OWN_S}),
            "backends": Demands(work_s={"GET /": calls * WORK_S}),
        },
        path=often,
        calls_all=False,
        cv=0.0,
        residual=Law(mean_s=0.0),
    )
    return Model(cores=2.0, stations=(THREAD, BACKENDS), pools=(POOL,), programs=(steps,))


@pytest.mark.parametrize("calls", [0.3, 1.0, 2.5, 20.0])
def test_every_call_takes_its_time_and_no_work_is_lost(calls: float) -> None:
    found = demands(made(calls))
    assert found.cpu_s["backends"] == pytest.approx(calls * WORK_S)
    assert found.cpu_s["thread"] == pytest.approx(OWN_S)
    assert found.visits["backends"] == pytest.approx(calls)
    assert found.held_s["database connections"] == pytest.approx(calls * CALL_S)
    assert found.own_s == pytest.approx(OWN_S + calls * CALL_S)


def test_a_slower_dependency_is_waited_for_twenty_times() -> None:
    before = made(20.0)
    after = Slower("database", 0.005).predict(before)
    assert demands(after).own_s - demands(before).own_s == pytest.approx(20 * 0.005)


def test_an_n_plus_1_that_is_mended_leaves_one_call_of_twenty() -> None:
    after = FewerCalls("GET /", "database", 20, 1).predict(made(20.0))
    found = demands(after)
    assert found.cpu_s["backends"] == pytest.approx(WORK_S)
    assert found.own_s == pytest.approx(OWN_S + CALL_S)

"""A statement kept inside the service, in a model: what hits spare, and what they do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.changes import NotPredictedError
from loadpath.experiment.caching.kept_calls import KeptCall
from loadpath.model.demands import demands
from loadpath.model.network import (
    Acquire,
    Attempt,
    Delay,
    Law,
    Maybe,
    Model,
    Pool,
    Program,
    Release,
    Serve,
    Station,
    Step,
    call_name,
)

SHAPE = "SELECT name FROM item WHERE id = $1"
NAME = call_name("database", SHAPE)
OWN = Serve("loop", Law(mean_s=1e-3))
BEFORE = Serve("loop", Law(mean_s=2e-3), NAME)
CALL: tuple[Step, ...] = (
    Delay(Law(mean_s=1e-4), "database", NAME),
    Serve("backend", Law(mean_s=4e-3), NAME),
)
OTHER = Serve("backend", Law(mean_s=1e-3), call_name("database", "SELECT 2"))
LEASED = (Acquire("connections"), *CALL, Release("connections"))


def model_of(*steps: Step) -> Model:
    return Model(
        cores=2,
        stations=(
            Station(name="loop", part="service"),
            Station(name="backend", part="database", servers=5),
        ),
        pools=(Pool(name="connections", part="database", size=5),),
        programs=(Program(operation="GET /", weight=1, steps=steps),),
    )


def kept(*steps: Step, hits: float = 0.75, with_own: bool = False) -> Model:
    return KeptCall("database", SHAPE, hits, with_own).predict(model_of(*steps))


@given(st.floats(0, 1))
def test_misses_alone_are_asked_of_the_database(hits: float) -> None:
    steps = (OWN, BEFORE, *LEASED, OWN, OTHER, OWN)
    found = demands(kept(*steps, hits=hits))
    assert found.cpu_s["backend"] == pytest.approx((1 - hits) * 4e-3 + 1e-3)
    assert found.cpu_s["loop"] == pytest.approx(5e-3)
    # Whoever finds its rows needs no connection.
    assert found.held_s["connections"] == pytest.approx((1 - hits) * 4.1e-3)
    most = demands(kept(*steps, hits=hits, with_own=True))
    assert most.cpu_s["loop"] == pytest.approx(3e-3 + (1 - hits) * 2e-3)
    assert most.cpu_s["backend"] == pytest.approx(found.cpu_s["backend"])


@pytest.mark.parametrize(
    "around",
    [
        lambda steps: (Maybe(0.5, steps),),
        lambda steps: (Maybe(0.5, (), steps),),
        lambda steps: (Attempt(steps, timeout_s=1.0),),
        lambda steps: (*steps, OWN, *steps),
    ],
)
def test_a_call_is_found_wherever_it_stands(around) -> None:  # type: ignore[no-untyped-def]
    steps = around((BEFORE, *CALL))
    without = demands(model_of(*steps)).cpu_s["backend"]
    assert demands(kept(*steps)).cpu_s["backend"] == pytest.approx(without / 4)


def test_a_connection_that_others_need_as_well_stays_taken() -> None:
    steps = (Acquire("connections"), *CALL, OWN, OTHER, Release("connections"))
    found = demands(kept(*steps, hits=1.0))
    assert found.held_s["connections"] == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("text", "spared"), [("SELECT pg_advisory_unlock_all()", True), ("SELECT x FROM other", False)]
)
def test_at_most_the_whole_lease_is_spared_where_it_is_for_this_call(
    text: str, spared: bool
) -> None:
    other = call_name("database", text)
    lease = (Acquire("connections"), *CALL, OWN, Serve("backend", Law(mean_s=1e-3), other))
    steps = (BEFORE, *lease, Release("connections"), OWN)
    least = demands(kept(*steps, hits=1.0))
    assert least.cpu_s == pytest.approx({"loop": 4e-3, "backend": 1e-3})
    most = demands(kept(*steps, hits=1.0, with_own=True))
    if spared:
        assert most.cpu_s == pytest.approx({"loop": 1e-3, "backend": 0.0})
    else:
        assert most.cpu_s == pytest.approx({"loop": 2e-3, "backend": 1e-3})


def test_what_nobody_asks_cannot_be_kept() -> None:
    with pytest.raises(NotPredictedError, match="no operation was seen to ask database SELECT"):
        kept(OWN, OTHER)

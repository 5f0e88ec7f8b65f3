"""What flows say of themselves, and how much is written under a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadpath.experiment.crash.flows import FlowFacts, flow_facts
from loadpath.experiment.crash.load import reading_back, with_more_writes
from loadpath.spec import (
    ClosedArrivals,
    OpenArrivals,
    Operation,
    Service,
    Setup,
    Workload,
    load,
)

FLOWS = """
from loadpath.flow import get, operation, post, still_holds

@operation("POST /orders", weight=1)
def order(state):
    token = state.attempt("order")
    yield post("/orders", json={"token": token}, retries=2)

@operation("POST /paid")
def paid(state):
    order = state.any_acknowledged("order")
    yield post("/paid", json={"order": order.number})

@operation("GET /orders")
def orders(state):
    yield get("/orders")

@still_holds("order")
def there(order):
    yield get("/orders")
"""


def setup(rate_per_s: float, *, writes: float = 1.0, closed: bool = False) -> Setup:
    arrivals = ClosedArrivals(50, 1.0) if closed else OpenArrivals(rate_per_s)
    return Setup(
        service=Service(name="s", directory=Path(), start=("s",)),
        workload=Workload(
            arrivals=arrivals,
            operations=(
                Operation(name="GET /orders", weight=100 - writes),
                Operation(name="POST /orders", weight=writes),
            ),
        ),
    )


FACTS = {"POST /orders": FlowFacts(announces=True)}


def rates(made: Setup) -> dict[str, float]:
    arrivals = made.workload.arrivals
    assert isinstance(arrivals, OpenArrivals)
    total = sum(o.weight for o in made.workload.operations)
    return {o.name: arrivals.rate_per_s * o.weight / total for o in made.workload.operations}


def test_flows_tell_what_they_announce_and_how_often_they_try_again(tmp_path: Path) -> None:
    (tmp_path / "workload.py").write_text(FLOWS)
    workload = Workload(arrivals=OpenArrivals(1.0), operations=(), flows=tmp_path / "workload.py")
    facts = flow_facts(workload)
    assert facts["POST /orders"] == FlowFacts(retries=2, announces=True)
    assert facts["GET /orders"] == FlowFacts()
    # It needs what nobody has acknowledged: that is no error of anybody's, and tells nothing.
    assert facts["POST /paid"] == FlowFacts()
    made = reading_back(
        Setup(
            service=Service(name="s", directory=Path(), start=("s",)),
            workload=Workload(
                arrivals=OpenArrivals(1.0),
                operations=(Operation(name="GET /orders"),),
                flows=tmp_path / "workload.py",
            ),
        )
    )
    assert [o.reads_back for o in made.workload.operations] == [None, "order"]


@pytest.mark.parametrize(
    ("rate_per_s", "writes_per_s"), [(200.0, 40.0), (100.0, 25.0), (8000.0, 80.0)]
)
def test_writes_are_added_on_top_of_all_the_rest(rate_per_s: float, writes_per_s: float) -> None:
    before, after = setup(rate_per_s), with_more_writes(setup(rate_per_s), FACTS)
    assert rates(after)["POST /orders"] == pytest.approx(writes_per_s)
    assert rates(after)["GET /orders"] == pytest.approx(rates(before)["GET /orders"])


def test_nothing_is_added_where_nothing_is_followed_or_users_wait() -> None:
    assert with_more_writes(setup(200.0), {}) == setup(200.0)
    closed = setup(200.0, closed=True)
    assert with_more_writes(closed, FACTS) == closed
    many = setup(200.0, writes=30.0)
    assert with_more_writes(many, FACTS) == many


def test_the_example_of_a_service_of_somebody_else_can_be_loaded_and_followed() -> None:
    made = load(Path(__file__).resolve().parents[4] / "examples" / "kinto", environ={})
    facts = flow_facts(made.workload)
    assert facts["PUT /records/{id}"] == facts["POST /records"] == FlowFacts(2, announces=True)
    # Half of its load is followed already: nothing has to be added.
    assert with_more_writes(made, facts) == made

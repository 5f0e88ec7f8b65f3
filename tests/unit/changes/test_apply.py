"""What each change does to a setup, and which say that they cannot be made for real."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from loadpath.changes import Known, NotAppliedError, applied, parse, parse_all
from loadpath.spec import ClosedArrivals, OpenArrivals, Setup


def made(text: str, known: Known) -> Setup:
    return parse(text, known).apply(known.setup)


def test_more_users_are_a_higher_rate(known: Known) -> None:
    arrivals = made("users x2", known).workload.arrivals
    assert isinstance(arrivals, OpenArrivals)
    assert arrivals.rate_per_s == 400


def test_more_users_of_a_closed_load_are_more_users(known: Known) -> None:
    workload = replace(known.setup.workload, arrivals=ClosedArrivals(50, 1.0))
    closed = Known(replace(known.setup, workload=workload), cores=4)
    assert made("users x1.5", closed).workload.arrivals == ClosedArrivals(75, 1.0)


def test_another_mix_is_driven(known: Known) -> None:
    weights = [
        operation.weight for operation in made("mix GET /books=50%", known).workload.operations
    ]
    assert weights == pytest.approx([0.5 * 80 / 90, 0.5 * 10 / 90, 0.5])


def test_workers_and_knobs_and_cores_are_set(known: Known) -> None:
    assert made("workers=4", known).worker_count == 4
    assert made("pool=20", known).knob_env() == {"DB_POOL": "20", "MODE": "fast"}
    assert made("mode=slow", known).knob_env() == {"DB_POOL": "10", "MODE": "slow"}
    assert made("cores=1", known).cores == 1


def test_a_slower_dependency_is_held_back_by_a_relay(known: Known) -> None:
    assert made("database +5ms", known).delays == {"database": 0.005}


def test_delays_add_up(known: Known) -> None:
    setup, reasons = applied(parse_all(["database +5ms", "database +1ms"], known), known.setup)
    assert setup.delays == {"database": pytest.approx(0.006)}
    assert reasons == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cores=8", "this host has 4 cores"),
        ("database +300us", "too coarse"),
        ("database elsewhere +1ms", "one host"),
        ("calls GET /books database 20->1", "the service's code"),
        ("cache GET /{code} 30s", "loadpath ask cache"),
        ("queue POST /books", "the service's code"),
        ("split GET /books", "drives one address"),
        ("code 20% faster", "nobody has written"),
    ],
)
def test_what_cannot_be_made_for_real_says_why(known: Known, text: str, why: str) -> None:
    with pytest.raises(NotAppliedError, match=why):
        made(text, known)


def test_of_several_those_are_made_that_can_be(known: Known) -> None:
    setup, reasons = applied(parse_all(["users x2", "split GET /books"], known), known.setup)
    assert isinstance(setup.workload.arrivals, OpenArrivals)
    assert setup.workload.arrivals.rate_per_s == 400
    assert reasons == ("split GET /books: the load engine drives one address, and this takes two",)

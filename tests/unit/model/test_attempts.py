"""Timeouts, retries, patience and abandoned work, in cases that can be worked out by hand."""

from __future__ import annotations

import pytest

from loadpath.model.network import (
    Acquire,
    Attempt,
    Delay,
    Law,
    Model,
    Release,
    Serve,
    Spawn,
    Step,
)
from loadpath.model.simulate import OpenRate, Simulated, simulate

from .models import constant, model, pool, station


def apart(subject: Model, period_s: float = 10.0) -> Simulated:
    """One request at a time, evenly."""
    return simulate(subject, OpenRate(1 / period_s, "evenly"), requests=2000)


def test_every_try_times_out_and_the_waits_between_them_double() -> None:
    hopeless = Attempt((Delay(constant(1.0)),), timeout_s=0.3, retries=2, backoff_s=0.1)
    after = model(hopeless, Delay(constant(99.0)))
    found = apart(after)
    assert found.overall.timed_out_ratio == 1
    assert found.overall.errors_ratio.value == 1
    assert found.throughput_per_s.value == 0
    # In the system: three timeouts, waits of 0.1 and 0.2 s, and nothing after them.
    assert found.in_system * 10 == pytest.approx(3 * 0.3 + 0.1 + 0.2, rel=0.01)


def test_a_try_in_time_goes_on_with_the_steps_behind_it() -> None:
    fine = model(Attempt((Delay(constant(1.0)),), timeout_s=1.1, retries=2), Delay(constant(0.5)))
    found = apart(fine)
    assert found.overall.p50_s.value == pytest.approx(1.5)
    assert found.overall.errors_ratio.value == 0


def test_each_try_draws_anew() -> None:
    coin = Law(kind="empirical", mean_s=0.55, cv=0.82, values_s=(0.1, 1.0))
    tossed = model(Attempt((Delay(coin),), timeout_s=0.5, retries=1))
    found = simulate(tossed, OpenRate(1), requests=40_000)
    assert found.overall.timed_out_ratio == pytest.approx(0.25, abs=0.02)
    # Of those that end well, two thirds did at once and one third after one timeout.
    assert found.overall.mean_s.value == pytest.approx((2 * 0.1 + 0.6) / 3, rel=0.02)


@pytest.mark.parametrize(("cancels", "visits"), [(True, 1), (False, 2)])
def test_what_a_given_up_try_began_at_a_station_is_finished_there(
    cancels: bool, visits: int
) -> None:
    steps: tuple[Step, ...] = (Serve("s", constant(1.0)), Serve("s", constant(1.0)))
    abandoned = model(Attempt(steps, timeout_s=0.3, cancels=cancels), stations=(station(),))
    found = apart(abandoned)
    assert found.overall.timed_out_ratio == 1
    assert found.stations[0].visits_per_s == pytest.approx(visits / 10, rel=0.01)
    assert found.stations[0].utilization == pytest.approx(visits / 10, rel=0.01)


def test_retries_of_abandoned_work_multiply_the_load() -> None:
    storm = model(
        Attempt((Serve("s", constant(1.0)),), timeout_s=0.3, retries=3), stations=(station(),)
    )
    assert apart(storm).stations[0].utilization == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize(
    ("step", "until_s"),
    [(Serve("s", constant(1.0)), 1.0), (Delay(constant(1.0)), 0.3)],
    ids=["a visit is finished first", "a delay is not"],
)
def test_a_given_up_try_gives_back_what_it_holds(step: Step, until_s: float) -> None:
    held = model(
        Attempt((Acquire("p"), step, Release("p")), timeout_s=0.3),
        stations=(station(),),
        pools=(pool("p", 2),),
    )
    found = apart(held)
    assert found.pools[0].utilization == pytest.approx(until_s / 10 / 2, rel=0.01)


def test_a_timeout_ends_the_tries_inside_it() -> None:
    inner = Attempt((Acquire("p"), Delay(constant(1.0)), Release("p")), timeout_s=0.5, retries=100)
    outer = model(Attempt((inner,), timeout_s=0.7), pools=(pool("p", 5),))
    found = apart(outer)
    assert found.overall.timed_out_ratio == 1
    assert found.in_system * 10 == pytest.approx(0.7, rel=0.01)
    assert found.pools[0].grants_per_s * 10 == pytest.approx(2, rel=0.01)
    assert found.pools[0].utilization * 10 * 5 == pytest.approx(0.7, rel=0.01)


def test_patience_ends_a_request_that_waits_for_a_slot() -> None:
    """One slot, held 1 s; requests every 0.6 s wait 0.2 s at most: every other one gives up."""
    busy = model(
        Acquire("p", patience_s=0.2),
        Delay(constant(1.0)),
        Release("p"),
        pools=(pool("p", 1),),
    )
    found = apart(busy, 0.6)
    assert found.overall.no_slot_ratio == pytest.approx(0.5)
    assert found.overall.p50_s.value == pytest.approx(1.0)
    assert found.pools[0].utilization == pytest.approx(1 / 1.2, rel=0.01)
    assert found.overall.errors_ratio.value == pytest.approx(0.5)


def test_who_gives_up_a_slot_gives_back_the_others_it_holds() -> None:
    nested = model(
        Acquire("outer"),
        Acquire("inner", patience_s=0.2),
        Delay(constant(1.0)),
        Release("inner"),
        Release("outer"),
        pools=(pool("outer", 2), pool("inner", 1)),
    )
    found = apart(nested, 0.6)
    assert found.overall.no_slot_ratio == pytest.approx(0.5)
    # Of every 1.2 s: 1 s held by who gets both, 0.2 s by who waits for the inner one in vain.
    assert found.pools[0].utilization == pytest.approx(1.2 / 1.2 / 2, rel=0.01)


def test_a_lost_slot_is_tried_for_again_within_an_attempt() -> None:
    again = model(
        Attempt(
            (Acquire("p", patience_s=0.2), Delay(constant(1.0)), Release("p")),
            timeout_s=50,
            retries=1,
            backoff_s=0.3,
        ),
        pools=(pool("p", 1),),
    )
    found = apart(again, 0.95)
    # The second request waits 0.05 s, and so on: no one loses its slot until the line is 0.2 s.
    assert found.overall.no_slot_ratio < 0.1


def test_spawned_work_that_fails_fails_alone() -> None:
    audited = model(
        Spawn((Attempt((Delay(constant(1.0)),), timeout_s=0.1),)),
        Delay(constant(0.2)),
    )
    found = apart(audited)
    assert found.overall.errors_ratio.value == 0
    assert found.overall.p50_s.value == pytest.approx(0.2)

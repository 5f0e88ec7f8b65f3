"""The simulation beside what is known exactly."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadpath.model.exact import md1, mg1, mm1_quantile_s, mmc, mva
from loadpath.model.network import Delay, Law, Maybe, Model, Serve, Spawn
from loadpath.model.simulate import Estimate, OpenRate, Users, simulate

from .models import NESTED, constant, exponential, model, queue, station
from .test_exact import DEMANDS_S, TIMESHARING

LONG: Any = {"requests": 400_000, "confidence": 0.99}
"""Of 95 % intervals, two or three of those below would miss by chance alone."""


def holds(estimate: Estimate, truth: float, *, at_most: float = 0.05) -> bool:
    """Whether it lies in the interval, and the interval says something."""
    assert estimate.high - estimate.low <= 2 * at_most * truth, "the interval is too wide"
    return estimate.low <= truth <= estimate.high


@pytest.mark.parametrize("utilization", [0.3, 0.6, 0.8])
def test_a_single_exponential_server_is_mm1(utilization: float) -> None:
    found = simulate(queue(exponential(1.0)), OpenRate(utilization), **LONG, seed=1)
    assert holds(found.overall.mean_s, 1 / (1 - utilization))
    for estimate, q in ((found.overall.p50_s, 0.5), (found.overall.p99_s, 0.99)):
        assert holds(estimate, mm1_quantile_s(utilization, 1.0, q), at_most=0.1)
    assert found.stations[0].utilization == pytest.approx(utilization, rel=0.01)


@pytest.mark.parametrize("discipline", ["fifo", "ps"])
@pytest.mark.parametrize("on_host", [True, False])
def test_several_exponential_servers_are_mmc(discipline: str, on_host: bool) -> None:
    several = queue(exponential(1.0), 3, discipline=discipline, on_host=on_host)  # type: ignore[arg-type]
    found = simulate(several, OpenRate(2.4), **LONG, seed=2)
    exact = mmc(2.4, 1.0, 3)
    assert holds(found.overall.mean_s, exact.response_time_s)
    assert found.stations[0].jobs == pytest.approx(exact.jobs, rel=0.05)


def test_a_constant_server_is_md1() -> None:
    found = simulate(queue(constant(1.0)), OpenRate(0.8), **LONG, seed=3)
    assert holds(found.overall.mean_s, md1(0.8, 1.0).response_time_s)


@pytest.mark.parametrize(
    "law",
    [
        Law(kind="gamma", mean_s=1.0, cv=0.5),
        Law(kind="gamma", mean_s=1.0, cv=2.0),
        Law(kind="lognormal", mean_s=1.0, cv=1.0),
        Law(kind="empirical", mean_s=1.0, cv=0.5, values_s=(0.5, 1.5)),
    ],
    ids=lambda law: f"{law.kind}-{law.cv}",
)
def test_any_law_at_one_server_is_mg1_first_come_and_mm1_shared(law: Law) -> None:
    first_come = simulate(queue(law), OpenRate(0.7), **LONG, seed=4)
    assert holds(first_come.overall.mean_s, mg1(0.7, 1.0, law.cv).response_time_s, at_most=0.1)
    shared = simulate(queue(law, discipline="ps"), OpenRate(0.7), **LONG, seed=4)
    assert holds(shared.overall.mean_s, 1 / 0.3)


@pytest.mark.parametrize("cores", [0.5, 1.0])
def test_threads_without_end_share_the_cores_as_one_shared_processor(cores: float) -> None:
    """Each thread runs at the speed min(1, cores / busy), which for one core or less is M/G/1-PS
    with the cores' speed."""
    threads = msgspec.structs.replace(
        queue(Law(kind="lognormal", mean_s=1.0, cv=1.5), 10_000), cores=cores
    )
    found = simulate(threads, OpenRate(0.6 * cores), **LONG, seed=5)
    if cores == 1:
        assert holds(found.overall.mean_s, 1 / 0.4)
    else:
        assert holds(found.overall.mean_s, 1 / (0.5 * 0.4))
    assert found.cores_utilization == pytest.approx(0.6, rel=0.02)


@pytest.mark.parametrize(("users", "throughput", "response_s", "jobs"), TIMESHARING)
def test_a_closed_network_gives_the_published_table(
    users: int, throughput: float, response_s: float, jobs: tuple[float, ...]
) -> None:
    names = ("cpu", "a", "b")
    timesharing = model(
        *(Serve(name, exponential(d)) for name, d in zip(names, DEMANDS_S, strict=True)),
        stations=tuple(station(name) for name in names),
    )
    found = simulate(timesharing, Users(users, 4.0), **LONG, seed=6)
    exact = mva(DEMANDS_S, users, 4.0)
    assert exact.throughput_per_s == pytest.approx(throughput, abs=0.0005)
    assert found.throughput_per_s.low <= exact.throughput_per_s <= found.throughput_per_s.high
    assert found.overall.mean_s.low <= exact.response_time_s <= found.overall.mean_s.high
    for use, expected in zip(found.stations, jobs, strict=True):
        assert use.jobs == pytest.approx(expected, rel=0.05)
    assert response_s == pytest.approx(exact.response_time_s, abs=0.0005)


def test_the_same_seed_gives_the_same_figures_and_another_seed_others() -> None:
    first, again, other = (
        simulate(NESTED, OpenRate(1000), requests=20_000, seed=s) for s in (1, 1, 2)
    )
    assert first == again
    assert first.overall.mean_s != other.overall.mean_s


def test_operations_share_the_load_by_their_weights() -> None:
    one = queue(constant(0.001)).programs[0]
    rare = msgspec.structs.replace(one, operation="rare", weight=0.25)
    mix = msgspec.structs.replace(queue(constant(0.001)), programs=(one, rare))
    found = simulate(mix, OpenRate(100), requests=100_000)
    assert [o.operation for o in found.operations] == ["visit", "rare"]
    assert found.operations[1].requests == pytest.approx(20_000, rel=0.03)
    assert found.operations[1].throughput_per_s == pytest.approx(20, rel=0.03)


def test_an_idle_server_pays_for_waking_and_a_busy_one_does_not() -> None:
    waking = model(Serve("s", constant(0.2)), stations=(station(wakeup_s=0.6),))
    slow = simulate(waking, OpenRate(0.1, "evenly"), requests=1000)
    assert slow.overall.mean_s.value == pytest.approx(0.8)
    assert slow.stations[0].utilization == pytest.approx(0.08, rel=0.01)
    busy = simulate(waking, Users(2), requests=1000)
    assert busy.throughput_per_s.value == pytest.approx(5.0, rel=0.01)


def test_the_law_of_demand_that_falls_with_load() -> None:
    """U = λ(d + s) / (1 + λs) for exponential work d and wake-ups s: an idle server is found by
    the share 1 - U of arrivals, so U = λ(d + (1 - U) s)."""
    d, s, rate = 0.2, 0.68, 2.0
    waking = model(Serve("s", exponential(d)), stations=(station(wakeup_s=s),))
    found = simulate(waking, OpenRate(rate), requests=200_000)
    assert found.stations[0].utilization == pytest.approx(rate * (d + s) / (1 + rate * s), rel=0.02)


def test_a_branch_is_taken_with_its_probability() -> None:
    branch = model(Maybe(0.25, (Delay(constant(4.0)),), (Delay(constant(1.0)),)))
    found = simulate(branch, OpenRate(1), requests=100_000)
    assert holds(found.overall.mean_s, 0.25 * 4 + 0.75)
    assert found.overall.p50_s.value == pytest.approx(1.0)
    assert found.overall.p90_s.value == pytest.approx(4.0)


@pytest.mark.parametrize("every", [1.0, 4.0, 2.5])
def test_what_is_spawned_takes_its_station_but_no_reply_waits_for_it(every: float) -> None:
    batch = model(
        Spawn((Serve("s", constant(0.1)),), every),
        Delay(constant(0.001)),
        stations=(station(),),
    )
    found = simulate(batch, OpenRate(5), requests=50_000)
    assert found.overall.p999_s.value == pytest.approx(0.001)
    assert found.stations[0].visits_per_s == pytest.approx(5 / every, rel=0.02)
    assert found.stations[0].utilization == pytest.approx(0.5 / every, rel=0.02)


@pytest.mark.parametrize(
    ("rate", "stable", "told"), [(0.5, True, True), (0.95, True, False), (1.2, False, False)]
)
def test_near_saturation_a_response_time_has_bounds_and_no_value(
    rate: float, stable: bool, told: bool
) -> None:
    found = simulate(queue(exponential(1.0)), OpenRate(rate), requests=100_000)
    assert (found.stable, found.near_saturation) == (stable, not told)
    assert (found.overall.p99_s.value is not None) == told
    assert found.overall.p99_s.low < found.overall.p99_s.high


def test_an_overload_ends_soon_and_says_so() -> None:
    found = simulate(queue(exponential(1.0)), OpenRate(50.0), requests=2_000_000, replications=2)
    assert not found.stable
    assert found.throughput_per_s.value == pytest.approx(1.0, rel=0.1)
    assert found.busiest == ("s", pytest.approx(1.0, abs=1e-3))


def test_a_model_without_stations_is_delays_alone() -> None:
    empty: Model = model(Delay(exponential(2.0)))
    found = simulate(empty, OpenRate(10), **LONG)
    assert holds(found.overall.mean_s, 2.0)
    assert found.in_system == pytest.approx(20, rel=0.02)
    assert found.busiest == ("cores", 0.0)


@pytest.mark.parametrize("rate_per_s", [1000.0, 5000.0])
def test_a_system_that_is_still_filling_is_not_taken_for_an_overload(rate_per_s: float) -> None:
    """A window of 2.4 or 0.5 s, after a warm-up that must be longer than a delay of 1 s."""
    empty: Model = model(Delay(exponential(1.0)))
    found = simulate(empty, OpenRate(rate_per_s), requests=24_000)
    assert found.stable
    assert found.in_system == pytest.approx(rate_per_s, rel=0.03)

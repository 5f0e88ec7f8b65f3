"""Closed forms beside figures that were published, and the bounds around them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.model.bounds import bounds
from loadpath.model.exact import md1, mg1, mm1, mm1_quantile_s, mmc, mva
from loadpath.model.network import Acquire, Delay, Maybe, Release, Serve
from loadpath.model.simulated import OpenRate, Users

from .models import constant, exponential, model, pool, queue, station

# Jain (1991), The Art of Computer Systems Performance Analysis, table 34.1: a timesharing system
# with a CPU and disks A and B, think time 4 s. Users, throughput, response time, jobs at each.
DEMANDS_S = (16 * 0.125, 10 * 0.3, 5 * 0.2)
TIMESHARING = (
    (1, 0.100, 6.000, (0.200, 0.300, 0.100)),
    (2, 0.175, 7.400, (0.421, 0.684, 0.193)),
    (3, 0.229, 9.088, (0.651, 1.158, 0.273)),
    (5, 0.290, 13.256, (1.088, 2.365, 0.388)),
    (20, 0.333, 56.016, (1.991, 16.177, 0.500)),
)


@pytest.mark.parametrize(("users", "throughput", "response_s", "jobs"), TIMESHARING)
def test_mean_value_analysis_gives_the_published_table(
    users: int, throughput: float, response_s: float, jobs: tuple[float, ...]
) -> None:
    found = mva(DEMANDS_S, users, think_s=4.0)
    assert found.throughput_per_s == pytest.approx(throughput, abs=0.0005)
    assert found.response_time_s == pytest.approx(response_s, abs=0.0005)
    assert found.jobs == pytest.approx(jobs, abs=0.0005)


def test_single_queues_by_hand() -> None:
    assert mm1(0.8, 1.0).response_time_s == pytest.approx(5.0)
    assert mm1_quantile_s(0.8, 1.0, 0.99) == pytest.approx(23.0259, abs=1e-4)
    # Erlang's C for 2 servers with 1 of offered load is 1/3.
    assert mmc(1.0, 1.0, 2).response_time_s == pytest.approx(1 + 1 / 3)
    assert md1(0.8, 1.0).response_time_s == pytest.approx(3.0)
    assert mg1(0.8, 1.0, 1.0).response_time_s == pytest.approx(5.0)
    assert mg1(0.5, 2e-3 / 2, 0.0).utilization == pytest.approx(0.0005)


@pytest.mark.parametrize("rate_per_s", [1.0, 1.5])
def test_a_queue_at_or_beyond_saturation_has_no_steady_state(rate_per_s: float) -> None:
    with pytest.raises(ValueError, match="expected less than 1"):
        mm1(rate_per_s, 1.0)


@given(
    demands_s=st.lists(st.floats(0.01, 2), min_size=1, max_size=5),
    users=st.integers(1, 40),
    think_s=st.floats(0, 20),
)
def test_the_exact_solution_lies_within_balanced_and_these_within_asymptotic_bounds(
    demands_s: list[float], users: int, think_s: float
) -> None:
    stations = tuple(station(f"s{k}") for k in range(len(demands_s)))
    plain = model(
        *(Serve(s.name, exponential(d)) for s, d in zip(stations, demands_s, strict=True)),
        stations=stations,
    )
    exact = bounds(plain, Users(users, think_s))
    assert exact.method == "exact"
    # Of two operations no closed form is known here; the bounds for the same demands hold as well.
    twice = (plain.programs[0], plain.programs[0])
    wide = bounds(msgspec.structs.replace(plain, programs=twice), Users(users, think_s))
    assert wide.method == "asymptotic"
    slack = 1 + 1e-9
    assert wide.throughput_low_per_s <= exact.throughput_low_per_s * slack
    assert exact.throughput_high_per_s <= wide.throughput_high_per_s * slack
    assert wide.response_low_s <= exact.response_low_s * slack
    assert exact.response_high_s <= wide.response_high_s * slack


def test_open_bounds_are_exact_for_single_queues_and_balanced_for_product_forms() -> None:
    assert bounds(queue(constant(1.0)), OpenRate(0.8)).response_high_s == pytest.approx(3.0)
    two = model(
        Serve("a", exponential(1.0)),
        Delay(constant(4.0)),
        Serve("b", exponential(0.5)),
        stations=(station("a"), station("b")),
    )
    found = bounds(two, OpenRate(0.8))
    assert found.method == "balanced"
    true_s = 1 / 0.2 + 0.5 / 0.6 + 4.0
    assert found.response_low_s <= true_s <= found.response_high_s


def test_a_pool_bounds_throughput_by_how_long_it_is_held() -> None:
    held = model(
        Maybe(0.25, (Acquire("p"), Delay(constant(2.0)), Release("p"))), pools=(pool("p", 3),)
    )
    found = bounds(held, OpenRate(100.0))
    assert found.throughput_high_per_s == pytest.approx(3 / 0.5)
    assert found.response_high_s == float("inf")

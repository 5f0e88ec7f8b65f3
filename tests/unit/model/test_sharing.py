"""A station whose jobs share what they cause."""

from __future__ import annotations

import msgspec
import pytest

from loadpath.model.network import Law, Model, Program, Serve, Station
from loadpath.model.simulate import simulate
from loadpath.model.simulated import OpenRate

WORK_S, SHARED_S, WINDOW_S = 3e-5, 8e-4, 2e-3


def sharing(servers: int = 1) -> Model:
    station = Station(
        name="s", part="service", servers=servers, shared_s=SHARED_S, window_s=WINDOW_S
    )
    steps = (Serve("s", Law(mean_s=WORK_S)),)
    return Model(
        cores=64,
        stations=(station,),
        pools=(),
        programs=(Program(operation="x", weight=1, steps=steps),),
    )


@pytest.mark.parametrize("servers", [1, 4])
@pytest.mark.parametrize("rate_per_s", [200.0, 1000.0, 3000.0])
def test_it_is_paid_as_often_as_a_counter_with_dead_time_counts(
    servers: int, rate_per_s: float
) -> None:
    seen = simulate(sharing(servers), OpenRate(rate_per_s), requests=40_000, seed=3)
    paid = rate_per_s / (1 + rate_per_s * WINDOW_S / servers)
    expected = rate_per_s * WORK_S + SHARED_S * paid
    assert seen.stations[0].cpu_cores == pytest.approx(expected, rel=0.02)


def test_without_a_window_every_job_pays() -> None:
    model = sharing()
    station = msgspec.structs.replace(model.stations[0], window_s=0.0, shared_s=1e-4)
    model = msgspec.structs.replace(model, stations=(station,))
    seen = simulate(model, OpenRate(1000.0), requests=40_000, seed=3)
    assert seen.stations[0].cpu_cores == pytest.approx(1000 * (WORK_S + 1e-4), rel=0.02)

"""The simulation beside what is known exactly."""

from __future__ import annotations

import pytest

from loadpath.model.network import Law, Model, Program, Serve, Station
from loadpath.model.simulate import OpenRate, simulate

ONE = Law(kind="exponential", mean_s=1.0)


def queue(*, servers: int = 1, law: Law = ONE, discipline: str = "fifo") -> Model:
    """A single station with cores to spare."""
    station = Station(name="s", part="p", servers=servers, discipline=discipline)  # type: ignore[arg-type]
    return Model(
        cores=float(servers),
        stations=(station,),
        pools=(),
        programs=(Program(operation="visit", weight=1.0, steps=(Serve("s", law),)),),
    )


@pytest.mark.parametrize("utilization", [0.3, 0.6, 0.8])
def test_a_single_exponential_server_is_mm1(utilization: float) -> None:
    found = simulate(queue(), OpenRate(utilization), requests=400_000, seed=1)
    mean_s = found.overall.mean_s
    assert mean_s.low <= 1 / (1 - utilization) <= mean_s.high
    assert found.stations[0].utilization == pytest.approx(utilization, rel=0.02)


def test_the_same_seed_gives_the_same_figures_and_another_seed_others() -> None:
    first, again, other = (
        simulate(queue(), OpenRate(0.5), requests=10_000, seed=s) for s in (1, 1, 2)
    )
    assert first == again
    assert first.overall.mean_s != other.overall.mean_s

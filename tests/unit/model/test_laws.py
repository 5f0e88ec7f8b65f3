"""What holds for every model, and an independent simulator of one of them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loadpath.model.capacity import saturation
from loadpath.model.demands import demands, limits
from loadpath.model.network import (
    Acquire,
    Delay,
    Law,
    Maybe,
    Model,
    Program,
    Release,
    Serve,
    Spawn,
    Step,
)
from loadpath.model.simulate import OpenRate, Users, simulate
from loadpath.stats.intervals import mean_interval

from .models import NESTED, pool, station
from .oracle import two_pools

EXAMPLES = settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)

LAWS = st.builds(
    Law,
    kind=st.sampled_from(["constant", "exponential", "gamma", "lognormal"]),
    mean_s=st.floats(0.01, 1.0),
    cv=st.floats(0.2, 1.5),
)
SIMPLE = st.one_of(st.builds(Serve, st.sampled_from(["a", "b", "c"]), LAWS), st.builds(Delay, LAWS))


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Three stations, two pools, one or two operations of a few steps."""
    stations = tuple(
        station(
            name,
            draw(st.integers(1, 4)),
            discipline=draw(st.sampled_from(["fifo", "ps"])),
            on_host=draw(st.booleans()),
        )
        for name in ("a", "b", "c")
    )

    def steps(depth: int) -> tuple[Step, ...]:
        found: list[Step] = list(draw(st.lists(SIMPLE, min_size=1, max_size=3)))
        if depth == 0:
            return tuple(found)
        match draw(st.integers(0, 3)):
            case 0:  # pools in one order only, so that no two requests wait for each other
                found += [Acquire("p"), *steps(0), Acquire("q"), *steps(0), Release("q")]
                found += [Release("p")]
            case 1:
                found.append(Maybe(draw(st.floats(0, 1)), steps(0), steps(0)))
            case 2:
                found.append(Spawn(steps(0), draw(st.floats(1, 5))))
        return tuple(found)

    programs = tuple(
        Program(operation=name, weight=draw(st.floats(0.1, 1)), steps=steps(1))
        for name in ("one", "two")[: draw(st.integers(1, 2))]
    )
    return Model(
        cores=draw(st.floats(0.5, 6)),
        stations=stations,
        pools=(pool("p", draw(st.integers(1, 5))), pool("q", draw(st.integers(1, 5)))),
        programs=programs,
    )


@EXAMPLES
@given(subject=models(), load_ratio=st.floats(0.1, 0.6))
def test_flow_is_conserved_and_littles_law_and_the_utilization_law_hold(
    subject: Model, load_ratio: float
) -> None:
    capacity = saturation(subject, requests=8000).value
    rate = min(load_ratio * capacity, 1000.0)
    found = simulate(subject, OpenRate(rate), requests=24_000)
    assert found.stable
    # As many end as come.
    assert found.throughput_per_s.value == pytest.approx(rate, rel=0.03)
    assert sum(o.requests for o in found.operations) == found.overall.requests == 24_000
    # N = X R
    mean_s = (found.overall.mean_s.low + found.overall.mean_s.high) / 2
    assert found.in_system == pytest.approx(found.throughput_per_s.value * mean_s, rel=0.1)
    # U = X D, and nobody is busier than always.
    of = demands(subject)
    for use, said in zip(found.stations, subject.stations, strict=True):
        assert use.cpu_cores == pytest.approx(rate * of.cpu_s[use.name], rel=0.15, abs=0.02)
        assert use.visits_per_s == pytest.approx(rate * of.visits[use.name], rel=0.1, abs=0.02)
        assert use.cpu_cores <= said.servers * use.utilization + 1e-9 <= said.servers + 1e-9
    assert found.cores_utilization <= 1
    for held, of_size in zip(found.pools, subject.pools, strict=True):
        least = rate * of.held_s[held.name] / of_size.size
        assert least * 0.85 - 0.02 <= held.utilization <= 1


@EXAMPLES
@given(subject=models(), users=st.integers(1, 40))
def test_no_throughput_exceeds_the_bounds_and_all_users_are_somewhere(
    subject: Model, users: int
) -> None:
    found = simulate(subject, Users(users, 0.5), requests=6000)
    of = demands(subject)
    foreground = not any(isinstance(s, Spawn) for p in subject.programs for s in p.steps)
    if foreground:  # what is spawned may fall behind without end
        assert found.throughput_per_s.low <= limits(subject)[0].rate_per_s * 1.02
    assert found.throughput_per_s.low <= users / (0.5 + of.own_s) * 1.1
    thinking = found.throughput_per_s.value * 0.5
    assert found.in_system + thinking == pytest.approx(users, rel=0.1)


@EXAMPLES
@given(subject=models(), slower=st.sampled_from(["a", "b", "c"]), factor=st.floats(1.2, 3))
def test_a_slower_station_never_raises_capacity_and_more_cores_never_lower_it(
    subject: Model, slower: str, factor: float
) -> None:
    def slow(step: Step) -> Step:
        if isinstance(step, Serve) and step.station == slower:
            return Serve(
                slower, msgspec.structs.replace(step.work, mean_s=step.work.mean_s * factor)
            )
        return step

    programs = tuple(
        msgspec.structs.replace(p, steps=tuple(slow(s) for s in p.steps)) for p in subject.programs
    )
    before = saturation(subject, requests=16_000)
    slowed = saturation(msgspec.structs.replace(subject, programs=programs), requests=16_000)
    assert slowed.low <= before.high * 1.01
    richer = saturation(msgspec.structs.replace(subject, cores=subject.cores * 2), requests=16_000)
    assert richer.high >= before.low * 0.99


@pytest.mark.parametrize("rate", [1000.0, 3200.0])
def test_an_independent_simulator_of_nested_pools_on_shared_cores_agrees(rate: float) -> None:
    each = [np.array(two_pools(rate, 6000, 1500, seed)) for seed in range(4)]
    ours = simulate(NESTED, OpenRate(rate), requests=400_000, confidence=0.99).overall
    means_s = mean_interval([float(t.mean()) for t in each], 0.99)
    assert ours.mean_s.low <= means_s.high and means_s.low <= ours.mean_s.high
    assert ours.mean_s.value == pytest.approx(means_s.value, rel=0.05)
    slow_s = mean_interval([float(np.quantile(t, 0.99)) for t in each], 0.99)
    assert ours.p99_s.low <= slow_s.high and slow_s.low <= ours.p99_s.high

"""What a model is fitted from, out of recordings of which the truth is known."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from golden_recordings import Cost, Golden, Truth, mix_recording, setup
from golden_wires import Asked, Request, depending, traced, visits

from loadpath.drive import OpenLoad
from loadpath.errors import InconclusiveError
from loadpath.experiment.callpaths import paths_of
from loadpath.experiment.observed import observations_of
from loadpath.experiment.stretches import stretches_of
from loadpath.model.observations import Observations
from loadpath.recording import Recording
from loadpath.spec import Setup

IDLE = Truth(parts={"service": Cost(0.3e-3), "database": Cost(0.1e-3)})
SHOP = depending(setup(), database="postgres")
QUERY = Asked(tap="database", text="SELECT 1", at_s=0.001, lasts_s=0.008)
AGAIN = Asked(tap="database", text="SELECT 2", at_s=0.0091, lasts_s=0.0005)
LATER = Asked(tap="database", text="SELECT 3", at_s=0.0095, lasts_s=0.0005)


def wires(folder: Path, shop: Setup, *asked: Asked, of_mix: tuple[Asked, ...] = ()) -> Recording:
    """Visits that ask this, and a mix of 200 requests that asks `of_mix`, or the same."""
    name = shop.workload.operations[0].name
    mix = [
        Request(
            operation=name, began_s=100 + n / 100, response_s=0.01, asked=tuple(of_mix or asked)
        )
        for n in range(200)
    ]
    return traced(folder, shop, visits(name, asked, 0.01, 1.0), mix, opened={"database": 2})


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Observations:
    folder = tmp_path_factory.mktemp("shop")
    return observations_of([mix_recording(folder, SHOP, IDLE), wires(folder, SHOP, QUERY)])


def test_cpu_is_told_by_group_at_every_rate(seen: Observations) -> None:
    assert {group.part for group in seen.groups} == {"service", "database", "engine"}
    for stretch in seen.stretches:
        if stretch.steady and stretch.rate_per_s > 50:
            offered = sum(stretch.offered_per_s.values())
            assert stretch.cores["service thread"] == pytest.approx(0.3e-3 * offered, rel=0.1)
            assert stretch.cores["database thread"] == pytest.approx(0.1e-3 * offered, rel=0.1)


def test_a_ramp_is_many_rates(tmp_path: Path) -> None:
    golden = Golden(tmp_path, SHOP, IDLE)
    golden.drive("ramp", OpenLoad(rate_per_s=100.0, end_rate_per_s=800.0), duration_s=9.0)
    stretches, _ = stretches_of(golden.recording())
    rates = [stretch.rate_per_s for stretch in stretches]
    assert len(rates) == 6
    assert rates == sorted(rates)
    assert rates[-1] > 4 * rates[0]
    assert not any(stretch.steady for stretch in stretches)


def test_response_times_are_those_of_the_rows(seen: Observations) -> None:
    """Exponential with the capacity that is to spare: 1 / (1000 - 300) at today's 300/s."""
    baseline = next(s for s in seen.stretches if s.purpose == "baseline")
    times = baseline.responses["GET /item"]
    assert times.mean_s == pytest.approx(1 / 700, rel=0.05)
    assert times.p99_s == pytest.approx(4.605 / 700, rel=0.1)
    assert times.quantiles_s == tuple(sorted(times.quantiles_s))


def test_the_knee_and_the_limit_are_carried_over(seen: Observations) -> None:
    assert seen.knee_per_s is not None
    value, low, high = seen.knee_per_s
    assert low < value < high
    assert value == pytest.approx(IDLE.knee_per_s(), rel=0.05)
    assert seen.limit is not None
    assert seen.limit.dependency == "database"
    assert seen.objectives["GET /item"].quantiles[0].limit_s == 0.05


def test_a_path_is_the_calls_with_the_time_between_them(tmp_path: Path) -> None:
    (path,) = paths_of(wires(tmp_path, SHOP, QUERY, LATER))
    first, second = path.exchanges
    assert (first.gap_s, second.gap_s) == pytest.approx((0.001, 0.0005), rel=1e-3)
    assert (first.time.mean_s, second.time.mean_s) == pytest.approx((0.008, 0.0005), rel=1e-3)
    assert path.last_gap_s == pytest.approx(0.0, abs=1e-4)
    assert (first.calls, second.calls) == (1.0, 1.0)


def test_a_connection_is_kept_for_the_call_that_follows_at_once(tmp_path: Path) -> None:
    (path,) = paths_of(wires(tmp_path / "at-once", SHOP, QUERY, AGAIN))
    assert [each.holds for each in path.exchanges] == [True, False]
    much_later = msgspec.structs.replace(AGAIN, at_s=0.0098, lasts_s=0.0002)
    (path,) = paths_of(wires(tmp_path / "later", SHOP, QUERY, much_later))
    assert [each.holds for each in path.exchanges] == [False, False]
    begun = msgspec.structs.replace(QUERY, transaction="open")
    (path,) = paths_of(wires(tmp_path / "open", SHOP, begun, much_later))
    assert [each.holds for each in path.exchanges] == [True, False]


def test_a_call_that_the_mix_seldom_makes_is_made_seldom(tmp_path: Path) -> None:
    """Single visits of rare keys miss a cache that the mix hits."""
    mixed = wires(tmp_path, SHOP, QUERY, of_mix=())
    (path,) = paths_of(mixed)
    assert path.exchanges[0].calls == 1.0
    other = msgspec.structs.replace(QUERY, text="SELECT 9")
    (path,) = paths_of(wires(tmp_path / "hits", SHOP, QUERY, of_mix=(other,)))
    assert path.exchanges[0].calls == 0.0


def test_without_a_recording_of_the_mix_it_says_what_to_record(tmp_path: Path) -> None:
    with pytest.raises(InconclusiveError, match=r"expected a recording named `mix`.*got traced"):
        observations_of([wires(tmp_path, SHOP, QUERY)])

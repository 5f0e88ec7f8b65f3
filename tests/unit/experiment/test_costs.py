"""What each operation costs and where it gives out, from recordings made by formula."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_recordings import (
    Golden,
    Truth,
    look_at_operations,
    setup,
    take_demand,
    today,
)
from hypothesis import given
from hypothesis import strategies as st

from loadpath.drive import OpenLoad
from loadpath.experiment.costs import TILT, mix_demands, operation_costs, tilted
from loadpath.experiment.depth import LEVELS

WEIGHTS = st.dictionaries(st.text(min_size=1), st.floats(0.01, 1000), min_size=2, max_size=6)


class TestTilting:
    @given(WEIGHTS)
    def test_the_operation_gets_clearly_more_and_the_others_keep_their_proportions(
        self, mix: dict[str, float]
    ) -> None:
        name, *others = mix
        share = mix[name] / sum(mix.values())
        found = tilted(mix, name)
        assert sum(found.values()) == pytest.approx(1)
        assert found[name] >= TILT
        # Demand is told by the difference of the two mixes: without one it cannot be told.
        assert found[name] >= min(1.5 * share, (1 + share) / 2) * (1 - 1e-9)
        assert found[name] < 1
        assert [found[o] / found[others[0]] for o in others] == pytest.approx(
            [mix[o] / mix[others[0]] for o in others]
        )

    def test_a_rare_operation_gets_a_quarter(self) -> None:
        assert tilted({"GET": 98.0, "HEAD": 1.0, "POST": 1.0}, "POST") == pytest.approx(
            {"GET": 0.75 * 98 / 99, "HEAD": 0.75 / 99, "POST": 0.25}
        )

    def test_the_only_operation_cannot_be_tilted(self) -> None:
        assert tilted({"POST": 3.0}, "POST") == {"POST": 3.0}
        assert tilted({"POST": 3.0, "GET": 0.0}, "POST") == {"POST": 3.0, "GET": 0.0}


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5])
def test_the_cpu_of_an_operation_that_cannot_be_driven_alone(tmp_path: Path, share: float) -> None:
    shop = setup("GET /item", "POST /order", weights=[1 - share, share], not_alone=["POST /order"])
    truth = Truth(dear={"POST /order": 2.0, "GET /item": 0.5}, steps={"POST /order": 2})
    golden = Golden(tmp_path, shop, truth)
    take_demand(golden, 900.0)
    (cost,) = operation_costs(golden.recording())
    assert (cost.name, cost.alone, cost.knee_per_s) == ("POST /order", False, None)
    assert cost.share == pytest.approx(share)
    rates = [level * 900 for level in LEVELS]
    assert [d.rate_per_s for d in cost.demands] == pytest.approx(rates, rel=0.01)
    for part in ("service", "database"):
        assert [d.parts[part] for d in cost.demands] == pytest.approx(
            [truth.cost(part, rate, {"POST /order": 1.0}) for rate in rates], rel=0.05
        )


def test_the_knee_of_an_operation_over_the_others(tmp_path: Path) -> None:
    truth = Truth()
    golden = Golden(tmp_path, setup("GET /item", "GET /list", weights=[2, 1]), truth)
    look_at_operations(golden, 300.0)
    found = {cost.name: cost for cost in operation_costs(golden.recording())}
    # A ramp that grows by 1.4 a second, judged in half seconds: no finer than a fifth.
    assert found["GET /item"].knee_per_s == pytest.approx(truth.knee_per_s() - 100, rel=0.2)
    assert found["GET /list"].knee_per_s == pytest.approx(truth.knee_per_s() - 200, rel=0.2)
    assert not found["GET /list"].censored
    assert found["GET /list"].alone


def test_an_operation_that_never_misses_has_a_lower_bound(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    load = OpenLoad(rate_per_s=100.0, end_rate_per_s=800.0)
    golden.drive("operation-ramp", load, duration_s=10.0, label="GET /item")
    (cost,) = operation_costs(golden.recording())
    assert cost.censored
    assert cost.knee_per_s == pytest.approx(800)


def test_the_dearest_comes_first_and_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    names = ("GET /cheap", "GET /dear", "GET /unseen")
    truth = Truth(dear={"GET /dear": 3.0, "GET /cheap": 0.2})
    golden = Golden(tmp_path, setup(*names), truth)
    for name in names[:2]:
        load = OpenLoad(rate_per_s=200.0)
        golden.drive("operation-demand", load, weights={name: 1.0}, label=name)
    assert [cost.name for cost in operation_costs(golden.recording())] == [
        "GET /dear",
        "GET /cheap",
    ]


def test_the_demand_of_the_mix_is_told_at_rising_rates(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    today(golden)
    for rate in (700.0, 200.0, 500.0):
        golden.drive("demand", OpenLoad(rate_per_s=rate))
    found = mix_demands(golden.recording())
    assert [d.rate_per_s for d in found] == pytest.approx([200, 500, 700], rel=0.02)

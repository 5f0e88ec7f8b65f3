"""CPU a request: what was metered over what was done, and one operation's part of a mix."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_recordings import Cost, Golden, Truth, setup
from hypothesis import assume, given
from hypothesis import strategies as st

from loadpath.drive import OpenLoad
from loadpath.experiment.demand import Demand, demand_in, untilted

COSTS = st.floats(1e-6, 1.0)


def test_it_is_the_cpu_of_the_parts_over_the_requests_done(tmp_path: Path) -> None:
    truth = Truth(parts={"service": Cost(1e-3), "database": Cost(0.25e-3)}, engine=Cost(2e-5))
    golden = Golden(tmp_path, setup(), truth)
    segment = golden.drive("demand", OpenLoad(rate_per_s=400.0), duration_s=10.0)
    found = demand_in(golden.recording(), [segment])
    assert found is not None
    assert found.rate_per_s == pytest.approx(400, rel=0.01)
    assert found.parts == pytest.approx({"service": 1e-3, "database": 0.25e-3}, rel=0.01)
    assert found.cpu_s == pytest.approx(1.25e-3, rel=0.01)


def test_it_falls_as_the_load_rises(tmp_path: Path) -> None:
    truth = Truth()
    golden = Golden(tmp_path, setup(), truth)
    rates = (100.0, 400.0, 800.0)
    taken = [golden.drive("demand", OpenLoad(rate_per_s=rate)) for rate in rates]
    found = [demand_in(golden.recording(), [segment]) for segment in taken]
    assert [d.parts["service"] for d in found if d] == pytest.approx(
        [truth.parts["service"].at(rate) for rate in rates], rel=0.02
    )


def test_stretches_of_one_load_are_taken_together(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    taken = [golden.drive("demand", OpenLoad(rate_per_s=rate)) for rate in (200.0, 600.0)]
    found = demand_in(golden.recording(), taken)
    assert found is not None
    assert found.rate_per_s == pytest.approx(400, rel=0.01)


def test_a_flow_of_several_steps_is_one_request(tmp_path: Path) -> None:
    truth = Truth(parts={"service": Cost(1e-3)}, steps={"POST /order": 3})
    golden = Golden(tmp_path, setup("GET /item", "POST /order"), truth)
    segment = golden.drive("demand", OpenLoad(rate_per_s=400.0), duration_s=10.0)
    recording = golden.recording()
    assert len(recording.requests(segment.index)["step"]) == 8000
    found = demand_in(recording, [segment])
    assert found is not None
    assert found.rate_per_s == pytest.approx(400, rel=0.01)
    assert found.cpu_s == pytest.approx(1e-3, rel=0.01)


def test_where_nothing_was_done_there_is_none(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    golden.hiccups = ((0.0, 9.0),)
    segment = golden.drive("demand", OpenLoad(rate_per_s=1.0), duration_s=1.0)
    assert demand_in(golden.recording(), [segment]) is None


@given(
    st.lists(st.tuples(COSTS, st.floats(0.001, 100)), min_size=2, max_size=6),
    st.floats(0.05, 0.95),
)
def test_untilting_finds_what_the_mixtures_were_made_of(
    operations: list[tuple[float, float]], tilt: float
) -> None:
    """The inverse of the weighted means, for any costs, shares and tilt."""
    (cost, weight), *others = operations
    total = sum(w for _, w in operations)
    share = weight / total
    assume(abs(tilt - share) > 0.02)
    rest = sum(c * w for c, w in others) / sum(w for _, w in others)
    mix = Demand(50.0, 0.0, {"service": share * cost + (1 - share) * rest, "idle": 0.0})
    more = Demand(60.0, 0.0, {"service": tilt * cost + (1 - tilt) * rest})
    weights = {"it": weight, **{f"other {i}": w for i, (_, w) in enumerate(others)}}
    found = untilted(mix, more, weights, "it", tilt)
    assert found.parts["service"] == pytest.approx(cost, rel=1e-6, abs=1e-9)
    assert found.parts["idle"] == 0
    assert found.cpu_s == sum(found.parts.values())
    assert found.rate_per_s == 60.0


def test_noise_does_not_make_a_demand_negative() -> None:
    mix, less = Demand(1.0, 1e-3, {"service": 1e-3}), Demand(1.0, 0.5e-3, {"service": 0.5e-3})
    found = untilted(mix, less, {"it": 1.0, "other": 99.0}, "it", 0.25)
    assert found.parts == {"service": 0.0}

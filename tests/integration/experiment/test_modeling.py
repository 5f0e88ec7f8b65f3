"""A real service recorded for a model, which then says what its pool does."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import msgspec
import pytest

from loadpath.events import discard
from loadpath.experiment.modeling import FOR_MODEL, record_for_model
from loadpath.experiment.observed import observations_of
from loadpath.experiment.session import open_session
from loadpath.model.fit import fit
from loadpath.model.network import Fitted, Model
from loadpath.model.observations import Observations
from loadpath.model.predict import predict
from loadpath.recording import Recording, RunInfo
from loadpath.recording.runs import create_run
from loadpath.spec import load

KNOWN = Path(__file__).resolve().parents[2] / "known"

SLOTS, HELD_S = 3, 0.010
"""Of the service: see its own file. No rate above their quotient, 300/s, can be served."""

DEPTH = msgspec.structs.replace(
    FOR_MODEL,
    warmup_s=0.5,
    baseline_s=2.5,
    ramp_growth_per_s=1.5,
    ramp_s=8.0,
    hold_s=1.5,
    holds=4,
    repeats=0,
    demand_s=0.8,
)


class MoreSlots(msgspec.Struct, frozen=True):
    """Every pool of that size."""

    size: int

    def predict(self, model: Model) -> Model:
        pools = tuple(msgspec.structs.replace(pool, size=self.size) for pool in model.pools)
        return msgspec.structs.replace(model, pools=pools)


async def record(home: Path) -> list[Recording]:
    setup = load(home, environ={})
    run = create_run(home, RunInfo(service="pool", command=("test",), started_s=time.time()))
    async with open_session(run, discard) as session:
        await record_for_model(session, setup, DEPTH)
    return [Recording.open(path) for path in run.recordings()]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Observations:
    """What a service of three slots told, 10 ms each, without CPU."""
    home = tmp_path_factory.mktemp("known")
    home.chmod(0o755)
    shutil.copy(KNOWN / "service.py", home)
    shutil.copytree(KNOWN / "pool", home / "pool", ignore=shutil.ignore_patterns(".loadpath"))
    return observations_of(asyncio.run(record(home / "pool")))


@pytest.fixture(scope="module")
def fitted(seen: Observations) -> Fitted:
    return fit(seen, draws=4)


def test_every_part_that_worked_has_its_cpu_at_several_rates(seen: Observations) -> None:
    assert {group.part for group in seen.groups} >= {"service", "engine"}
    rates = {round(s.rate_per_s, -1) for s in seen.stretches}
    assert len(rates) >= 5
    for stretch in seen.stretches:
        assert 0 < stretch.cores["service thread"] < 1.1
        assert stretch.responses["GET /"].mean_s >= HELD_S


def test_the_slots_are_a_pool_of_the_model(fitted: Fitted) -> None:
    (pool,) = fitted.model.pools
    assert pool.part == "service"
    # How many are in service at most is measured: beside other tests one more is seen at times.
    assert SLOTS <= pool.size <= SLOTS + 1


def test_its_knee_is_below_what_the_slots_allow_and_twice_of_them_lift_it(
    seen: Observations, fitted: Fitted
) -> None:
    found = predict(fitted, [MoreSlots(2 * SLOTS)], [], seen.objectives)
    assert 0.5 * SLOTS / HELD_S < found.capacity.before.value < SLOTS / HELD_S
    assert 1.6 < found.capacity.ratio.value < 2.6
    assert found.bottleneck_before.names == ("requests in service",)

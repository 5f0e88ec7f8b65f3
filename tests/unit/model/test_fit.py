"""Models fitted to observations of a service whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from loadpath.errors import InconclusiveError
from loadpath.model.demands import demands
from loadpath.model.fit import fit
from loadpath.model.network import Fitted, Model
from loadpath.model.observations import Limit, Observations
from loadpath.model.outcome import knee_per_s
from loadpath.model.predict import SATURATED, Prediction, predict
from loadpath.model.simulate import simulate
from loadpath.model.simulated import OpenRate

from .observed import OBJECTIVE, observations, resized, service

OBJECTIVES = {"GET /": OBJECTIVE}
BUSY = service(0.002, wakeup_s=0.0004)
"""A thread that is woken."""
POOLED = service(0.0006, call_s=0.010, work_s=0.0005)
"""Three connections, ten milliseconds each: the thread idles when they are all held."""


class Changed(msgspec.Struct, frozen=True):
    """Any change of a model."""

    how: Callable[[Model], Model]

    def predict(self, model: Model) -> Model:
        return self.how(model)


@pytest.fixture(scope="module")
def busy() -> Observations:
    return observations(BUSY)


@pytest.fixture(scope="module")
def pooled() -> Observations:
    return observations(POOLED, calls_s={"database": 0.010})


@pytest.fixture(scope="module")
def busy_fit(busy: Observations) -> Fitted:
    return fit(busy, draws=6)


@pytest.fixture(scope="module")
def pooled_fit(pooled: Observations) -> Fitted:
    return fit(pooled, draws=6)


@pytest.fixture(scope="module")
def larger_pool(pooled_fit: Fitted) -> Prediction:
    knee = true_knee(POOLED)
    return predict(
        pooled_fit,
        [Changed(lambda model: resized(model, 6))],
        [OpenRate(0.5 * knee), OpenRate(1.5 * knee)],
        OBJECTIVES,
    )


def true_knee(model: Model) -> float:
    return knee_per_s(model, OBJECTIVES, requests=30_000, seed=11)


class TestRecovery:
    def test_cpu_demands_are_those_of_the_truth(self, busy_fit: Fitted) -> None:
        found = demands(busy_fit.model).cpu_s["service thread"]
        assert found == pytest.approx(0.002, rel=0.05)
        station = next(s for s in busy_fit.model.stations if s.name == "service thread")
        assert station.wakeup_s + station.shared_s == pytest.approx(0.0004, rel=0.35)

    def test_the_knee_is_that_of_the_truth(self, busy_fit: Fitted, pooled_fit: Fitted) -> None:
        for fitted, truth in ((busy_fit, BUSY), (pooled_fit, POOLED)):
            assert true_knee(fitted.model) == pytest.approx(true_knee(truth), rel=0.05)

    @pytest.mark.parametrize("share", [0.2, 0.6, 0.8])
    def test_response_times_are_those_of_the_truth(self, busy_fit: Fitted, share: float) -> None:
        load = OpenRate(share * true_knee(BUSY))
        truth = simulate(BUSY, load, requests=60_000, seed=3).overall
        found = simulate(busy_fit.model, load, requests=60_000, seed=4).overall
        assert found.mean_s.value == pytest.approx(truth.mean_s.value, rel=0.08)
        assert found.p99_s.value == pytest.approx(truth.p99_s.value, rel=0.15)

    def test_calls_on_the_wires_hold_what_they_were_seen_to_hold(self, pooled_fit: Fitted) -> None:
        (pool,) = pooled_fit.model.pools
        assert (pool.part, pool.size) == ("database", 3)
        held_s = demands(pooled_fit.model).held_s[pool.name]
        assert held_s == pytest.approx(0.010, rel=0.05)

    def test_a_limit_that_no_cpu_explains_becomes_a_pool(self) -> None:
        """Nothing is on a wire: three slots inside of the service, seen by Little's law alone."""
        inside = msgspec.structs.replace(
            POOLED, pools=(msgspec.structs.replace(POOLED.pools[0], part="service"),)
        )
        seen = observations(inside, limit=Limit(requests=3.1, done_per_s=290.0, dependency=""))
        fitted = fit(seen, draws=0)
        (pool,) = fitted.model.pools
        assert (pool.part, pool.size) == ("service", 3)
        assert true_knee(fitted.model) == pytest.approx(true_knee(inside), rel=0.08)

    def test_draws_surround_the_best_model(self, busy_fit: Fitted) -> None:
        best = demands(busy_fit.model).cpu_s["service thread"]
        drawn = [demands(model).cpu_s["service thread"] for model in busy_fit.draws]
        assert min(drawn) < 1.02 * best
        assert max(drawn) > 0.98 * best
        assert len(set(drawn)) == len(drawn)


class TestPrediction:
    def test_it_holds_what_the_changed_truth_does(self, larger_pool: Prediction) -> None:
        truth = true_knee(resized(POOLED, 6)) / true_knee(POOLED)
        ratio = larger_pool.capacity.ratio
        assert ratio.low <= truth <= ratio.high
        assert ratio.value == pytest.approx(truth, rel=0.06)

    def test_beyond_the_capacity_only_the_capacity_is_said(self, larger_pool: Prediction) -> None:
        knee = larger_pool.capacity.before.value
        far = next(p for p in larger_pool.points if p.load.rate_per_s > knee)  # type: ignore[union-attr]
        assert far.before is None
        assert far.after is not None
        near = next(p for p in larger_pool.points if p.load.rate_per_s < SATURATED * knee)  # type: ignore[union-attr]
        assert near.before is not None
        assert near.before.p99_s.low < near.before.p99_s.value < near.before.p99_s.high

    def test_the_pool_is_named_before(self, larger_pool: Prediction) -> None:
        assert larger_pool.bottleneck_before.names == ("database connections",)

    def test_no_change_changes_nothing(self, busy_fit: Fitted) -> None:
        found = predict(busy_fit, [], [], OBJECTIVES).capacity.ratio
        assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)

    def test_faster_code_lifts_what_its_thread_carries(self, busy_fit: Fitted) -> None:
        """Demand 20 % less, capacity 25 % more: in proportion to what the thread does."""
        faster = service(0.0016, wakeup_s=0.0004)

        def sped_up(model: Model) -> Model:
            return msgspec.convert(
                _scaled(msgspec.to_builtins(model), "service thread", 0.8), Model
            )

        found = predict(busy_fit, [Changed(sped_up)], [], OBJECTIVES)
        truth = true_knee(faster) / true_knee(BUSY)
        assert found.capacity.ratio.value == pytest.approx(truth, rel=0.05)
        assert found.bottleneck_before.names[0] == "service thread"

    def test_the_same_seed_says_the_same(self, busy: Observations, busy_fit: Fitted) -> None:
        assert fit(busy, draws=0).model == busy_fit.model
        best = msgspec.structs.replace(busy_fit, draws=busy_fit.draws[:1])
        one, other = (predict(best, [], [OpenRate(100.0)], OBJECTIVES) for _ in range(2))
        assert one == other

    def test_an_engine_elsewhere_leaves_the_cores_to_the_service(self) -> None:
        """On one core, an engine that costs as much as the service takes half of it."""
        model = service(0.001, cores=1.0)
        dear = msgspec.convert(_scaled(msgspec.to_builtins(model), "engine", 50.0), Model)
        found = predict(Fitted(model=dear, draws=()), [], [], OBJECTIVES)
        here, elsewhere = found.here.capacity.before.value, found.elsewhere.capacity.before.value
        assert elsewhere > 1.5 * here
        assert "cores" in found.here.bottleneck_before.names


class TestRefusal:
    def test_too_few_rates(self, busy: Observations) -> None:
        few = msgspec.structs.replace(busy, stretches=busy.stretches[:2])
        with pytest.raises(InconclusiveError, match=r"3 rates of the mix or more .* got 2"):
            fit(few)

    def test_no_cpu_of_the_service(self, busy: Observations) -> None:
        engine = tuple(group for group in busy.groups if group.part == "engine")
        with pytest.raises(InconclusiveError, match="CPU of the service"):
            fit(msgspec.structs.replace(busy, groups=engine))

    def test_no_response_times(self, busy: Observations) -> None:
        silent = tuple(msgspec.structs.replace(s, responses={}) for s in busy.stretches)
        with pytest.raises(InconclusiveError, match=r"response times .* GET /"):
            fit(msgspec.structs.replace(busy, stretches=silent))


def _scaled(value: object, station: str, by: float) -> object:
    """A model as built-ins, with all work at a station scaled."""
    if isinstance(value, list | tuple):
        return [_scaled(each, station, by) for each in value]
    if isinstance(value, dict):
        if value.get("type") == "Serve" and value.get("station") == station:
            work = value["work"]
            return {**value, "work": {**work, "mean_s": work["mean_s"] * by}}
        return {key: _scaled(each, station, by) for key, each in value.items()}
    return value

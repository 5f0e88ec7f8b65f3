"""Throughput limits, knees and bottlenecks where they are known."""

from __future__ import annotations

import math

import msgspec
import pytest

from loadpath.errors import ConfigurationError
from loadpath.model.bounds import first_limits
from loadpath.model.capacity import knee, saturation
from loadpath.model.network import Acquire, Attempt, Delay, Model, Release, Serve, Spawn
from loadpath.spec.objective import Objective, QuantileLimit

from .models import NESTED, constant, exponential, model, pool, queue, station


def within(limit_s: float, quantile: float = 0.99) -> Objective:
    return Objective((QuantileLimit(quantile, limit_s),))


def resized(subject: Model, **sizes: int) -> Model:
    pools = tuple(msgspec.structs.replace(p, size=sizes.get(p.name, p.size)) for p in subject.pools)
    return msgspec.structs.replace(subject, pools=pools)


def test_the_knee_of_mm1_is_where_its_p99_says() -> None:
    found = knee(queue(exponential(1.0)), within(20.0), seed=1)
    # p99 = ln 100 / (1 - λ)
    assert found.rate_per_s.value == pytest.approx(1 - math.log(100) / 20, rel=0.02)
    assert found.rate_per_s.low <= 1 - math.log(100) / 20 <= found.rate_per_s.high
    assert found.limited_by == "p99"
    assert found.saturation_per_s.value == pytest.approx(1.0, rel=0.01)
    assert found.simulations <= 15


def test_an_objective_that_is_missed_without_load_has_no_knee() -> None:
    assert knee(queue(constant(1.0)), within(0.9), requests=20_000).rate_per_s.value == 0


def test_an_objective_beyond_any_time_is_kept_up_to_saturation() -> None:
    found = knee(queue(exponential(1.0)), within(1e9), requests=40_000)
    assert found.rate_per_s.value == pytest.approx(1.0, rel=0.03)
    assert found.limited_by == "throughput"


def test_errors_make_a_knee_of_their_own() -> None:
    busy = model(
        Acquire("p", patience_s=0.5), Delay(exponential(1.0)), Release("p"), pools=(pool("p", 4),)
    )
    found = knee(busy, msgspec.structs.replace(within(1e9), errors_ratio=0.01))
    assert found.limited_by == "errors"
    assert 1 < found.rate_per_s.value < 4


def test_an_operation_may_have_an_objective_of_its_own() -> None:
    both = msgspec.structs.replace(
        queue(exponential(1.0)),
        programs=(
            *queue(exponential(1.0)).programs,
            msgspec.structs.replace(queue(exponential(1.0)).programs[0], operation="other"),
        ),
    )
    found = knee(both, within(1e9), of_operations={"other": within(20.0)}, requests=200_000)
    assert found.limited_by == "p99 of other"
    assert found.rate_per_s.value == pytest.approx(1 - math.log(100) / 20, rel=0.04)
    with pytest.raises(ConfigurationError, match="no operation 'gone' in visit, other"):
        knee(both, within(1.0), of_operations={"gone": within(1.0)})


def test_a_pool_held_through_a_delay_limits_throughput() -> None:
    held = model(Acquire("p"), Delay(exponential(0.5)), Release("p"), pools=(pool("p", 3),))
    found = saturation(held)
    assert found.value == pytest.approx(6.0, rel=0.01)


def test_what_never_waits_has_no_limit() -> None:
    free = model(Delay(constant(1.0)))
    assert math.isinf(saturation(free).value)
    assert first_limits(free).first == ()


def test_timeouts_do_not_count_as_capacity() -> None:
    slow = queue(exponential(1.0))
    tried = model(
        Attempt(slow.programs[0].steps, timeout_s=0.01, retries=5), stations=slow.stations
    )
    assert saturation(tried, seed=3) == saturation(slow, seed=3)


@pytest.mark.parametrize("size", [4, 1])
def test_work_that_no_reply_waits_for_limits_capacity_too(size: int) -> None:
    """A batch of four takes 1 s in a pool of one: 4 requests per second, while replies are fast."""
    batch = model(
        Spawn((Acquire("p"), Delay(constant(1.0)), Release("p")), every=4.0 / size),
        Delay(constant(0.001)),
        pools=(pool("p", 1),),
    )
    assert saturation(batch, requests=40_000).value == pytest.approx(4.0 / size, rel=0.02)


def test_requests_that_wait_for_each_other_have_no_capacity() -> None:
    locked = model(
        Acquire("p"), Delay(constant(0.1)), Acquire("p"), Release("p"), Release("p"),
        pools=(pool("p", 2),),
    )  # fmt: skip
    assert saturation(locked).value == 0
    assert knee(locked, within(10.0)).rate_per_s.value == 0


@pytest.mark.parametrize(
    ("subject", "first"),
    [
        (resized(NESTED, connections=1), ("connections",)),
        (resized(NESTED, slots=1), ("slots",)),
        (msgspec.structs.replace(NESTED, cores=1.0), ("cores",)),
        (msgspec.structs.replace(NESTED, cores=8.0), ("app",)),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, tuple) else "",
)
def test_the_bottleneck_is_what_lifts_capacity_when_it_is_thought_away(
    subject: Model, first: tuple[str, ...]
) -> None:
    found = first_limits(subject)
    assert found.first == first
    assert found.is_certain
    assert found.lifts[0].ratio > 1.2


def test_two_resources_that_end_together_are_both_named() -> None:
    twins = model(
        Serve("a", exponential(1.0)),
        Serve("b", exponential(1.0)),
        stations=(station("a"), station("b")),
    )
    found = first_limits(twins)
    assert set(found.first) == {"a", "b"}
    assert not found.is_certain


def test_draws_of_the_fit_that_disagree_are_all_heard() -> None:
    def of(a: float, b: float) -> Model:
        return model(
            Serve("a", exponential(a)),
            Serve("b", exponential(b)),
            stations=(station("a"), station("b")),
        )

    agreed = first_limits(of(1.0, 0.8), draws=[of(1.0, 0.7)] * 9 + [of(1.02, 0.8)] * 1)
    assert agreed.first == ("a",)
    split = first_limits(of(1.0, 0.8), draws=[of(1.0, 0.8)] * 7 + [of(1.0, 1.2)] * 3)
    assert set(split.first) == {"a", "b"}
    assert split.capacity_per_s.low < 0.9 < split.capacity_per_s.high

"""The search finds the knee of a system that answers truly, and mostly of one that does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.stats import KneeResult, KneeSearch

rates = st.floats(1, 1e5)


def drive(search: KneeSearch, knee: float) -> list[float]:
    """Answer truly until the search is content."""
    asked = []
    while (rate := search.next_rate()) is not None:
        asked.append(rate)
        search.observe(rate, rate <= knee, ratio=rate / knee)
    return asked


@given(rates, rates, st.floats(1.1, 3), st.floats(0.01, 0.2))
def test_a_true_system_is_bracketed(
    start: float, knee: float, growth: float, tolerance: float
) -> None:
    """To within the tolerance, each end twice confirmed, in few steps."""
    search = KneeSearch(start, growth=growth, tolerance=tolerance, observations_max=1000)
    asked = drive(search, knee)
    found = search.result()
    assert found.settled
    assert found.low is not None
    assert found.high is not None
    assert found.knee is not None
    assert found.low <= knee < found.high
    assert found.low <= found.knee.value <= found.high
    assert found.high <= found.low * (1 + tolerance) * (1 + 1e-9)
    assert asked.count(found.low) == asked.count(found.high) == 2
    assert found.contradicting == 0
    ramp = abs(math.log(knee / start)) / math.log(growth)
    halvings = math.log2(math.log(growth) / math.log(1 + tolerance))
    assert found.observations <= ramp + max(halvings, 0) + 6


@given(rates, rates, st.integers(1, 15))
def test_a_budget_is_kept(start: float, knee: float, budget: int) -> None:
    """What is known by then is the result, and it is true."""
    search = KneeSearch(start, observations_max=budget)
    assert len(drive(search, knee)) <= budget
    found = search.result()
    assert found.low is None or found.low <= knee
    assert found.high is None or found.high > knee


@given(rates, rates)
def test_a_replayed_search_takes_the_same_steps(start: float, knee: float) -> None:
    """An answer derived again from a recording is the same answer."""
    first, again = KneeSearch(start), KneeSearch(start)
    for rate in drive(first, knee):
        assert again.next_rate() == rate
        again.observe(rate, rate <= knee, ratio=rate / knee)
    assert again.result() == first.result()


def answers(search: KneeSearch, script: dict[int, list[bool | None]], knee: float) -> KneeResult:
    """Answer truly but for what the script says of the first answers at some rates."""
    while (rate := search.next_rate()) is not None:
        scripted = script.get(round(rate), [])
        search.observe(rate, scripted.pop(0) if scripted else rate <= knee)
    return search.result()


def test_a_disturbed_miss_on_the_way_up_does_not_decide() -> None:
    """The second step was missed because of something else; asked again, it is met."""
    found = answers(KneeSearch(100, growth=2), {200: [False]}, knee=1000)
    assert found.knee is not None
    assert found.knee.value == pytest.approx(1000, rel=0.06)
    assert found.contradicting == 1


def test_a_lucky_stretch_above_the_knee_does_not_decide() -> None:
    """Met once at twice the knee: the votes below outweigh it, or it is asked again."""
    found = answers(KneeSearch(100, growth=2), {1600: [True]}, knee=1000)
    assert found.knee is not None
    assert found.knee.value == pytest.approx(1000, rel=0.06)


def test_a_stretch_that_cannot_tell_is_repeated() -> None:
    """At the first rate, on the way and within the bracket."""
    script: dict[int, list[bool | None]] = {100: [None, None], 400: [None], 1131: [None]}
    found = answers(KneeSearch(100, growth=2), script, knee=1000)
    assert found.settled
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 1000 <= found.high


def test_a_rate_that_never_tells_widens_the_bracket() -> None:
    """At 1,000/s p99 is at its limit within the noise: not asked forever, and left inside."""
    search = KneeSearch(1000, growth=2, tolerance=0.05)
    while (rate := search.next_rate()) is not None:
        search.observe(rate, None if 950 < rate < 1050 else rate <= 1000)
    found = search.result()
    assert found.settled
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 950
    assert found.high >= 1050
    assert found.observations < 30


def test_a_service_that_is_never_beaten_reports_the_ceiling() -> None:
    """The engine cannot drive more: the knee lies above, by an unknown amount."""
    search = KneeSearch(100, ceiling=1000)
    assert max(drive(search, knee=1e9)) == 1000
    found = search.result()
    assert (found.low, found.high, found.knee, found.settled) == (1000, None, None, True)


def test_a_service_that_misses_at_any_rate_reports_the_floor() -> None:
    """The knee lies below what is worth driving."""
    search = KneeSearch(100, floor=10)
    assert min(drive(search, knee=0.001)) == 10
    found = search.result()
    assert (found.low, found.high, found.knee, found.settled) == (None, 10, None, True)


def test_users_come_whole() -> None:
    """With 5 users met and 6 missed there is nothing in between."""
    search = KneeSearch(2, step=1, tolerance=0.01)
    asked = drive(search, knee=5.5)
    assert all(rate == round(rate) for rate in asked)
    found = search.result()
    assert (found.low, found.high, found.settled) == (5, 6, True)


def test_nearly_equal_rates_are_one_rate() -> None:
    """A rate written to a recording and read again may differ in its last digit."""
    search = KneeSearch(100.0)
    search.observe(100.0, True)
    search.observe(100.0 * (1 + 1e-12), False)
    assert search.result().observations == 2
    assert search.next_rate() == 100.0


@pytest.mark.parametrize(("noise", "off"), [(0.02, 0.05), (0.05, 0.09)])
def test_noise_moves_the_knee_little(noise: float, off: float) -> None:
    """Six to nine stretches, judged with 95 % confidence, from a start 10 % off."""
    random = np.random.default_rng(11)
    errors = []
    for _ in range(150):
        search = KneeSearch(
            1000 * float(np.exp(random.normal() * 0.1)),
            growth=1.15,
            tolerance=0.04,
            observations_max=9,
        )
        while (rate := search.next_rate()) is not None:
            evidence = math.log(1000 / rate) / noise + random.normal()
            search.observe(rate, None if abs(evidence) < 2 else evidence > 0)
        knee = search.result().knee
        errors.append(abs(knee.value / 1000 - 1) if knee else math.inf)
    assert np.quantile(errors, 0.9) <= off


@pytest.mark.parametrize(
    "wrong", [{"growth": 1.0}, {"tolerance": 0}, {"floor": 200}, {"ceiling": 50}]
)
def test_a_search_that_cannot_end_is_refused(wrong: dict[str, float]) -> None:
    """At once, not after an hour."""
    with pytest.raises(ValueError, match=r"start|growth"):
        KneeSearch(100, **wrong)  # type: ignore[arg-type]

"""Outages against what follows by hand, against a walk through one, and laws that hold of all."""

from __future__ import annotations

import math
import random
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from loadpath.model.outage import Manner, Needing, Outage, OutageCourse, Usual, outage_course

NOTHING = Usual(mean=0.0, most=0, over_s=4.0, scale=0.0)
ALL = (1.0, 1.0, 1.0)


def of(
    manner: Manner,
    *needing: Needing,
    lasts_s: float = 2.0,
    starting_s: float = 0.0,
    usual: Usual = NOTHING,
    **more: Any,
) -> OutageCourse:
    more.setdefault("spare_per_s", (400.0, 400.0))
    known = Outage(manner=manner, needing=needing, usual=usual, **more)
    return outage_course(known, lasts_s=lasts_s, watched_s=lasts_s + 3.0, starting_s=starting_s)


def asking(rate_per_s: float = 100.0, **more: Any) -> Needing:
    more = {"share": ALL, "patience_s": math.inf, **more}
    return Needing(operation="GET /a", rate_per_s=rate_per_s, **more)


def spread(low: float, high: float) -> float:
    """The standard deviation of a normal distribution with those quantiles."""
    return (high - low) / (2 * 1.645)


def test_who_waits_gathers_as_a_poisson_count_and_is_worked_off_by_what_is_to_spare() -> None:
    found = of("waits", asking())
    assert found.waiting.value == pytest.approx(200, rel=0.02)
    assert spread(found.waiting.low, found.waiting.high) == pytest.approx(200**0.5, rel=0.15)
    assert found.drain_s is not None
    assert found.drain_s.value == pytest.approx(200 / 400, rel=0.03)
    assert found.retries == (0, 0, 0)


def test_who_is_less_patient_than_the_outage_is_long_leaves() -> None:
    found = of("waits", asking(patience_s=0.5))
    # 50 on average, and the most of them within 1.5 s somewhat more.
    assert 55 <= found.waiting.value <= 70


def test_who_fails_at_once_is_only_there_between_two_tries() -> None:
    found = of("fails", asking())
    assert (found.waiting, found.retries, found.drain_s) == ((0,) * 3, (0,) * 3, (0,) * 3)
    found = of("fails", asking(waits_s=(0.1, 0.2)))
    # All of 2 s are sent again, and again all that were due 0.1 s before the end.
    assert found.retries.value == pytest.approx(200 + 190, rel=0.02)
    # Each counts twice but those of the last 0.1 s, and so does its chance.
    assert spread(found.retries.low, found.retries.high) == pytest.approx(
        (100 * (4 * 1.9 + 0.1)) ** 0.5, rel=0.15
    )
    assert found.drain_s is not None
    assert 0.1 < found.drain_s.value <= 0.2


def test_tries_that_time_out_are_made_again() -> None:
    found = of("waits", asking(patience_s=0.5, waits_s=(0.5,)))
    assert found.retries.value == pytest.approx(150, rel=0.03)
    assert found.waiting.value == pytest.approx(150, rel=0.1)


def test_who_calls_while_it_starts_waits_until_it_serves() -> None:
    """From 1.5 s to 2 s it takes calls and answers none: 50 wait, and are worked off."""
    found = of("fails", asking(), starting_s=0.5)
    assert found.waiting.value == pytest.approx(50, rel=0.05)
    assert found.retries == (0, 0, 0)
    assert found.drain_s is not None
    assert found.drain_s.value == pytest.approx(50 / 400, rel=0.1)
    again = of("fails", asking(waits_s=(0.1,)), starting_s=0.5)
    assert again.retries.value == pytest.approx(150, rel=0.03)
    # With those who had failed within 0.1 s before it took calls.
    assert again.waiting.value == pytest.approx(60, rel=0.05)
    assert of("waits", asking(), starting_s=0.5) == of("waits", asking())
    assert of("fails", asking(), starting_s=0.5, spare_per_s=None).drain_s is None


def test_what_comes_while_it_warms_up_waits_with_those_that_had_failed() -> None:
    found = of("fails", asking(waits_s=(0.1,)), warming_s=(0.2, 0.2))
    # 10 were between two tries when it was back, and 20 came until it answered.
    assert found.waiting.value == pytest.approx(30, rel=0.08)
    assert found.drain_s is not None
    assert found.drain_s.value == pytest.approx(0.2 + 30 / 400, rel=0.08)
    assert of("waits", asking(), warming_s=(0.2, 0.2)) == of("waits", asking())


def test_those_under_way_at_the_onset_are_hit_too() -> None:
    """By Little's law 10 of them, at 100 a second, have 0.1 s each."""
    usual = Usual(mean=10.0, most=10, over_s=4.0, scale=0.5)
    found = of("fails", asking(waits_s=(5.0,)), usual=usual)
    assert found.retries.value == pytest.approx(100 * 2.1, rel=0.02)


def test_what_nobody_needs_comes_to_what_is_usual_as_long_as_it_is_watched() -> None:
    usual = Usual(mean=0.5, most=6, over_s=5.0, scale=1.0)
    found = of("fails", asking(share=(0.0, 0.0, 0.0)), usual=usual)
    # Watched as long as the control: as many at the most, with the spread of two maxima.
    assert found.waiting.value == 6
    assert found.waiting.low == pytest.approx(6 - math.log(19), abs=1)
    assert found.waiting.high == pytest.approx(6 + math.log(19), abs=1)
    assert (found.retries, found.drain_s) == ((0,) * 3, (0,) * 3)


def test_the_most_of_two_stretches_of_a_queue_differ_as_is_foretold() -> None:
    """The number in an M/M/1 queue, walked through: its maxima have an exponential tail of
    1 / ln(1 / utilization), and the most of the next stretch lies below each level as often."""
    rng = np.random.default_rng(1)
    scale = 1 / math.log(1 / 0.7)
    most = []
    for _ in range(400):
        steps = np.where(rng.random(4000) < 0.7 / 1.7, 1, -1)
        # Reflected at zero (Lindley 1952).
        walk = np.cumsum(steps)
        most.append(int((walk - np.minimum.accumulate(np.minimum(walk, 0))).max()))
    for chance in (0.05, 0.5, 0.95):
        below = [
            later <= Usual(mean=2.3, most=one, over_s=1.0, scale=scale).most_within(1.0, chance)
            for one, later in pairwise(most)
        ]
        assert np.mean(below) == pytest.approx(chance, abs=0.06)


def test_what_is_to_spare_and_the_share_that_needs_it_widen_what_is_told() -> None:
    sure = of("waits", asking())
    unsure = of("waits", asking(share=(0.5, 0.8, 1.0)), spare_per_s=(100.0, 400.0))
    assert unsure.waiting.value == pytest.approx(160, rel=0.05)
    assert unsure.waiting.high - unsure.waiting.low > sure.waiting.high - sure.waiting.low
    assert unsure.drain_s is not None
    assert unsure.drain_s.low < 160 / 400
    assert unsure.drain_s.high > 160 / 200
    assert of("waits", asking(), spare_per_s=None).drain_s is None


def test_no_more_users_wait_than_there_are() -> None:
    found = of("waits", asking(), lasts_s=60.0, users=20)
    assert found.waiting.value == pytest.approx(20, abs=5)


def walked(rate: float, lasts: float, waits: tuple[float, ...], seed: int) -> tuple[int, int]:
    """One outage, event by event: the most at once, and how many are sent again."""
    rng = random.Random(seed)
    events: list[tuple[float, int]] = []
    at = rng.expovariate(rate)
    while at < lasts:
        heappush(events, (at, 0))
        at += rng.expovariate(rate)
    held = most = again = 0
    while events and events[0][0] < lasts:
        at, tries = heappop(events)
        held += tries == 0
        most = max(most, held)
        if tries == len(waits):
            held -= 1
            continue
        again += 1
        heappush(events, (at + waits[tries] * rng.uniform(0.5, 1.5), tries + 1))
    return most, again


def test_the_quantiles_are_those_of_a_walk_from_event_to_event() -> None:
    waits = (0.1, 0.2)
    found = of("fails", asking(40.0, waits_s=waits), lasts_s=1.3, waits_spread=0.5)
    seen = np.array([walked(40.0, 1.3, waits, seed) for seed in range(400)])
    for told, column in ((found.waiting, seen[:, 0]), (found.retries, seen[:, 1])):
        for value, level in zip(told, (0.05, 0.5, 0.95), strict=True):
            assert value == pytest.approx(np.quantile(column, level), rel=0.08, abs=1)
    # The mean of those between two tries is 12; the most is more, as it is of any count.
    assert found.waiting.value > poisson.ppf(0.8, 12)


@settings(max_examples=40, deadline=None)
@given(
    rate=st.floats(0, 300),
    manner=st.sampled_from(["waits", "fails"]),
    patience=st.floats(0.01, 20),
    waits=st.lists(st.floats(0.01, 2), max_size=4),
    lasts=st.floats(0.01, 4),
)
def test_nobody_waits_longer_than_it_lasts_and_each_tries_so_often_at_most(
    rate: float, manner: Manner, patience: float, waits: list[float], lasts: float
) -> None:
    needing = asking(rate, patience_s=patience, waits_s=tuple(waits))
    found = of(manner, needing, lasts_s=lasts, waits_spread=0.5)
    most = poisson.ppf(1 - 1e-6, rate * lasts) + 1
    assert 0 <= found.waiting.low <= found.waiting.value <= found.waiting.high <= most
    assert 0 <= found.retries.low <= found.retries.value <= found.retries.high <= most * len(waits)
    assert found.drain_s is not None
    assert 0 <= found.drain_s.low <= found.drain_s.value <= found.drain_s.high < math.inf
    assert of(manner, needing, lasts_s=0.0).waiting.value == 0

"""Demands told from CPU at several rates."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.model.weigh import WINDOWS_S, Demands, Sample, law

RATES = (50.0, 150.0, 300.0, 500.0, 700.0, 850.0)


def sample(
    truth: Demands, rates: Mapping[str, float], *, servers: int = 1, noise: float = 1.0
) -> Sample:
    """What the law gives at those rates: with wake-ups the busy share is part of it."""
    visits = sum(rates.values())
    own = sum(rate * truth.work_s[name] for name, rate in rates.items())
    blank = Sample(
        duration_s=10.0,
        rates_per_s=rates,
        cores=0.0,
        busy=0.0,
        visits_per_s=visits,
        servers=servers,
    )
    shared = truth.cores(blank) - own - truth.wakeup_s * visits
    woken = truth.wakeup_s * visits
    used = (own + shared + woken) / (1 + woken)
    return Sample(
        duration_s=10.0,
        rates_per_s=rates,
        cores=used * noise,
        busy=min(1.0, used),
        visits_per_s=visits,
        servers=servers,
    )


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-4, 1e-3), st.floats(0.0, 1e-3))
def test_work_and_wakeups_are_told_apart(work_s: float, wakeup_s: float) -> None:
    truth = Demands(work_s={"a": work_s}, wakeup_s=wakeup_s)
    samples = [sample(truth, {"a": rate}) for rate in RATES]
    found = law(samples, {"a": 1e-3}, wakes=True, shares=False)
    for each in samples:
        assert found.cores(each) == pytest.approx(each.cores, rel=0.05)
    if wakeup_s > 0.2 * work_s:
        assert found.work_s["a"] == pytest.approx(work_s, rel=0.1)
        assert found.wakeup_s == pytest.approx(wakeup_s, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-5, 2e-4), st.floats(3e-4, 1e-3), st.sampled_from(WINDOWS_S[1:-1]))
def test_what_visits_share_is_told_from_what_each_costs(
    work_s: float, shared_s: float, window_s: float
) -> None:
    truth = Demands(work_s={"a": work_s}, shared_s=shared_s, window_s=window_s)
    rates = (100.0, 300.0, 600.0, 1000.0, 2000.0, 3500.0)
    found = law([sample(truth, {"a": r}) for r in rates], {"a": 1e-3}, wakes=False, shares=True)
    assert found.shared_s == pytest.approx(shared_s, rel=0.15)
    for rate in rates:
        each = sample(truth, {"a": rate})
        assert found.cores(each) == pytest.approx(each.cores, rel=0.05)


def test_nothing_is_found_where_every_request_costs_the_same() -> None:
    truth = Demands(work_s={"a": 5e-4})
    samples = [sample(truth, {"a": rate}) for rate in RATES]
    found = law(samples, {"a": 1.0}, wakes=True, shares=True)
    assert found.work_s["a"] == pytest.approx(5e-4, rel=0.02)
    assert (found.wakeup_s, found.shared_s) == (0.0, 0.0)


def test_operations_are_told_apart_by_mixes_that_hold_more_of_one() -> None:
    truth = Demands(work_s={"cheap": 1e-4, "dear": 3e-3})
    mixes = [{"cheap": 0.95 * r, "dear": 0.05 * r} for r in RATES]
    mixes += [{"cheap": 0.5 * r, "dear": 0.5 * r} for r in (50.0, 100.0, 150.0)]
    samples = [sample(truth, rates) for rates in mixes]
    found = law(samples, {"cheap": 1.0, "dear": 1.0}, wakes=False, shares=False)
    assert found.work_s["cheap"] == pytest.approx(1e-4, rel=0.1)
    assert found.work_s["dear"] == pytest.approx(3e-3, rel=0.1)


def test_what_was_hardly_driven_is_told_by_what_its_visits_let_expect() -> None:
    """Of 1 % of the requests, CPU of the mix says next to nothing; its path says ten times."""
    truth = Demands(work_s={"often": 1e-4, "seldom": 1e-3})
    noise = (1.02, 0.97, 1.01, 0.99, 1.03, 0.98)
    samples = [
        sample(truth, {"often": 0.99 * rate, "seldom": 0.01 * rate}, noise=by)
        for rate, by in zip(RATES, noise, strict=True)
    ]
    found = law(samples, {"often": 2e-3, "seldom": 2e-2}, wakes=False, shares=False)
    assert found.work_s["seldom"] == pytest.approx(1e-3, rel=0.4)


def test_a_station_that_is_asked_for_nothing_costs_nothing() -> None:
    assert law([], {"a": 1.0}, wakes=True, shares=True) == Demands(work_s={})

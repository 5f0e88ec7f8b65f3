"""A cold cache lets through what a replay and the arithmetic of Poisson arrivals say."""

from __future__ import annotations

import numpy as np
import pytest

from loadpath.caching.cold import after_flush, expected_in_flight, expected_misses_per_s
from loadpath.caching.memory import cache_bytes
from loadpath.caching.stream import make_stream
from loadpath.caching.unfit import find_unfit


def test_a_flush_lets_through_one_request_for_each_key_or_one_for_each_asker() -> None:
    at_s = np.arange(0, 20, 0.01)
    stream = make_stream(at_s, np.arange(2000) % 2, took_s=0.1)
    found = after_flush(stream, 1000, flushes_s=[5.0], bin_s=0.1, bins=20)
    assert found.origin_per_s[0] == pytest.approx(2 / 0.1)
    assert sum(found.origin_per_s[1:]) == 0
    # Every 0.02 s for 0.1 s: five of each key, until the first answer is there.
    assert sum(found.unguarded_per_s) * 0.1 == pytest.approx(10)
    assert found.most_in_flight == 5
    assert found.warm_per_s == 0
    assert found.peak_ratio == float("inf")


def test_the_rate_after_a_flush_is_what_poisson_arrivals_give() -> None:
    rng = np.random.default_rng(1)
    rates = 200.0 * np.arange(1, 301.0) ** -1 / (1 / np.arange(1, 301.0)).sum()
    at_s = np.sort(rng.uniform(0, 200, 40_000))
    stream = make_stream(at_s, rng.choice(300, 40_000, p=rates / rates.sum()))
    found = after_flush(stream, 1000, flushes_s=np.arange(0, 190, 10).tolist(), bin_s=1, bins=8)
    middle = expected_misses_per_s(rates, np.arange(1, 8) + 0.5)
    assert np.array(found.origin_per_s[1:]) == pytest.approx(middle, rel=0.12)
    assert found.flushes == 19


def test_bins_beyond_the_end_of_the_stream_are_left_out() -> None:
    stream = make_stream([0.0, 1.0, 2.0, 3.5], [1, 2, 3, 4])  # two bins have one moment only
    found = after_flush(stream, 10, flushes_s=[0.0, 2.0], bin_s=1, bins=10)
    assert found.origin_per_s == (1.0, 1.0, 1.0)
    empty = after_flush(make_stream([], []), 10, flushes_s=[], bin_s=1, bins=3)
    assert (empty.origin_per_s, empty.warm_per_s, empty.peak_ratio) == ((), 0.0, 1.0)


def test_answers_that_may_not_be_stored_never_stop_the_stampede() -> None:
    stream = make_stream(np.arange(10.0), [1] * 10, took_s=2.5, status=500)
    found = after_flush(stream, 100, flushes_s=[0.0], bin_s=9, bins=1)
    assert found.unguarded_per_s == (1.0,)
    assert found.most_in_flight == 3


def test_concurrent_fetches_of_a_cold_key() -> None:
    assert expected_in_flight(50.0, 0.1) == pytest.approx(6)


def test_a_cache_that_stores_everything_hands_errors_on() -> None:
    stream = make_stream(
        range(6),
        [1, 1, 1, 2, 2, 2],
        status=[500, 200, 200, 200, 404, 200],
        body_bytes=[5, 5, 5, 0, 5, 5],
    )
    found = find_unfit(stream, 10)
    assert (found.client_errors, found.server_errors, found.empty) == (1, 1, 1)
    assert found.spread == 3
    assert found.spread_share == pytest.approx(0.5)
    assert find_unfit(stream, 0).spread == 0


def test_an_operation_that_has_no_bodies_has_no_empty_answers() -> None:
    assert find_unfit(make_stream(range(4), [1] * 4), 5).empty == 0
    assert find_unfit(make_stream([], []), 5).share == 0


def test_memory_is_bodies_and_what_each_entry_takes_beside() -> None:
    assert cache_bytes(1000, 50_000, overhead_bytes=100) == 150_000

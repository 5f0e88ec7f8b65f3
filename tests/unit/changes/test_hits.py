"""The hit ratio of a cache, against a count of a stream of requests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.changes.hits import RANKS_EXACT, hit_ratio
from loadpath.drive.keys import KeySampler
from loadpath.spec import KeySet


def counted(keys: KeySet, rate_per_s: float, ttl_s: float, requests: int) -> float:
    """The share of hits of a stream drawn as the load engine draws it."""
    rng = np.random.default_rng(7)
    at_s = np.cumsum(rng.exponential(1 / rate_per_s, requests))
    filled_s: dict[int, float] = {}
    hits = 0
    for number, now_s in zip(KeySampler(keys).draw(requests, rng), at_s, strict=True):
        if now_s - filled_s.get(int(number), -np.inf) < ttl_s:
            hits += 1
        else:
            filled_s[int(number)] = now_s
    return hits / requests


@pytest.mark.parametrize(
    ("distribution", "exponent"), [("zipf", 1.0), ("zipf", 0.6), ("uniform", 1.0), ("latest", 1.3)]
)
def test_it_is_what_a_stream_of_requests_comes_to(distribution: str, exponent: float) -> None:
    keys = KeySet(name="k", count=500, distribution=distribution, exponent=exponent)  # type: ignore[arg-type]
    foretold = hit_ratio(100.0, 4.0, keys)
    assert foretold == pytest.approx(counted(keys, 100.0, 4.0, 60_000), abs=0.01)


@settings(deadline=None)
@given(
    rate_per_s=st.floats(0.01, 1e4),
    ttl_s=st.floats(0.01, 1e4),
    longer=st.floats(1.0, 10.0),
    count=st.integers(1, 1000),
)
def test_keeping_longer_never_finds_less(
    rate_per_s: float, ttl_s: float, longer: float, count: int
) -> None:
    keys = KeySet(name="k", count=count, distribution="zipf")
    short = hit_ratio(rate_per_s, ttl_s, keys)
    long = hit_ratio(rate_per_s, ttl_s * longer, keys)
    assert 0 <= short <= long + 1e-12 <= 1 + 1e-12


def test_ranks_taken_together_come_to_what_each_alone_would() -> None:
    count = 2 * RANKS_EXACT
    keys = KeySet(name="k", count=count, distribution="zipf")
    shares = 1 / np.arange(1, count + 1)
    shares /= shares.sum()
    expected = 5000.0 * shares * 60.0
    exact = float((shares * expected / (1 + expected)).sum())
    assert hit_ratio(5000.0, 60.0, keys) == pytest.approx(exact, rel=1e-6)

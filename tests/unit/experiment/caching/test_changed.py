"""Which writes change answers, told from those that only come often."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.caching.stream import Stream, make_stream
from loadpath.experiment.caching.changed import changed_by
from loadpath.experiment.caching.curve import asked_ttls_s, hit_ratio_at, point


def edited(seed: int, *, edits: int, span_s: float = 200.0) -> tuple[Stream, np.ndarray]:
    """Reads of ten keys, of which the first is changed by each edit."""
    rng = np.random.default_rng(seed)
    at_s = np.sort(rng.uniform(0, span_s, 4000))
    key = rng.integers(0, 10, 4000)
    written_s = np.sort(rng.uniform(0, span_s, edits))
    version = np.searchsorted(written_s, at_s)
    return make_stream(at_s, key, digest=np.where(key == 0, version, -1 - key)), written_s


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_writer_is_told_from_one_that_changes_nothing(seed: int) -> None:
    stream, edits_s = edited(seed, edits=40)
    others_s = np.sort(np.random.default_rng(seed + 1).uniform(0, 200, 60))
    found = changed_by(stream, {"edit": edits_s, "note": others_s})
    named = {each.operation: each.changes_answers for each in found.writers}
    assert named == {"edit": True, "note": False}
    assert set(found.changes.key.tolist()) == {0}
    assert found.unexplained == 0
    assert set(found.changes.at_s.tolist()) <= set(edits_s.tolist())


def test_a_change_without_any_write_is_said() -> None:
    stream, _ = edited(1, edits=40)
    found = changed_by(stream, {})
    assert len(found.changes) == 0
    assert found.unexplained > 20


def test_hits_are_counted_once_the_cache_is_warm() -> None:
    """One key, asked every second: a cold start would cost a hit in every count."""
    stream = make_stream(np.arange(0.0, 30.0), np.zeros(30, int), digest=7)
    found = point(stream, 10.0)
    # Fetched at 0, 10 and 20; from 10 on two of twenty are.
    assert (found.requests, found.hits, found.fetched) == (20, 18, 2)
    assert found.staleness.stale == 0


def test_a_higher_rate_hits_as_a_longer_ttl_does() -> None:
    rng = np.random.default_rng(3)
    at_s = np.sort(rng.uniform(0, 60, 20_000))
    key = rng.zipf(1.4, 20_000)
    slow, fast = make_stream(at_s * 4, key), make_stream(at_s, key)
    foretold = hit_ratio_at(slow, 2.0, 4.0, 240.0)
    assert abs(foretold - point(fast, 2.0).hit_ratio) < 0.01


def test_no_longer_ttl_is_asked_about_than_a_third_of_the_recording() -> None:
    assert asked_ttls_s(30.0)[-1] == 10
    assert asked_ttls_s(0.2) == ()

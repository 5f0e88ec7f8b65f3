"""Staleness is what differs from the service's own answer at that moment; a TTL is chosen by it."""

from __future__ import annotations

import numpy as np
import pytest

from loadpath.answer import Interval
from loadpath.caching.choose import choose
from loadpath.caching.replay import replay
from loadpath.caching.staleness import Staleness, TtlPoint, staleness, ttl_curve
from loadpath.caching.stream import UNKNOWN, Stream, make_changes, make_stream
from loadpath.stats.intervals import clustered_ratio_interval, ratio_interval


def written(rng: np.random.Generator, *, count: int = 6000, keys: int = 40) -> Stream:
    """Keys that are written every 20 s each, at random; the digest is the number of writes."""
    at_s = np.sort(rng.uniform(0, 100, count))
    key = rng.integers(0, keys, count)
    writes_s = np.sort(rng.uniform(0, 100, keys * 5))
    of = rng.integers(0, keys, keys * 5)
    digest = [int(((of == k) & (writes_s <= t)).sum()) for t, k in zip(at_s, key, strict=True)]
    return make_stream(at_s, key, digest=digest, changes=make_changes(writes_s, of))


def test_stale_is_a_hit_that_differs_from_what_the_service_said_then() -> None:
    stream = make_stream([0, 1, 2, 3], [1] * 4, digest=[5, 5, 6, 5])
    found = staleness(stream, replay(stream, 10))
    assert (found.hits, found.judged, found.stale) == (3, 3, 1)
    assert found.share.value == pytest.approx(1 / 3)


def test_answers_not_read_are_not_judged_and_failures_of_the_service_are_shielded() -> None:
    stream = make_stream(
        [0, 1, 2, 3, 4], [1] * 5, digest=[5, UNKNOWN, 7, 5, 8], status=[200, 200, 503, 200, 404]
    )
    found = staleness(stream, replay(stream, 10))
    assert (found.hits, found.judged, found.stale, found.shielded) == (4, 2, 1, 1)


def test_an_answer_made_for_another_identity_is_foreign() -> None:
    stream = make_stream([0, 1, 2], [1] * 3, digest=[5, 6, 7], identity=[1, 2, 1])
    found = staleness(stream, replay(stream, 10))
    assert (found.stale, found.foreign) == (2, 1)


def test_staleness_grows_with_the_ttl_and_invalidation_ends_it() -> None:
    stream = written(np.random.default_rng(1))
    shares = [p.staleness.share.value for p in ttl_curve(stream, [0.5, 2.0, 8.0, 30.0])]
    assert shares == sorted(shares)
    assert shares[0] < 0.05
    assert shares[-1] > 0.3
    for point in ttl_curve(stream, [2.0, 30.0], invalidated=True):
        assert point.staleness.stale == 0
        assert point.staleness.judged > 1000


def test_the_interval_of_staleness_holds_where_hits_of_an_entry_go_stale_together() -> None:
    """With independent hits assumed it held in a third of the runs only."""
    rng = np.random.default_rng(7)
    truth = np.mean(
        [staleness(s, replay(s, 8)).share.value for s in (written(rng) for _ in range(8))]
    )
    held = naive = 0
    for _ in range(20):
        stream = written(rng, count=3000)
        share = staleness(stream, replay(stream, 8)).share
        held += share.low <= truth <= share.high
        usual = ratio_interval(round(share.value * 3000), 3000)
        naive += usual.low <= truth <= usual.high
    assert held >= 17
    assert naive < held


def test_clusters_without_any_event_count_once_each() -> None:
    interval = clustered_ratio_interval([0] * 1000, np.repeat(np.arange(10), 100))
    assert interval.samples == 10
    assert interval.high == pytest.approx(ratio_interval(0, 10).high, abs=0.1)
    assert clustered_ratio_interval([], []).high == 1
    assert clustered_ratio_interval([0, 1], [4, 4]).samples == 1


def test_clusters_of_one_are_as_good_as_independent_events() -> None:
    flags = np.random.default_rng(3).random(4000) < 0.2
    clustered = clustered_ratio_interval(flags, np.arange(4000))
    usual = ratio_interval(int(flags.sum()), 4000)
    assert clustered.high - clustered.low < 1.6 * (usual.high - usual.low)


def point(ttl_s: float, fetched: int, value: float, high: float, judged: int = 900) -> TtlPoint:
    share = Interval(value, 0.0, high, 0.95, "Wilson, clustered", 100)
    return TtlPoint(ttl_s, 1000, 1000 - fetched, fetched, Staleness(900, judged, 0, share, 0, 0))


def test_the_smallest_ttl_within_a_point_of_the_best_allowed_is_chosen() -> None:
    points = [
        point(1, 300, 0.0, 0.001),
        point(5, 104, 0.001, 0.002),
        point(10, 100, 0.002, 0.004),
        point(30, 60, 0.009, 0.014),
        point(60, 50, 0.03, 0.04),
    ]
    found = choose(points, allowed=0.01)
    assert found.point is not None
    assert found.best is not None
    assert (found.point.ttl_s, found.best.ttl_s, found.uncertain) == (5, 10, (30,))


def test_nothing_is_chosen_where_all_is_stale_or_nothing_was_judged() -> None:
    assert choose([point(1, 100, 0.2, 0.3)]).point is None
    assert choose([point(1, 100, 0.0, 0.0, judged=0)]).point is None
    assert choose([]).best is None

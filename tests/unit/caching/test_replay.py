"""Replays say what a cache simulated the plain way does, and keep the laws of caching."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.caching.bounded import replay_lfu, replay_lru
from loadpath.caching.replay import hits_by_ttl, peak_entries, replay, savings_by_ttl
from loadpath.caching.sizes import hits_by_size, stack_distances
from loadpath.caching.stream import Stream, make_changes, make_stream, storable

from .streams import plain_lfu, plain_lru, plain_replay, streams

TTLS = (0.0, 0.5, 1.0, 2.5, 7.0, math.inf)


@settings(max_examples=150, deadline=None)
@given(
    streams(writes=True),
    st.sampled_from(TTLS),
    st.booleans(),
    st.sampled_from([0.0, 0.0, 1.0, 4.0]),
)
def test_a_replay_does_what_a_plain_cache_does(
    stream: Stream, ttl_s: float, invalidated: bool, revalidate_s: float
) -> None:
    served = replay(stream, ttl_s, invalidated=invalidated, revalidate_s=revalidate_s)
    source, fetched = plain_replay(
        stream, ttl_s, invalidated=invalidated, revalidate_s=revalidate_s
    )
    assert served.source.tolist() == source
    assert served.fetched.tolist() == fetched


@settings(max_examples=60, deadline=None)
@given(streams(writes=True), st.booleans())
def test_many_ttls_at_once_are_as_many_replays(stream: Stream, invalidated: bool) -> None:
    hits, saved = savings_by_ttl(stream, TTLS, invalidated=invalidated)
    for ttl_s, count, size in zip(TTLS, hits, saved, strict=True):
        served = replay(stream, ttl_s, invalidated=invalidated)
        assert count == served.hits.sum()
        assert size == stream.body_bytes[served.hits].sum()


@settings(max_examples=60, deadline=None)
@given(streams(takes_time=False))
def test_a_longer_life_never_costs_hits_and_first_requests_are_never_hits(stream: Stream) -> None:
    stored = np.ones(len(stream), dtype=np.bool_)
    hits = hits_by_ttl(stream, TTLS, stored=stored)
    assert (np.diff(hits) >= 0).all()
    assert hits[-1] == len(stream) - len(np.unique(stream.key))


@settings(max_examples=100, deadline=None)
@given(streams(takes_time=False), st.integers(0, 14), st.sampled_from([0.5, 3.0, math.inf]))
def test_an_lru_of_entries_does_what_a_plain_one_does(
    stream: Stream, entries: int, ttl_s: float
) -> None:
    served = replay_lru(stream, entries=entries, ttl_s=ttl_s)
    assert served.source.tolist() == plain_lru(stream, entries, [1] * len(stream), ttl_s)


@settings(max_examples=100, deadline=None)
@given(streams(takes_time=False), st.integers(0, 300), st.sampled_from([0.5, 3.0, math.inf]))
def test_an_lru_of_bytes_does_what_a_plain_one_does(
    stream: Stream, size_bytes: int, ttl_s: float
) -> None:
    served = replay_lru(stream, size_bytes=size_bytes, overhead_bytes=5, ttl_s=ttl_s)
    weight = (stream.body_bytes + 5).tolist()
    assert served.source.tolist() == plain_lru(stream, size_bytes, weight, ttl_s)


@settings(max_examples=100, deadline=None)
@given(streams(takes_time=False))
def test_stack_distances_say_what_an_lru_of_every_size_does(stream: Stream) -> None:
    stored = np.ones(len(stream), dtype=np.bool_)
    sizes = range(15)
    hits = hits_by_size(stack_distances(stream, stored=stored).entries, sizes)
    for entries, count in zip(sizes, hits, strict=True):
        assert count == replay_lru(stream, entries=entries, stored=stored).hits.sum()
    assert (np.diff(hits) >= 0).all()
    assert hits[-1] == len(stream) - len(np.unique(stream.key))


@settings(max_examples=100, deadline=None)
@given(streams(takes_time=False), st.lists(st.integers(40, 600), min_size=1, max_size=4))
def test_stack_distances_in_bytes_are_exact_for_entries_that_keep_their_size(
    stream: Stream, sizes: list[int]
) -> None:
    steady = make_stream(stream.at_s, stream.key, body_bytes=(stream.key + 20) % 31)
    distances = stack_distances(steady, overhead_bytes=3)
    for size, count in zip(sizes, hits_by_size(distances.bytes, sizes), strict=True):
        assert count == replay_lru(steady, size_bytes=size, overhead_bytes=3).hits.sum()


def test_stack_distances_stay_right_when_positions_run_out_many_times() -> None:
    rng = np.random.default_rng(4)
    stream = make_stream(np.arange(5000.0), rng.integers(0, 30, 5000), body_bytes=7)
    distances = stack_distances(stream)
    for entries in (1, 7, 29, 30):
        expected = replay_lru(stream, entries=entries).hits.sum()
        assert hits_by_size(distances.entries, [entries])[0] == expected
        assert hits_by_size(distances.bytes, [7 * entries])[0] == expected


def test_an_entry_lives_from_its_fetch_and_is_not_refreshed_by_hits() -> None:
    stream = make_stream([0, 1, 2, 3, 4, 5, 6], [1] * 7)
    assert replay(stream, 3).source.tolist() == [-1, 0, 0, -1, 3, 3, -1]


def test_those_who_come_while_a_key_is_fetched_wait_for_it_unless_it_cannot_be_kept() -> None:
    good = make_stream([0, 1, 2, 3], [1] * 4, took_s=2.0)
    assert replay(good, 0).source.tolist() == [-1, 0, -1, 2]
    failing = make_stream([0, 1, 2, 3], [1] * 4, took_s=2.0, status=500)
    assert replay(failing, 10).source.tolist() == [-1, -1, -1, -1]


def test_a_write_drops_what_was_fetched_before_it() -> None:
    stream = make_stream([0, 1, 2, 3], [1, 1, 1, 1], changes=make_changes([1.5, 9], [1, 1]))
    assert replay(stream, 10, invalidated=True).source.tolist() == [-1, 0, -1, 2]
    other = make_stream([0, 1, 2, 3], [1, 1, 1, 1], changes=make_changes([1.5], [2]))
    assert replay(other, 10, invalidated=True).source.tolist() == [-1, 0, 0, 0]


def test_stale_answers_are_served_while_one_request_refreshes() -> None:
    stream = make_stream([0, 5, 6, 7, 9], [1] * 5, took_s=2.0)
    served = replay(stream, 1, revalidate_s=10)
    assert served.source.tolist() == [-1, 0, 0, 1, 1]
    assert served.fetched.tolist() == [True, True, False, False, True]


def test_peak_entries_counts_what_is_fresh_at_one_time() -> None:
    stream = make_stream([0, 1, 2, 10, 11], [1, 2, 3, 4, 1], body_bytes=[5, 6, 7, 100, 5])
    assert peak_entries(stream, 2) == (2, 105)
    assert peak_entries(stream, 1) == (1, 100)
    assert peak_entries(stream, math.inf) == (4, 118)
    assert peak_entries(stream, 0) == (0, 0)


@settings(max_examples=40, deadline=None)
@given(streams(), st.integers(0, 14), st.sampled_from([0.5, 3.0, math.inf]), st.integers(0, 9))
def test_an_lfu_keeps_to_its_size_and_to_its_ttl(
    stream: Stream, entries: int, ttl_s: float, seed: int
) -> None:
    served = replay_lfu(stream, entries=entries, ttl_s=ttl_s, seed=seed)
    unbounded = replay(stream, ttl_s)
    assert served.hits.sum() <= unbounded.hits.sum()
    hit = np.flatnonzero(served.hits)
    assert (stream.key[served.source[hit]] == stream.key[hit]).all()
    ready_s = stream.at_s[served.source[hit]] + stream.took_s[served.source[hit]]
    assert (stream.at_s[hit] < ready_s + ttl_s).all()
    if entries >= len(np.unique(stream.key)):
        assert served.source.tolist() == unbounded.source.tolist()


@settings(max_examples=100, deadline=None)
@given(
    streams(takes_time=False),
    st.integers(0, 200),
    st.sampled_from([100.0, 400.0, math.inf]),
    st.integers(0, 9),
    st.booleans(),
)
def test_an_lfu_does_what_a_plain_one_does(
    stream: Stream, size: int, ttl_s: float, seed: int, in_bytes: bool
) -> None:
    """Over minutes, so that counters decay."""
    slow = make_stream(
        stream.at_s * 40, stream.key, status=stream.status, body_bytes=stream.body_bytes
    )
    if in_bytes:
        served = replay_lfu(slow, size_bytes=size, overhead_bytes=5, ttl_s=ttl_s, seed=seed)
        weight = (slow.body_bytes + 5).tolist()
    else:
        size //= 15
        served = replay_lfu(slow, entries=size, ttl_s=ttl_s, seed=seed)
        weight = [1] * len(slow)
    assert served.source.tolist() == plain_lfu(slow, size, weight, ttl_s, seed)


def test_an_lfu_withstands_a_scan_that_empties_an_lru() -> None:
    rng = np.random.default_rng(1)
    popular = rng.integers(0, 50, 4000)
    rounds = [
        np.concatenate([part, 1000 + 400 * n + np.arange(400)])
        for n, part in enumerate(np.split(popular, 20))
    ]
    key = np.concatenate(rounds)
    stream = make_stream(np.arange(len(key)) / 100, key)
    lru = replay_lru(stream, entries=100).hit_ratio
    lfu = replay_lfu(stream, entries=100).hit_ratio
    assert lfu > lru + 0.05
    assert replay_lfu(stream, entries=100, seed=3).hit_ratio == pytest.approx(lfu, abs=0.02)


def test_what_cannot_be_meant_is_refused() -> None:
    stream = make_stream([0.0], [1])
    with pytest.raises(ValueError, match="TTL of -1"):
        replay(stream, -1)
    with pytest.raises(ValueError, match="not both"):
        replay_lru(stream)
    with pytest.raises(ValueError, match="status"):
        make_stream([0.0, 1.0], [1, 2], status=[200])
    with pytest.raises(ValueError, match="took_s"):
        make_stream([0.0], [1], took_s=-1.0)
    with pytest.raises(ValueError, match="finite"):
        make_stream([math.nan], [1])


def test_an_empty_stream_has_no_hits() -> None:
    stream = make_stream([], [])
    assert replay(stream, 1).hit_ratio == 0
    assert hits_by_ttl(stream, TTLS).tolist() == [0] * len(TTLS)
    assert peak_entries(stream, 5) == (0, 0)
    assert len(stack_distances(stream).entries) == 0
    assert not storable(stream).any()

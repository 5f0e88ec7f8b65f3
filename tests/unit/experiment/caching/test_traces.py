"""Traces shaped as real ones are: what one minute lets expect of a cache holds in the next.

A verdict is fooled when it takes what a trace happened to have for what it always has. So each of
them is two minutes long, the first is judged, and a cache with the TTL that came of it is replayed
on the second. `docs/explanation/cache.md` has the figures of twenty traces of each shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from loadpath.caching.stream import Stream, chosen, make_changes, make_stream
from loadpath.experiment.caching.curve import point
from loadpath.experiment.caching.outcome import OperationCache, judged
from loadpath.experiment.caching.streams import Seen

Rng: TypeAlias = np.random.Generator
Columns: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]

HALF_S = 60.0
KEYS = 1000
RATE_PER_S = 150.0
WRITTEN_S = 400.0
"""Each key is written that often, on average."""


def popular(rng: Rng, rate_per_s: float = RATE_PER_S, exponent: float = 1.0) -> Columns:
    """Zipf's law, at any moment alike."""
    count = rng.poisson(rate_per_s * 2 * HALF_S)
    weights = np.arange(1.0, KEYS + 1) ** -exponent
    key = rng.choice(KEYS, count, p=weights / weights.sum())
    return np.sort(rng.uniform(0, 2 * HALF_S, count)), key


def together(*parts: Columns) -> Columns:
    at_s = np.concatenate([part[0] for part in parts])
    order = np.argsort(at_s, kind="stable")
    return at_s[order], np.concatenate([part[1] for part in parts])[order]


def bursts(rng: Rng) -> Columns:
    """A key is asked some eight times within some four seconds, and hardly ever again."""
    starts_s = rng.uniform(0, 2 * HALF_S, 2200)
    lengths = rng.geometric(1 / 8, len(starts_s))
    at_s = np.concatenate(
        [s + np.cumsum(rng.exponential(0.5, n)) for s, n in zip(starts_s, lengths, strict=True)]
    )
    key = np.repeat(rng.integers(0, 50 * KEYS, len(starts_s)), lengths)
    inside = at_s < 2 * HALF_S
    return together((at_s[inside], key[inside]))


def scanned(rng: Rng) -> Columns:
    """A crawler goes through everything, again and again, beside the others."""
    at_s = np.arange(0, 2 * HALF_S, 1 / 60)
    return together(popular(rng, 90.0), (at_s, np.arange(len(at_s)) % (3 * KEYS)))


def one_hit_wonders(rng: Rng) -> Columns:
    """A third of the requests are for keys that never come again."""
    at_s = np.sort(rng.uniform(0, 2 * HALF_S, 6000))
    return together(popular(rng, 100.0), (at_s, 100 * KEYS + np.arange(6000)))


def flash_crowds(rng: Rng) -> Columns:
    """Twice a minute everybody wants one key, for five seconds."""
    crowds = [
        (np.sort(rng.uniform(s, s + 5, 1000)), np.full(1000, KEYS + n))
        for n, s in enumerate(rng.uniform(0, 55, 4) + np.array([0, 0, 60, 60]))
    ]
    return together(popular(rng), *crowds)


def fashions(rng: Rng) -> Columns:
    """Which keys are popular changes every ten seconds."""
    at_s, key = popular(rng)
    return at_s, (key + 137 * (at_s // 10).astype(np.int64)) % KEYS


def scan_alone(rng: Rng) -> Columns:
    """Nothing but a crawler, round and round: each key again after fifty seconds."""
    at_s = np.arange(0, 2 * HALF_S, 1 / 100)
    return at_s, np.arange(len(at_s)) % 5000


def written(columns: Columns, rng: Rng, *, at_once: bool = False) -> Stream:
    """The stream with writes: of each key by itself, or of a third of all at one moment."""
    at_s, key = columns
    names = np.unique(key)
    if at_once:
        moments = np.arange(10.0, 2 * HALF_S, 20.0)
        of = [rng.choice(names, len(names) // 3, replace=False) for _ in moments]
        writes_s = np.concatenate([np.full(len(o), m) for o, m in zip(of, moments, strict=True)])
        changed = np.concatenate(of)
    else:
        count = rng.poisson(len(names) * 2 * HALF_S / WRITTEN_S)
        writes_s, changed = rng.uniform(0, 2 * HALF_S, count), rng.choice(names, count)
    order = np.lexsort((writes_s, changed))
    changed, writes_s = changed[order], writes_s[order]
    # How many writes there were of the key by then: those sorted before (key, moment).
    far = 10 * HALF_S
    before = np.searchsorted(changed * far + writes_s, key * far + at_s)
    digest = 1 + before - np.searchsorted(changed, key)
    return make_stream(at_s, key, digest=digest, changes=make_changes(writes_s, changed))


def minute(stream: Stream, first: bool) -> Stream:
    inside = stream.at_s < HALF_S
    return chosen(stream, inside if first else ~inside)


def verdict(stream: Stream) -> OperationCache:
    seen = Seen(
        operation="GET /it",
        methods={"GET": len(stream)},
        stream=stream,
        headers=np.array([""] * len(stream), dtype=object),
        authorized=np.zeros(len(stream), dtype=bool),
        span_s=HALF_S,
    )
    return judged(seen, None, 0.01)


def next_minute(stream: Stream, ttl_s: float) -> tuple[float, float]:
    """Hits and the share of them that is stale."""
    later = minute(stream, first=False)
    shifted = make_stream(later.at_s - HALF_S, later.key, digest=later.digest)
    found = point(shifted, ttl_s)
    return found.hit_ratio, found.staleness.stale / max(found.staleness.judged, 1)


SHAPES = (popular, bursts, scanned, one_hit_wonders, flash_crowds, fashions)


@pytest.mark.parametrize("shape", SHAPES)
def test_hits_and_staleness_of_one_minute_hold_in_the_next(
    shape: Callable[[Rng], Columns],
) -> None:
    hits_off, stale = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        stream = written(shape(rng), rng)
        found = verdict(minute(stream, first=True))
        if found.point is None:
            assert found.why == "too few hits to know how stale they are"
            continue
        ratio, share = next_minute(stream, found.point.ttl_s)
        hits_off.append(abs(ratio - found.point.hit_ratio))
        stale.append(share)
    assert len(stale) >= 4
    assert max(hits_off) < 0.05
    assert float(np.mean(stale)) < 0.01


def test_what_a_crawler_asks_for_again_after_long_is_no_reason_for_a_cache() -> None:
    rng = np.random.default_rng(1)
    found = verdict(minute(written(scan_alone(rng), rng), first=True))
    assert (found.verdict, found.why) == ("no", "hardly anything is asked for twice")


@pytest.mark.parametrize("seed", range(4))
def test_writes_that_come_all_at_once_allow_no_longer_ttl_than_they_should(seed: int) -> None:
    """Three moments a minute decide: the interval of the staleness is wide, and it counts."""
    rng = np.random.default_rng(seed)
    stream = written(popular(rng), rng, at_once=True)
    found = verdict(minute(stream, first=True))
    if found.point is not None:
        _, share = next_minute(stream, found.point.ttl_s)
        assert share < 0.02
    naive = [p.ttl_s for p in found.points if p.staleness.share.value <= 0.01]
    allowed = [p.ttl_s for p in found.points if p.staleness.share.high <= 0.01]
    assert max(allowed, default=0.0) <= max(naive, default=0.0)

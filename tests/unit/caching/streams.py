"""Random streams, and a cache simulated the plain way: dictionaries, one request after another."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
from hypothesis import strategies as st

from loadpath.caching.stream import Stream, make_changes, make_stream, storable


@st.composite
def streams(draw: st.DrawFn, *, takes_time: bool = True, writes: bool = False) -> Stream:
    """Streams of few keys, on a coarse clock, so that ties and edges of a TTL are common."""
    count = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    keys = draw(st.integers(1, 12))
    span = draw(st.integers(1, 40))
    changes = int(rng.integers(0, 10)) if writes else 0
    return make_stream(
        rng.integers(0, span, count) / 2,
        rng.integers(0, keys, count) * 7 - 20,
        digest=rng.integers(-1, 3, count),
        status=rng.choice([200, 200, 302, 404, 500], count),
        body_bytes=rng.integers(0, 50, count),
        identity=rng.integers(-1, 3, count),
        took_s=rng.choice([0.0, 0.5, 1.5], count) if takes_time else 0.0,
        changes=make_changes(
            rng.integers(0, span, changes) / 2 + 0.25, rng.integers(0, keys, changes) * 7 - 20
        ),
    )


def plain_replay(
    stream: Stream, ttl_s: float, *, invalidated: bool = False, revalidate_s: float = 0.0
) -> tuple[list[int], list[bool]]:
    """`replay.replay` as one would write it without a thought for speed."""
    keeps = storable(stream)
    entries: dict[int, int] = {}
    refreshes: dict[int, int] = {}
    source, fetched = [], []
    for i, (now, key) in enumerate(zip(stream.at_s, stream.key, strict=True)):

        def ready(j: int) -> float:
            return float(stream.at_s[j] + stream.took_s[j])

        def written_since(j: int, key: int = key, now: float = now) -> bool:
            changes = stream.changes
            return invalidated and any(
                k == key and stream.at_s[j] < at <= now
                for at, k in zip(changes.at_s, changes.key, strict=True)
            )

        refresh = refreshes.get(key)
        if refresh is not None and now >= ready(refresh):
            if keeps[refresh]:
                entries[key] = refresh
            del refreshes[key]
            refresh = None
        if refresh is not None and written_since(refresh):
            del refreshes[key]
            refresh = None
        entry = entries.get(key)
        if entry is not None and (not keeps[entry] or written_since(entry)):
            del entries[key]
            entry = refreshes.pop(key, None)
            if entry is not None:
                entries[key] = entry
        if entry is not None and now < ready(entry) + ttl_s:
            source.append(entry)
            fetched.append(False)
        elif entry is not None and now < ready(entry) + ttl_s + revalidate_s:
            source.append(entry)
            fetched.append(key not in refreshes)
            refreshes.setdefault(key, i)
        else:
            source.append(-1)
            fetched.append(True)
            entries[key] = i
    return source, fetched


def plain_lru(stream: Stream, capacity: int, weight: list[int], ttl_s: float) -> list[int]:
    """`bounded.replay_lru`, with a list; for streams whose answers take no time."""
    keeps = storable(stream)
    cache: OrderedDict[int, int] = OrderedDict()
    source = []
    for i, key in enumerate(stream.key):
        now = stream.at_s[i]
        if not math.isinf(ttl_s):
            for k in [k for k, j in cache.items() if now >= stream.at_s[j] + ttl_s]:
                del cache[k]
        if key in cache:
            cache.move_to_end(key)
            source.append(cache[key])
            continue
        source.append(-1)
        if keeps[i] and weight[i] <= capacity:
            while sum(weight[j] for j in cache.values()) + weight[i] > capacity:
                cache.popitem(last=False)
            cache[key] = i
    return source


class _Draws:
    """splitmix64 (Steele, Lea & Flood 2014), in Python's whole numbers."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def __call__(self) -> float:
        mask = (1 << 64) - 1
        self._state = (self._state + 0x9E3779B97F4A7C15) & mask
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def plain_lfu(
    stream: Stream, capacity: int, weight: list[int], ttl_s: float, seed: int
) -> list[int]:
    """`bounded.replay_lfu`, with dictionaries and lists; for streams whose answers take no time."""
    keeps = storable(stream)
    draw = _Draws(seed)
    fetched: dict[int, int] = {}
    counters: dict[int, tuple[int, int]] = {}  # how often, and in which minute it was touched last
    resident: list[int] = []
    pool: list[tuple[int, int]] = []  # idleness and key, the most idle last
    source = []

    def drop(key: int) -> None:
        del fetched[key]
        resident[resident.index(key)] = resident[-1]
        resident.pop()

    def count_of(key: int, minute: int) -> int:
        count, touched = counters[key]
        return max(0, count - (minute - touched))

    def victim(minute: int) -> int:
        while True:
            for _ in range(min(5, len(resident))):
                key = resident[int(draw() * len(resident))]
                idle = 255 - count_of(key, minute)
                at = sum(other < idle for other, _ in pool)
                if at or len(pool) < 16:
                    pool.insert(at, (idle, key))
                    del pool[: max(0, len(pool) - 16)]
            while pool:
                _, key = pool.pop()
                if key in fetched:
                    return key

    for i, key in enumerate(stream.key.tolist()):
        now = float(stream.at_s[i])
        minute = int(now / 60)
        for j in sorted(fetched.values()):
            if stream.at_s[j] + ttl_s <= now:
                drop(int(stream.key[j]))
        source.append(fetched.get(key, -1))
        if key in fetched:
            count = count_of(key, minute)
            if count < 255 and draw() < 1 / (max(0, count - 5) * 10 + 1):
                count += 1
            counters[key] = count, minute
        elif keeps[i] and weight[i] <= capacity:
            while sum(weight[j] for j in fetched.values()) + weight[i] > capacity:
                drop(victim(minute))
            fetched[key] = i
            counters[key] = 5, minute
            resident.append(key)
    return source

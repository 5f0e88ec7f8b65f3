"""Caches of bounded size, simulated step by step: LRU and Valkey's LFU, with a TTL or without."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from loadpath.caching import kernels_lfu, kernels_size
from loadpath.caching.stream import MADE_BY_ORIGIN, Flags, Floats, Ids, Replay, Stream, storable


def replay_lru(
    stream: Stream,
    *,
    entries: int | None = None,
    size_bytes: int | None = None,
    overhead_bytes: int = 0,
    ttl_s: float = math.inf,
    stored: Flags | None = None,
) -> Replay:
    """An LRU cache of so many entries, or bytes (body + overhead each), at most. Exact.

    An entry takes room from the request that fetches it; what is larger than the cache is not
    stored. TTL, waiting and `stored` as of `replay.replay`. Raises `ValueError` unless exactly one
    of `entries` and `size_bytes` is given.
    """
    game = _prepared(stream, entries, size_bytes, overhead_bytes, ttl_s, stored)
    ends = np.full(2, -1, dtype=np.int64)
    kernels_size.lru(
        game.key,
        stream.at_s,
        game.fresh_until_s,
        game.weight,
        game.stored,
        game.capacity,
        game.none(),
        game.none(),
        game.none(),
        ends,
        game.source,
    )
    return Replay(game.source, game.source == MADE_BY_ORIGIN)


def replay_lfu(
    stream: Stream,
    *,
    entries: int | None = None,
    size_bytes: int | None = None,
    overhead_bytes: int = 0,
    ttl_s: float = math.inf,
    seed: int = 1,
    stored: Flags | None = None,
) -> Replay:
    """As Valkey evicts under allkeys-lfu: a logarithmic counter that decays, and sampled eviction.

    Both are random there: this is one run of it, the same for the same seed. The rest as of
    `replay_lru`.
    """
    game = _prepared(stream, entries, size_bytes, overhead_bytes, ttl_s, stored)
    kernels_lfu.lfu(
        game.key,
        stream.at_s,
        game.fresh_until_s,
        game.weight,
        game.stored,
        game.capacity,
        game.none(),
        game.none(),
        game.none(),
        game.none(),
        game.none(),
        np.full(kernels_lfu.POOL, -1, dtype=np.int64),
        np.zeros(kernels_lfu.POOL, dtype=np.int64),
        np.array([seed], dtype=np.uint64),
        game.source,
    )
    return Replay(game.source, game.source == MADE_BY_ORIGIN)


class _Game(msgspec.Struct, frozen=True, eq=False):
    keys: int
    key: Ids
    fresh_until_s: Floats
    weight: Ids
    stored: Flags
    capacity: int
    source: Ids

    def none(self) -> Ids:
        """A column of one -1 a key."""
        return np.full(self.keys, -1, dtype=np.int64)


def _prepared(
    stream: Stream,
    entries: int | None,
    size_bytes: int | None,
    overhead_bytes: int,
    ttl_s: float,
    stored: Flags | None,
) -> _Game:
    if (entries is None) == (size_bytes is None):
        raise ValueError("a bounded cache needs a number of entries or of bytes, and not both")
    names, dense = np.unique(stream.key, return_inverse=True)
    if entries is not None:
        weight = np.ones(len(stream), dtype=np.int64)
    else:
        weight = stream.body_bytes + overhead_bytes
    return _Game(
        len(names),
        dense.astype(np.int64),
        stream.at_s + stream.took_s + ttl_s,
        weight,
        storable(stream) if stored is None else stored,
        entries if entries is not None else size_bytes or 0,
        np.empty(len(stream), dtype=np.int64),
    )

"""Caches of bounded size, simulated step by step: LRU and Valkey's LFU, with a TTL or without."""

from __future__ import annotations

import math

from loadpath.caching.stream import Flags, Replay, Stream


def replay_lru(
    stream: Stream,
    *,
    entries: int | None = None,
    size_bytes: int | None = None,
    overhead_bytes: int = 0,
    ttl_s: float = math.inf,
    stored: Flags | None = None,
) -> Replay:
    """An LRU cache of so many entries, or bytes (body + overhead each), at most. Exact."""
    raise NotImplementedError


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

    Both are random there: this is one run of it, the same for the same seed.
    """
    raise NotImplementedError

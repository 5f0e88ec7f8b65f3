"""Valkey's allkeys-lfu, compiled: what its evict.c does, with memory counted in entries or bytes.

An entry's counter is logarithmic (Morris 1978) and decays with the minutes. To evict, five entries
are drawn, the least used of which enter a pool of sixteen candidates that is kept from one eviction
to the next; the worst candidate that still exists goes. Draws are uniform here; Valkey's come from
its hash table and are nearly so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loadpath.caching.stream import Flags, Floats, Ids
from loadpath.model.jit import called, kept

POOL = 16
SAMPLES = 5
NEW_COUNTER = 5
LOG_FACTOR = 10
DECAY_S = 60.0
"""Valkey's defaults: maxmemory-samples 5, lfu-log-factor 10, lfu-decay-time 1 (minute)."""

Seed = npt.NDArray[np.uint64]


@called
def _random(seed: Seed) -> float:
    """The next number in [0, 1): splitmix64 (Steele, Lea & Flood 2014)."""
    seed[0] += np.uint64(0x9E3779B97F4A7C15)
    z = seed[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) / 9007199254740992.0


@called
def _decayed(k: int, minute: int, counter: Ids, touched: Ids) -> int:
    """The counter as it is by now: one less for each minute since it was touched."""
    return max(0, int(counter[k]) - (minute - int(touched[k])))


@called
def _touch(k: int, minute: int, counter: Ids, touched: Ids, seed: Seed) -> None:
    count = _decayed(k, minute, counter, touched)
    above = max(0, count - NEW_COUNTER)
    if count < 255 and _random(seed) < 1.0 / (above * LOG_FACTOR + 1):
        count += 1
    counter[k] = count
    touched[k] = minute


@called
def _consider(k: int, idle: int, pool: Ids, pool_idle: Ids) -> None:
    """Put a candidate into the pool, which is sorted from little to much idleness; -1 is free."""
    at = 0
    while at < POOL and pool[at] >= 0 and pool_idle[at] < idle:
        at += 1
    is_full = pool[POOL - 1] >= 0
    if at == 0 and is_full:
        return
    if is_full:
        at -= 1
        for n in range(at):  # the least idle falls out
            pool[n] = pool[n + 1]
            pool_idle[n] = pool_idle[n + 1]
    elif pool[at] >= 0:
        for n in range(POOL - 1, at, -1):
            pool[n] = pool[n - 1]
            pool_idle[n] = pool_idle[n - 1]
    pool[at] = k
    pool_idle[at] = idle


@called
def _victim(
    minute: int,
    held: int,
    resident: Ids,
    entry: Ids,
    counter: Ids,
    touched: Ids,
    pool: Ids,
    pool_idle: Ids,
    seed: Seed,
) -> int:
    """The key to evict, of `held` that are there (more than 0)."""
    while True:
        for _ in range(min(SAMPLES, held)):
            k = resident[min(held - 1, int(_random(seed) * held))]
            _consider(k, 255 - _decayed(k, minute, counter, touched), pool, pool_idle)
        for n in range(POOL - 1, -1, -1):
            k = int(pool[n])
            if k < 0:
                continue
            pool[n] = -1  # from the right: what is left of it stays in order
            if entry[k] >= 0:
                return k


@called
def _drop(k: int, held: int, resident: Ids, place: Ids, entry: Ids) -> int:
    """Take a key out; returns how many are left."""
    moved = resident[held - 1]
    resident[place[k]] = moved
    place[moved] = place[k]
    entry[k] = -1
    return held - 1


@kept
def lfu(
    key: Ids,
    at_s: Floats,
    fresh_until_s: Floats,
    weight: Ids,
    stored: Flags,
    capacity: int,
    entry: Ids,
    counter: Ids,
    touched: Ids,
    resident: Ids,
    place: Ids,
    pool: Ids,
    pool_idle: Ids,
    seed: Seed,
    source: Ids,
) -> None:
    """Fills `source`. Per key: `entry` (the request that fetched it, -1: none), `counter`,
    `touched`, `place` in `resident`. Expired entries leave as in `kernels_size.lru`."""
    used = 0
    held = 0
    oldest_fetch = 0
    for i in range(len(key)):
        while oldest_fetch < i and fresh_until_s[oldest_fetch] <= at_s[i]:
            k = key[oldest_fetch]
            if entry[k] == oldest_fetch:
                used -= weight[oldest_fetch]
                held = _drop(k, held, resident, place, entry)
            oldest_fetch += 1
        minute = int(at_s[i] / DECAY_S)
        k = key[i]
        if entry[k] >= 0 and fresh_until_s[entry[k]] <= at_s[i]:
            used -= weight[entry[k]]
            held = _drop(k, held, resident, place, entry)
        source[i] = entry[k]
        if entry[k] >= 0:
            _touch(k, minute, counter, touched, seed)
        elif stored[i] and weight[i] <= capacity:
            while used + weight[i] > capacity:
                out = _victim(
                    minute, held, resident, entry, counter, touched, pool, pool_idle, seed
                )
                used -= weight[entry[out]]
                held = _drop(out, held, resident, place, entry)
            entry[k] = i
            counter[k] = NEW_COUNTER
            touched[k] = minute
            resident[held] = k
            place[k] = held
            held += 1
            used += weight[i]

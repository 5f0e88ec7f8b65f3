"""The inner loops over the requests of a log, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loadpath.caching.stream import Flags, Floats, Ids
from loadpath.model.jit import kept

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int32]


@kept
def intern(hashes: Hashes, slots: Hashes, numbers: Numbers, state: Ids, found: Numbers) -> int:
    """Fill `found` with the number of each hash; new ones get the next. How many were done.

    `slots` is a hash table (a power of two in size, linear probing, 0 for free, so that a hash of 0
    must not come), `numbers` what belongs to each slot, `state[0]` the next number. Ends early when
    the table is two thirds full.
    """
    mask = np.uint64(len(slots) - 1)
    for i in range(len(hashes)):
        if state[0] * 3 >= len(slots) * 2:
            return i
        at = (hashes[i] ^ (hashes[i] >> np.uint64(32))) & mask
        while slots[at] != 0 and slots[at] != hashes[i]:
            at = (at + np.uint64(1)) & mask
        if slots[at] == 0:
            slots[at] = hashes[i]
            numbers[at] = state[0]
            state[0] += 1
        found[i] = numbers[at]
    return len(hashes)


@kept
def rehash(slots: Hashes, numbers: Numbers, larger: Hashes, larger_numbers: Numbers) -> None:
    """Move a table into a larger, empty one."""
    mask = np.uint64(len(larger) - 1)
    for n in range(len(slots)):
        if slots[n] == 0:
            continue
        at = (slots[n] ^ (slots[n] >> np.uint64(32))) & mask
        while larger[at] != 0:
            at = (at + np.uint64(1)) & mask
        larger[at] = slots[n]
        larger_numbers[at] = numbers[n]


@kept
def by_key(key: Numbers, start: Ids, order: Numbers) -> None:
    """Fill `order` with the requests of each key, in time; `start[k]` is where key k's begin.

    Afterwards `start[k]` is where they end.
    """
    for i in range(len(key)):
        order[start[key[i]]] = i
        start[key[i]] += 1


@kept
def count_ttls(
    order: Numbers,
    end: Ids,
    at: npt.NDArray[np.uint32],
    stored: Flags,
    body_bytes: npt.NDArray[np.uint32],
    operation: Numbers,
    ttls: Floats,
    hits: npt.NDArray[np.int64],
    saved: npt.NDArray[np.int64],
    fetched: npt.NDArray[np.int64],
) -> None:
    """Fill `hits`, `saved` (bytes) and `fetched` (stored entries), each (operations, TTLs).

    `operation` is that of each key, `ttls` are in the unit of `at`. As
    `caching.kernels.count_groups`, for answers that take no time; key by key, so that its requests
    stay in the processor's cache for all TTLs.
    """
    begin = 0
    for k in range(len(end)):
        o = operation[k]
        for which in range(len(ttls)):
            fresh_until = 0.0
            holds = False
            for n in range(begin, end[k]):
                i = order[n]
                now = float(at[i])
                if holds and now < fresh_until:
                    hits[o, which] += 1
                    saved[o, which] += body_bytes[i]
                else:
                    holds = stored[i]
                    fresh_until = now + ttls[which]
                    fetched[o, which] += holds
        begin = end[k]

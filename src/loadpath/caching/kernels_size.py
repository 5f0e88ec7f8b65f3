"""The inner loops of caches of bounded size, compiled. Keys are dense: 0 up to their number.

Every array is made by the caller; what a kernel fills or keeps its state in is named last.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loadpath.caching.stream import Flags, Floats, Ids
from loadpath.model.jit import called, kept

Places = npt.NDArray[np.int32]
Tree = Places | Ids


@called
def _add(tree: Tree, at: int, amount: int) -> None:
    """Add to one position of a Fenwick tree (Fenwick 1994)."""
    node = at + 1
    while node < len(tree):
        tree[node] += amount
        node += node & -node


@called
def _sum(tree: Tree, below: int) -> int:
    """The sum of the positions below one."""
    total = 0
    node = min(below, len(tree) - 1)
    while node > 0:
        total += tree[node]
        node -= node & -node
    return total


@kept
def distances(
    key: Ids,
    size_bytes: Ids,
    last: Places,
    holder: Places,
    held_bytes: Ids,
    entries_tree: Places,
    bytes_tree: Ids,
    state: Ids,
    by_entries: Ids,
    by_bytes: Ids,
) -> None:
    """Stack distances of these requests, which go on where `state` and its arrays stopped.

    `last` (per key) is the position of its latest use, -1 for none; `holder` the key at each
    position, -1 for none; `held_bytes` its size (per key). There are more positions than keys; when
    they run out the used ones close ranks, so that the trees stay small. `state`: the next
    position, the keys in use, their bytes. A tree with a single node counts nothing.
    """
    room = len(holder)
    for i in range(len(key)):
        k = key[i]
        if state[0] == room:
            _close_ranks(last, holder, held_bytes, entries_tree, bytes_tree, state)
        was = last[k]
        if was < 0:
            by_entries[i] = -1
            by_bytes[i] = -1
            state[1] += 1
        else:
            by_entries[i] = state[1] - _sum(entries_tree, was)
            by_bytes[i] = state[2] - _sum(bytes_tree, was)
            _add(entries_tree, was, -1)
            _add(bytes_tree, was, -held_bytes[k])
            holder[was] = -1
            state[2] -= held_bytes[k]
        at = state[0]
        last[k] = at
        holder[at] = k
        held_bytes[k] = size_bytes[i]
        _add(entries_tree, at, 1)
        _add(bytes_tree, at, size_bytes[i])
        state[0] += 1
        state[2] += size_bytes[i]


@called
def _close_ranks(
    last: Places,
    holder: Places,
    held_bytes: Ids,
    entries_tree: Places,
    bytes_tree: Ids,
    state: Ids,
) -> None:
    to = 0
    for at in range(state[0]):
        k = holder[at]
        if k >= 0:
            holder[at] = -1
            holder[to] = k
            last[k] = to
            to += 1
    entries_tree[:] = 0
    bytes_tree[:] = 0
    for at in range(to):
        _add(entries_tree, at, 1)
        _add(bytes_tree, at, held_bytes[holder[at]])
    state[0] = to


@called
def _unlink(k: int, newer: Ids, older: Ids, ends: Ids) -> None:
    """Take a key out of the list; `ends` are its newest and its oldest, -1 for none."""
    if newer[k] >= 0:
        older[newer[k]] = older[k]
    else:
        ends[0] = older[k]
    if older[k] >= 0:
        newer[older[k]] = newer[k]
    else:
        ends[1] = newer[k]


@called
def _put_newest(k: int, newer: Ids, older: Ids, ends: Ids) -> None:
    newer[k] = -1
    older[k] = ends[0]
    if ends[0] >= 0:
        newer[ends[0]] = k
    else:
        ends[1] = k
    ends[0] = k


@kept
def lru(
    key: Ids,
    at_s: Floats,
    fresh_until_s: Floats,
    weight: Ids,
    stored: Flags,
    capacity: int,
    entry: Ids,
    newer: Ids,
    older: Ids,
    ends: Ids,
    source: Ids,
) -> None:
    """Fills `source`. `entry` (per key): the request that fetched what is stored, -1 for nothing.

    What is no longer fresh leaves at once, as its turn comes in the order of the fetches.
    """
    used = 0
    oldest_fetch = 0
    for i in range(len(key)):
        while oldest_fetch < i and fresh_until_s[oldest_fetch] <= at_s[i]:
            k = key[oldest_fetch]
            if entry[k] == oldest_fetch:
                used -= weight[oldest_fetch]
                _unlink(k, newer, older, ends)
                entry[k] = -1
            oldest_fetch += 1
        k = key[i]
        if entry[k] >= 0 and fresh_until_s[entry[k]] <= at_s[i]:
            used -= weight[entry[k]]
            _unlink(k, newer, older, ends)
            entry[k] = -1
        source[i] = entry[k]
        if entry[k] >= 0:
            _unlink(k, newer, older, ends)
            _put_newest(k, newer, older, ends)
        elif stored[i] and weight[i] <= capacity:
            while used + weight[i] > capacity:
                out = ends[1]
                used -= weight[entry[out]]
                _unlink(out, newer, older, ends)
                entry[out] = -1
            _put_newest(k, newer, older, ends)
            entry[k] = i
            used += weight[i]

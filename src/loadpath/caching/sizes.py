"""Hit ratio against size under LRU, exactly and for all sizes at once: stack distances."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.caching import kernels_size
from loadpath.caching.stream import Flags, Ids, Stream, storable


class Distances(msgspec.Struct, frozen=True, eq=False):
    """Per request, how much was used since its key was last, itself included; -1 for the first use.

    A request is a hit of an LRU cache that holds `entries` at least (or `bytes`).
    """

    entries: Ids
    bytes: Ids


class Stack(msgspec.Struct, frozen=True, eq=False):
    """Where a pass over a stream's stack distances stands; made by `empty_stack`."""

    last: npt.NDArray[np.int32]
    holder: npt.NDArray[np.int32]
    held_bytes: Ids
    entries_tree: npt.NDArray[np.int32]
    bytes_tree: Ids
    state: Ids


def empty_stack(keys: int, *, entries: bool = True) -> Stack:
    """A stack with room for keys 0 to `keys` - 1; without `entries` it knows bytes only."""
    room = keys + keys // 2 + 64
    return Stack(
        np.full(keys, -1, dtype=np.int32),
        np.full(room, -1, dtype=np.int32),
        np.zeros(keys, dtype=np.int64),
        np.zeros(room + 1 if entries else 1, dtype=np.int32),
        np.zeros(room + 1, dtype=np.int64),
        np.zeros(3, dtype=np.int64),
    )


def push(stack: Stack, key: Ids, size_bytes: Ids) -> Distances:
    """The distances of the next requests of a stream; the stack is changed. Keys are dense.

    Without entries in the stack, `entries` tells first uses (-1) from others only.
    """
    found = Distances(np.empty(len(key), dtype=np.int64), np.empty(len(key), dtype=np.int64))
    kernels_size.distances(
        key,
        size_bytes,
        stack.last,
        stack.holder,
        stack.held_bytes,
        stack.entries_tree,
        stack.bytes_tree,
        stack.state,
        found.entries,
        found.bytes,
    )
    return found


def stack_distances(
    stream: Stream, *, overhead_bytes: int = 0, stored: Flags | None = None
) -> Distances:
    """Stack distances (Mattson et al. 1970) in O(n log n), by a Fenwick tree (Olken 1981).

    Requests whose answer is not `stored` (default: `storable`) are no use of the key, and misses.
    In entries this is exact. In bytes it is where a key's size does not change and no entry is
    larger than the cache; else `bounded.replay_lru` is.
    """
    keeps = storable(stream) if stored is None else stored
    names, dense = np.unique(stream.key[keeps], return_inverse=True)
    sizes = stream.body_bytes[keeps] + overhead_bytes
    of_kept = push(empty_stack(len(names)), dense.astype(np.int64), sizes)
    found = Distances(np.full(len(stream), -1), np.full(len(stream), -1))
    found.entries[keeps] = of_kept.entries
    found.bytes[keeps] = of_kept.bytes
    return found


def hits_by_size(distances: Ids, sizes: Sequence[int]) -> Ids:
    """The number of hits of an LRU cache of each size, in the unit of the distances."""
    ordered = np.sort(distances[distances >= 0])
    return np.searchsorted(ordered, np.asarray(sizes, dtype=np.int64), side="right")

"""Hit ratio against size under LRU, exactly and for all sizes at once: stack distances."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.caching.stream import Flags, Ids, Stream


class Distances(msgspec.Struct, frozen=True, eq=False):
    """Per request, how much was used since its key was last, itself included; -1 for the first use.

    A request is a hit of an LRU cache that holds `entries` at least (or `bytes`).
    """

    entries: Ids
    bytes: Ids


def stack_distances(
    stream: Stream, *, overhead_bytes: int = 0, stored: Flags | None = None
) -> Distances:
    """Stack distances (Mattson et al. 1970) in O(n log n), by a Fenwick tree (Olken 1981)."""
    raise NotImplementedError


def hits_by_size(distances: Ids, sizes: Sequence[int]) -> Ids:
    """The number of hits of an LRU cache of each size, in the unit of the distances."""
    raise NotImplementedError

"""A cache with a time to live and room for everything, replayed request by request."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from loadpath.caching import kernels
from loadpath.caching.stream import MADE_BY_ORIGIN, Flags, Floats, Ids, Replay, Stream, storable


def replay(
    stream: Stream,
    ttl_s: float,
    *,
    invalidated: bool = False,
    revalidate_s: float = 0.0,
    stored: Flags | None = None,
) -> Replay:
    """What a shared cache with that TTL and room for everything does with the stream. Exact.

    A miss fetches; the answer, there `took_s` later, is fresh for less than `ttl_s` from then on,
    however often it is hit (RFC 9111, 4.2). A request that comes while its key is being fetched
    waits for that answer and is a hit (single-flight). An answer that `stored` (default:
    `storable`) does not choose is neither kept nor given to anybody else.

    `invalidated`: an entry whose fetch began before a write that changed its key is dropped at that
    write (`stream.changes`). `revalidate_s`: for so long after the TTL a stale entry is still
    served while one request behind it fetches (stale-while-revalidate, RFC 5861).

    Raises `ValueError` for a negative time.
    """
    if not (ttl_s >= 0 and revalidate_s >= 0):
        raise ValueError(f"a TTL of {ttl_s} s, {revalidate_s} s of serving stale")
    grouped = group(stream, invalidated=invalidated, stored=stored)
    source = np.empty(len(stream), dtype=np.int64)
    fetched = np.empty(len(stream), dtype=np.bool_)
    kernels.replay_groups(
        grouped.first,
        grouped.at_s,
        grouped.took_s,
        grouped.stored,
        grouped.changed_s,
        ttl_s,
        revalidate_s,
        source,
        fetched,
    )
    found = Replay(np.empty_like(source), np.empty_like(fetched))
    # `source` counts in the grouped order; -1 would take the last one of it.
    found.source[grouped.order] = np.where(source < 0, MADE_BY_ORIGIN, grouped.order[source])
    found.fetched[grouped.order] = fetched
    return found


def hits_by_ttl(
    stream: Stream,
    ttls_s: Sequence[float],
    *,
    invalidated: bool = False,
    stored: Flags | None = None,
) -> Ids:
    """The number of hits at each TTL, in one pass; `replay` says the same of one."""
    return savings_by_ttl(stream, ttls_s, invalidated=invalidated, stored=stored)[0]


def savings_by_ttl(
    stream: Stream,
    ttls_s: Sequence[float],
    *,
    invalidated: bool = False,
    stored: Flags | None = None,
) -> tuple[Ids, Ids]:
    """The hits at each TTL and the bytes of bodies they save the service: two columns."""
    grouped = group(stream, invalidated=invalidated, stored=stored)
    hits = np.empty(len(ttls_s), dtype=np.int64)
    saved = np.empty(len(ttls_s), dtype=np.int64)
    kernels.count_groups(
        grouped.first,
        grouped.at_s,
        grouped.took_s,
        grouped.stored,
        grouped.changed_s,
        stream.body_bytes[grouped.order],
        np.asarray(ttls_s, dtype=np.float64),
        hits,
        saved,
    )
    return hits, saved


class Grouped(msgspec.Struct, frozen=True, eq=False):
    """A stream's columns by key and, within a key, by time; `order` are indices into the stream."""

    order: Ids
    first: Flags
    at_s: Floats
    took_s: Floats
    stored: Flags
    changed_s: Floats


def group(stream: Stream, *, invalidated: bool = False, stored: Flags | None = None) -> Grouped:
    """The columns that the compiled replays go through."""
    order = np.argsort(stream.key, kind="stable")
    key = stream.key[order]
    at_s = stream.at_s[order]
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = key[1:] != key[:-1]
    changed_s = np.full(len(key), -np.inf)
    if invalidated and len(stream.changes):
        changes = stream.changes
        by_key = np.argsort(changes.key, kind="stable")
        kernels.last_changes(key, at_s, changes.key[by_key], changes.at_s[by_key], changed_s)
    keeps = storable(stream) if stored is None else stored
    return Grouped(order, first, at_s, stream.took_s[order], keeps[order], changed_s)


def peak_entries(stream: Stream, ttl_s: float, *, stored: Flags | None = None) -> tuple[int, int]:
    """The most entries fresh at one time, and the most bytes of bodies: (entries, bytes)."""
    keeps = storable(stream) if stored is None else stored
    served = replay(stream, ttl_s, stored=keeps)
    kept = np.flatnonzero(served.fetched & keeps)
    if not len(kept):
        return 0, 0
    begins_s = stream.at_s[kept] + stream.took_s[kept]
    ends_s = begins_s + ttl_s
    times_s = np.concatenate([ends_s, begins_s])
    # What ends at the very moment that another begins has gone: ends come first.
    order = np.argsort(times_s, kind="stable")
    steps = np.repeat(np.array([-1, 1]), len(kept))
    sizes = np.concatenate([-stream.body_bytes[kept], stream.body_bytes[kept]])
    entries = np.cumsum(steps[order])
    return int(entries.max()), int(np.cumsum(sizes[order]).max())

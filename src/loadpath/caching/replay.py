"""A cache with a time to live, replayed request by request, at any size."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.caching.stream import Flags, Ids, Replay, Stream


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
    `storable`) does not choose is passed on, to those who wait as well, and not kept.

    `invalidated`: an entry whose fetch began before a write that changed its key is dropped at that
    write (`stream.changes`). `revalidate_s`: for so long after the TTL a stale entry is still
    served while one request behind it fetches (stale-while-revalidate, RFC 5861).
    """
    raise NotImplementedError


def hits_by_ttl(
    stream: Stream,
    ttls_s: Sequence[float],
    *,
    invalidated: bool = False,
    stored: Flags | None = None,
) -> Ids:
    """The number of hits at each TTL, in one pass; `replay` says the same of one."""
    raise NotImplementedError


def peak_entries(stream: Stream, ttl_s: float, *, stored: Flags | None = None) -> tuple[int, int]:
    """The most entries fresh at one time, and the most bytes of bodies."""
    raise NotImplementedError

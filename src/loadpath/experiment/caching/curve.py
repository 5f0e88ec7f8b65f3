"""Hits and staleness of one operation against the TTL, once the cache is warm. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadpath.caching.replay import replay
from loadpath.caching.staleness import TtlPoint, staleness
from loadpath.caching.stream import MADE_BY_ORIGIN, Replay, Stream

TTLS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600)
ASKED_SHARE = 1 / 3
"""A TTL longer than this share of the recording is not asked about: too little of it was seen with
the cache warm."""


def asked_ttls_s(span_s: float) -> tuple[float, ...]:
    """The TTLs that a recording of that length can tell about."""
    return tuple(ttl for ttl in TTLS_S if ttl <= span_s * ASKED_SHARE)


def point(stream: Stream, ttl_s: float, *, invalidated: bool = False) -> TtlPoint:
    """One TTL, counted from when the cache has been warm for a TTL: what came before only fills it.

    The share that is stale is of these requests alone.
    """
    served = replay(stream, ttl_s, invalidated=invalidated)
    warm = stream.at_s >= ttl_s
    counted = Replay(
        source=np.where(warm, served.source, MADE_BY_ORIGIN), fetched=served.fetched & warm
    )
    return TtlPoint(
        ttl_s=ttl_s,
        requests=int(warm.sum()),
        hits=int((counted.source != MADE_BY_ORIGIN).sum()),
        fetched=int(counted.fetched.sum()),
        staleness=staleness(stream, counted),
    )


def curve(
    stream: Stream, ttls_s: Sequence[float], *, invalidated: bool = False
) -> tuple[TtlPoint, ...]:
    """Every TTL, in the order given."""
    return tuple(point(stream, ttl_s, invalidated=invalidated) for ttl_s in ttls_s)


def hit_ratio_at(stream: Stream, ttl_s: float, times: float, span_s: float) -> float:
    """The hit ratio at so many times the recorded rate.

    Requests that come k times as often find with a TTL what these found with k times the TTL: only
    the number of requests for a key within it counts. What the recording is too short for is taken
    from the longest TTL that it can tell about: then the ratio is a lower bound.
    """
    scaled_s = min(ttl_s * times, max(span_s * ASKED_SHARE, ttl_s))
    return point(stream, scaled_s).hit_ratio

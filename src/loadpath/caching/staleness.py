"""Measured staleness: hits whose stored answer is not what the service said at that request."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from loadpath.answer import Interval
from loadpath.caching.replay import replay
from loadpath.caching.stream import UNKNOWN, Flags, Replay, Stream
from loadpath.stats.intervals import clustered_ratio_interval


class Staleness(msgspec.Struct, frozen=True):
    """How stale the hits of one replay are.

    `judged`: hits where both answers are known and the service did not fail · `stale`: those whose
    answer was another by then; `share` is stale ÷ judged · `shielded`: hits where the service
    itself failed · `foreign`: hits by one identity on the answer made for another, where its own
    was another. `foreign` is part of `stale`.
    """

    hits: int
    judged: int
    stale: int
    share: Interval
    shielded: int
    foreign: int


class TtlPoint(msgspec.Struct, frozen=True):
    """One TTL: what the cache would have saved and what would have been stale.

    `fetched`: requests that the service still works for.
    """

    ttl_s: float
    requests: int
    hits: int
    fetched: int
    staleness: Staleness

    @property
    def hit_ratio(self) -> float:
        """Hits ÷ requests; 0 for none."""
        return self.hits / self.requests if self.requests else 0.0

    @property
    def origin_ratio(self) -> float:
        """The share of requests that the service still works for."""
        return self.fetched / self.requests if self.requests else 1.0


def failed(stream: Stream) -> Flags:
    """Requests that the service did not answer as it should: none, 429 or 5xx."""
    status = stream.status
    return np.asarray((status < 100) | (status == 429) | (status >= 500))


def staleness(stream: Stream, served: Replay, confidence: float = 0.95) -> Staleness:
    """How stale the hits of a replay are.

    The hits of one stored entry go stale together, so they are a cluster; writes come in bursts, so
    what is near in time is alike. The interval allows for the larger of the two
    (`stats.intervals.clustered_ratio_interval`). Keys are no clusters: which they are and how often
    each is asked belongs to the workload, and another run of it asks for the same.
    """
    hit = np.flatnonzero(served.hits)
    made_by = served.source[hit]
    ours, theirs = stream.digest[hit], stream.digest[made_by]
    broken = failed(stream)[hit]
    is_judged = (ours != UNKNOWN) & (theirs != UNKNOWN) & ~broken
    stale = is_judged & (ours != theirs)
    asked, made_for = stream.identity[hit], stream.identity[made_by]
    foreign = stale & (asked != made_for) & (asked != UNKNOWN) & (made_for != UNKNOWN)
    return Staleness(
        len(hit),
        int(is_judged.sum()),
        int(stale.sum()),
        clustered_ratio_interval(stale[is_judged], made_by[is_judged], confidence),
        int(broken.sum()),
        int(foreign.sum()),
    )


def ttl_curve(
    stream: Stream,
    ttls_s: Sequence[float],
    *,
    invalidated: bool = False,
    revalidate_s: float = 0.0,
    stored: Flags | None = None,
    confidence: float = 0.95,
) -> tuple[TtlPoint, ...]:
    """Hits and staleness at each TTL, in the order given (arguments as of `replay.replay`)."""
    points = []
    for ttl_s in ttls_s:
        served = replay(
            stream, ttl_s, invalidated=invalidated, revalidate_s=revalidate_s, stored=stored
        )
        points.append(
            TtlPoint(
                ttl_s,
                len(stream),
                int(served.hits.sum()),
                int(served.fetched.sum()),
                staleness(stream, served, confidence),
            )
        )
    return tuple(points)

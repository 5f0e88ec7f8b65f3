"""Measured staleness: hits whose stored answer is not what the service said at that request."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.answer import Interval
from loadpath.caching.stream import Flags, Replay, Stream


class Staleness(msgspec.Struct, frozen=True):
    """Of one replay: `judged` hits (both answers known, and the service did not fail), the `stale`
    among them with the interval of the share, `shielded` hits where the service itself failed, and
    `foreign`: hits that gave one identity another's answer that differs from its own."""

    hits: int
    judged: int
    stale: int
    share: Interval
    shielded: int
    foreign: int


class TtlPoint(msgspec.Struct, frozen=True):
    """One TTL: what the cache would have saved and what would have been stale."""

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


def staleness(stream: Stream, served: Replay, confidence: float = 0.95) -> Staleness:
    """How stale the hits of a replay are.

    The interval: Wilson's for the number of independent hits that carry the same information.
    """
    raise NotImplementedError


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
    raise NotImplementedError

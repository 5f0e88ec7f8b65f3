"""A cold cache: how much comes through to the service at start and after a flush."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.caching.stream import Flags, Floats, Stream


class Flush(msgspec.Struct, frozen=True):
    """The service's rate after a flush: in bins of `bin_s`, requests a second, averaged over
    `flushes` moments of the stream. `warm_per_s` is the rate without a flush; `unguarded_per_s` is
    what comes through when requests for a key in flight do not wait for it (no single-flight)."""

    bin_s: float
    flushes: int
    origin_per_s: tuple[float, ...]
    unguarded_per_s: tuple[float, ...]
    warm_per_s: float


def after_flush(
    stream: Stream,
    ttl_s: float,
    *,
    flushes_s: Sequence[float],
    bin_s: float = 0.1,
    bins: int = 100,
    stored: Flags | None = None,
) -> Flush:
    """Replays the stream with the cache emptied at each of those moments."""
    raise NotImplementedError


def expected_misses_per_s(rates_per_s: Floats, after_s: Floats) -> Floats:
    """First requests a second, so long after a flush, for keys asked at those rates (Poisson):
    Σ λ exp(−λ t)."""
    raise NotImplementedError


def expected_in_flight(rate_per_s: float, took_s: float) -> float:
    """Concurrent fetches of one cold key without single-flight: 1 + λ × the time a fetch takes."""
    raise NotImplementedError

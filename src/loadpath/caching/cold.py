"""A cold cache: how much comes through to the service at start and after a flush."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from loadpath.caching.replay import group, replay
from loadpath.caching.stream import Flags, Floats, Stream, chosen, storable


class Flush(msgspec.Struct, frozen=True):
    """The service's rate after a flush, in bins of `bin_s`, requests a second.

    Averaged over `flushes` moments. `origin_per_s`: requests for a key in flight wait for it ·
    `unguarded_per_s`: they do not (no single-flight) · `warm_per_s`: without a flush ·
    `most_in_flight`: the most concurrent fetches of one key without single-flight.
    """

    bin_s: float
    flushes: int
    origin_per_s: tuple[float, ...]
    unguarded_per_s: tuple[float, ...]
    warm_per_s: float
    most_in_flight: int

    @property
    def peak_ratio(self) -> float:
        """The highest rate after the flush ÷ the rate without; infinite where there is none."""
        most = max(self.origin_per_s, default=0.0)
        if self.warm_per_s == 0:
            return float("inf") if most else 1.0
        return most / self.warm_per_s


def after_flush(
    stream: Stream,
    ttl_s: float,
    *,
    flushes_s: Sequence[float],
    bin_s: float = 0.1,
    bins: int = 100,
    stored: Flags | None = None,
) -> Flush:
    """Replays the stream with the cache emptied at each of those moments.

    Each moment is replayed apart, from an empty cache. Bins that reach beyond the end of the stream
    are averaged over the moments that have them whole; trailing ones that none has are left out.
    """
    keeps = storable(stream) if stored is None else stored
    total = np.zeros(bins)
    unguarded = np.zeros(bins)
    seen = np.zeros(bins)
    most = 0
    end_s = float(stream.at_s[-1]) if len(stream) else 0.0
    for flush_s in flushes_s:
        low, high = np.searchsorted(stream.at_s, [flush_s, flush_s + bins * bin_s])
        part = chosen(stream, slice(int(low), int(high)))
        kept = keeps[low:high]
        fetched = replay(part, ttl_s, stored=kept).fetched
        alone, in_flight = _unguarded(part, ttl_s, kept)
        place = ((part.at_s - flush_s) / bin_s).astype(np.int64)
        whole = min(bins, max(0, int((end_s - flush_s) / bin_s + 1e-9)))
        total += np.bincount(place[fetched & (place < whole)], minlength=bins)
        unguarded += np.bincount(place[alone & (place < whole)], minlength=bins)
        seen[:whole] += 1
        most = max(most, in_flight)
    last = int((seen > 0).sum())
    divisor = np.maximum(seen, 1) * bin_s
    warm = replay(stream, ttl_s, stored=keeps).fetched
    # The second half only: at its start the stream's own cache is cold.
    second = stream.at_s >= stream.at_s[0] + stream.span_s / 2 if len(stream) else warm
    half_s = stream.span_s / 2
    return Flush(
        bin_s,
        len(flushes_s),
        tuple((total / divisor)[:last].tolist()),
        tuple((unguarded / divisor)[:last].tolist()),
        float((warm & second).sum() / half_s) if half_s else 0.0,
        most,
    )


def _unguarded(stream: Stream, ttl_s: float, stored: Flags) -> tuple[Flags, int]:
    """The requests that the service works for when nobody waits, and the most at once for a key.

    The first answer that is there fills the cache; until then all who come are let through.
    """
    fetched = np.zeros(len(stream), dtype=np.bool_)
    grouped = group(stream, stored=stored)
    most = 0
    starts = np.flatnonzero(grouped.first)
    for low, high in zip(starts, np.append(starts[1:], len(stream)), strict=True):
        ready_s, fresh_until_s = np.inf, -np.inf
        under_way: list[float] = []
        for i in range(int(low), int(high)):
            now_s = float(grouped.at_s[i])
            if ready_s <= now_s:
                fresh_until_s, ready_s = ready_s + ttl_s, np.inf
            if now_s < fresh_until_s:
                continue
            fetched[grouped.order[i]] = True
            ends_s = now_s + float(grouped.took_s[i])
            under_way = [end_s for end_s in under_way if end_s > now_s] + [ends_s]
            most = max(most, len(under_way))
            if grouped.stored[i]:
                ready_s = min(ready_s, ends_s)
    return fetched, most


def expected_misses_per_s(rates_per_s: Floats, after_s: Floats) -> Floats:
    """First requests a second, so long after a flush, for keys asked at those rates.

    Σ λ exp(−λ t) over the keys: each is fetched at its first request, which for a Poisson process
    comes after an exponential time. Shapes: (keys,), (times,) -> (times,).
    """
    rates = np.asarray(rates_per_s, dtype=np.float64)[:, None]
    times = np.asarray(after_s, dtype=np.float64)[None, :]
    return np.asarray((rates * np.exp(-rates * times)).sum(axis=0))


def expected_in_flight(rate_per_s: float, took_s: float) -> float:
    """Concurrent fetches of one cold key without single-flight: 1 + λ × the time a fetch takes."""
    return 1.0 + rate_per_s * took_s

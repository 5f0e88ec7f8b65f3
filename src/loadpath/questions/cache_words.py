"""Phrases that the lines on caching share. Pure."""

from __future__ import annotations

import math

from loadpath import figures
from loadpath.caching.staleness import TtlPoint

LARGE_BYTES = 1 << 20


def point_words(point: TtlPoint) -> str:
    """`10 s: 80 % hits, 0.3 % of them stale`."""
    stale_ratio = point.staleness.share.value
    stale = "none stale"
    if math.isnan(stale_ratio):
        stale = "whether stale is not known"
    elif point.staleness.stale:
        stale = f"{figures.share(stale_ratio)} of them stale"
    return f"{point.ttl_s:g} s: {figures.share(point.hit_ratio)} hits, {stale}"


def size(count: int) -> str:
    """`12 KiB`, `1.5 MiB`."""
    return f"{count / LARGE_BYTES:,.1f} MiB" if count >= LARGE_BYTES else f"{count / 1024:,.0f} KiB"

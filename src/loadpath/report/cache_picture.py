"""Hit ratio and staleness against TTL as a picture, with the TTL chosen. SVG."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.caching.staleness import TtlPoint


def render_cache_picture(
    name: str, said: str, points: Sequence[TtlPoint], *, chosen_ttl_s: float | None, allowed: float
) -> str | None:
    """A picture of one operation; None where there is nothing to draw. `said`: what it came to."""
    raise NotImplementedError

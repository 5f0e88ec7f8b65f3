"""The TTL to recommend: the one that gives most at the staleness allowed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.caching.staleness import TtlPoint


class Choice(msgspec.Struct, frozen=True):
    """`point`: the TTL to take; None: none is allowed · `best`: the allowed one that keeps most
    from the service · `uncertain`: TTLs (s) whose staleness was allowed as measured, but not at the
    upper end of its interval: a longer recording could allow them."""

    point: TtlPoint | None
    best: TtlPoint | None
    uncertain: tuple[float, ...]


def choose(points: Sequence[TtlPoint], allowed: float = 0.01, within: float = 0.01) -> Choice:
    """The smallest TTL that keeps a share of requests from the service within `within` of the best.

    Only those whose staleness is at most `allowed` at the upper end of its interval, with hits that
    could be judged at all, are looked at. Smaller is better among equals: what is stale, and what
    nobody foresaw, is gone the sooner.
    """
    judged = [p for p in points if p.staleness.judged]
    fit = [p for p in judged if p.staleness.share.high <= allowed]
    uncertain = tuple(
        p.ttl_s for p in judged if p.staleness.share.value <= allowed < p.staleness.share.high
    )
    if not fit:
        return Choice(None, None, uncertain)
    best = min(fit, key=lambda p: (p.origin_ratio, p.ttl_s))
    near = [p for p in fit if p.origin_ratio <= best.origin_ratio + within]
    return Choice(min(near, key=lambda p: p.ttl_s), best, uncertain)

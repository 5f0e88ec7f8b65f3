"""The TTL to recommend: the one that gives most at the staleness allowed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.caching.staleness import TtlPoint


class Choice(msgspec.Struct, frozen=True):
    """`point`: the TTL to take; None: none is allowed · `best`: the allowed one with the most hits,
    which `point` is within `WITHIN` of · `uncertain`: TTLs whose staleness was within the bound as
    measured, but not at the upper end of its interval."""

    point: TtlPoint | None
    best: TtlPoint | None
    uncertain: tuple[float, ...]


def choose(points: Sequence[TtlPoint], allowed: float = 0.01, within: float = 0.01) -> Choice:
    """The smallest TTL whose share of requests kept from the service is within `within` of the
    best, among those whose staleness, at the upper end of its interval, is at most `allowed`."""
    raise NotImplementedError

"""What the taps saw, and to which visit it belongs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

Transaction: TypeAlias = Literal["none", "open", "failed"]

CallKey: TypeAlias = tuple[str, str, str]
"""What tells calls apart: dependency, verb, shape."""


class Crossing(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange on the wire to a dependency, with its shape in place of its text.

    `parameters` are equal for equal values within one recording (0: none). `reads` says whether
    the request only asks. Times are seconds of the monotonic clock.
    """

    dependency: str
    kind: str
    connection: int
    verb: str
    shape: str
    reads: bool
    began_s: float
    ended_s: float
    parameters: int = 0
    rows: int | None = None
    error: str | None = None
    transaction: Transaction = "none"
    pushed: bool = False

    @property
    def key(self) -> CallKey:
        """What it is a call of."""
        return self.dependency, self.verb, self.shape

    @property
    def duration_s(self) -> float:
        """From its request's first byte to its reply's last."""
        return self.ended_s - self.began_s


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One probe of an operation: from the first byte of its first request to its last reply's last.

    `until_s` is when the quiet after it was over. `crossings` began before `ended_s`, `after`
    between then and `until_s`.
    """

    began_s: float
    ended_s: float
    until_s: float
    crossings: tuple[Crossing, ...] = ()
    after: tuple[Crossing, ...] = ()


class Background(msgspec.Struct, frozen=True):
    """What the service does when nobody asks it anything, in calls per second."""

    rates_per_s: dict[CallKey, float]

    def expected(self, key: CallKey, window_s: float) -> float:
        """How many calls of that kind such a window sees without any request."""
        return self.rates_per_s.get(key, 0.0) * window_s


def background(crossings: Sequence[Crossing], windows: Sequence[tuple[float, float]]) -> Background:
    """The rates of what began in windows (from, until) in which nothing was asked."""
    total_s = sum(until - start for start, until in windows)
    if total_s <= 0:
        return Background({})
    seen = Counter(
        each.key
        for each in crossings
        if any(start <= each.began_s < until for start, until in windows)
    )
    return Background({key: count / total_s for key, count in seen.items()})


def assigned(visits: Sequence[Visit], crossings: Sequence[Crossing]) -> list[Visit]:
    """The visits with what belongs to each, in the order it began."""
    ordered = sorted(crossings, key=lambda each: each.began_s)
    return [
        msgspec.structs.replace(
            visit,
            crossings=tuple(c for c in ordered if visit.began_s <= c.began_s <= visit.ended_s),
            after=tuple(c for c in ordered if visit.ended_s < c.began_s < visit.until_s),
        )
        for visit in visits
    ]


def covered_s(crossings: Sequence[Crossing], start_s: float, end_s: float) -> float:
    """Seconds between `start_s` and `end_s` in which at least one of them was under way."""
    total = 0.0
    reached = start_s
    for each in sorted(crossings, key=lambda c: c.began_s):
        begin = max(each.began_s, reached)
        end = min(each.ended_s, end_s)
        if end > begin:
            total += end - begin
            reached = end
    return total

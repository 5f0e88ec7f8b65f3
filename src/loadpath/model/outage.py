"""An outage of a part that requests need: who waits, who tries again, how long the service takes to
catch up. Pure.

Requests arrive as a Poisson process and follow their client's policy one by one; nothing is done
until the part is back, and what has gathered is worked off, as a fluid (Newell 1982, chapter 2),
by what the service can do beyond its arrivals. It is drawn many times over, each time with other
values for what is not known well: quantiles of the draws are those of what will be seen.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Manner: TypeAlias = Literal["waits", "fails"]
"""What becomes of a request that needs the part: it waits until it is back, or fails at once."""

LEVELS = (0.05, 0.5, 0.95)
"""The quantiles that are told of everything."""

DRAWS_MAX, DRAWS_MIN = 400, 40
REQUESTS_MAX = 300_000
"""Drawn in all: fewer courses where each has many requests, whose quantiles are closer then."""


class Quantiles(NamedTuple):
    """At the chances of `LEVELS`."""

    low: float
    value: float
    high: float


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """Requests without an answer when nothing is amiss: `mean` of them, at most `most` within
    `over_s`; over other stretches as long that varies by `scale` (of a Gumbel distribution)."""

    mean: float
    most: int
    over_s: float
    scale: float

    def most_within(self, lasts_s: float, chance: float) -> float:
        """The most within a stretch of that length, which is exceeded with 1 - `chance`.

        Maxima of two stretches of a process with an exponential tail are Gumbel of one scale,
        the longer by the logarithm of their ratio larger (Gumbel 1958), and their difference is
        logistic.
        """
        longer = math.log(max(lasts_s, 1e-9) / max(self.over_s, 1e-9))
        spread = math.log(chance / (1 - chance))
        return max(0.0, self.most + self.scale * (longer + spread))

    def exceptional(self, lasts_s: float) -> int:
        """More than that within a stretch of that length are not usual any more."""
        return math.ceil(self.most_within(lasts_s, LEVELS[-1]))


class Needing(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one operation: so many a second, of which `share` (quantiles) need the part.

    Each is tried for `patience_s` at most, and again after each of `waits_s` (means). `counted`:
    how many requests the rate was counted from; 0: it is what was asked for.
    """

    operation: str
    rate_per_s: float
    share: tuple[float, float, float]
    patience_s: float
    waits_s: tuple[float, ...] = ()
    counted: int = 0


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an outage beforehand, but for how long it will last.

    `needing` are all requests, with those that do not need it. A wait between two tries is spread
    by `waits_spread` to both sides; one that is refused is so within `refused_s`. Where they fail,
    calls are answered again only `warming_s` (between two bounds) after it is back. `spare_per_s`:
    what the service can do beyond its arrivals, between two bounds (None: not known). `users`: of a
    closed load, which sends no more than they.
    """

    manner: Manner
    needing: tuple[Needing, ...]
    usual: Usual
    waits_spread: float = 0.0
    refused_s: float = 0.0
    warming_s: tuple[float, float] = (0.0, 0.0)
    spare_per_s: tuple[float, float] | None = None
    users: int | None = None


class OutageCourse(msgspec.Struct, frozen=True, kw_only=True):
    """What an outage comes to: the most requests without an answer at once, how many are sent
    again, and how long after the end no more wait than usual (None: it cannot be told)."""

    waiting: Quantiles
    retries: Quantiles
    drain_s: Quantiles | None


def outage_course(
    outage: Outage, *, lasts_s: float, watched_s: float, starting_s: float = 0.0
) -> OutageCourse:
    """The course of an outage of `lasts_s`, watched for `watched_s` from its onset on.

    In the last `starting_s` of it the part takes calls that it does not answer yet: whoever fails
    at once before waits then. The middle of what is told is where the shares are what is likely,
    the ends where they may be anything.
    """
    span = _Span(lasts_s, lasts_s - min(starting_s, lasts_s), watched_s)
    drawn = _course(outage, span)
    likely = tuple(
        msgspec.structs.replace(each, share=(each.share[1],) * 3) for each in outage.needing
    )
    if likely == outage.needing:
        return drawn
    middle = _course(msgspec.structs.replace(outage, needing=likely), span)
    return OutageCourse(
        waiting=_about(middle.waiting, drawn.waiting),
        retries=_about(middle.retries, drawn.retries),
        drain_s=None
        if middle.drain_s is None or drawn.drain_s is None
        else _about(middle.drain_s, drawn.drain_s),
    )


class _Span(NamedTuple):
    """From the onset: until it is over, until calls are taken, until nobody watches any more."""

    lasts_s: float
    refuses_s: float
    watched_s: float


def _about(middle: Quantiles, ends: Quantiles) -> Quantiles:
    value = middle.value
    return Quantiles(min(ends.low, value), value, max(ends.high, value))


def _course(outage: Outage, span: _Span) -> OutageCourse:
    lasts_s, _, watched_s = span
    rng = np.random.default_rng(0)
    rates = [each.rate_per_s for each in outage.needing]
    # Those under way at the onset are hit as well: so many arrived within a response time.
    under_way_s = outage.usual.mean / max(sum(rates), 1e-9)
    due_for_s = lasts_s + under_way_s
    expected = sum(each.rate_per_s * each.share[2] for each in outage.needing) * due_for_s
    draws = int(np.clip(REQUESTS_MAX / max(expected, 1.0), DRAWS_MIN, DRAWS_MAX))
    kept = _kept(outage, lasts_s)
    tried: list[tuple[Counts, Floats, Floats, Counts]] = []
    hit = np.zeros(draws)
    for each in outage.needing:
        share = _drawn(rng, each.share, draws)
        hit += each.rate_per_s * share
        rate = each.rate_per_s * kept * share
        if each.counted:
            rate = rate * rng.gamma(each.counted, 1 / each.counted, draws)
        counts = rng.poisson(rate * due_for_s)
        due_s = rng.random(int(counts.sum())) * due_for_s - under_way_s
        course = np.repeat(np.arange(draws), counts)
        tried.append((course, *_tries(rng, each, outage, due_s, span)))
    course, from_s, to_s, again = (np.concatenate(column) for column in zip(*tried, strict=True))
    # All the others go on as ever.
    others = rng.poisson(outage.usual.mean * np.clip(1 - hit / max(sum(rates), 1e-9), 0, 1))
    warming_s = np.zeros(draws)
    if outage.manner == "fails":
        warming_s = rng.uniform(*outage.warming_s, draws)
    came = rng.poisson(kept * hit * warming_s)
    left = np.bincount(course[to_s > lasts_s], minlength=draws) + came
    gathered = np.maximum(_most(course, from_s, to_s, draws, lasts_s), left)
    chances = rng.uniform(0.001, 0.999, draws)
    without = np.array([outage.usual.most_within(watched_s, chance) for chance in chances])
    usual = outage.usual.exceptional(watched_s)
    return OutageCourse(
        waiting=_counts(np.maximum(gathered + others, np.rint(without))),
        retries=_counts(np.bincount(course, again, draws)),
        drain_s=_drain(rng, outage, course, to_s - lasts_s, came, usual - others, warming_s),
    )


def _tries(
    rng: np.random.Generator, needing: Needing, outage: Outage, due_s: Floats, span: _Span
) -> tuple[Floats, Floats, Counts]:
    """Of requests due then: from when to when each has no answer (infinite: it waits for the part,
    which is back), and how often it is sent again."""
    lasts_s = span.lasts_s
    at_s = due_s.copy()
    to_s = np.full(len(due_s), np.inf)
    again = np.zeros(len(due_s), np.int64)
    trying = np.ones(len(due_s), np.bool_)
    for pause_s in (*needing.waits_s, None):
        # A try that is made when the part is back is answered, and so is one that still waits then.
        well = trying & (at_s >= lasts_s)
        to_s[well] = at_s[well]
        if outage.manner == "waits":
            failed_s = at_s + needing.patience_s
            failing = trying & ~well & (failed_s < lasts_s)
        else:
            failed_s = np.maximum(at_s, 0.0) + outage.refused_s * rng.random(len(at_s))
            failing = trying & (at_s < span.refuses_s)
        trying = failing
        if pause_s is None:
            # Of one that is refused for good nobody sees that it waited until it was.
            seen_s = failed_s if outage.manner == "waits" else np.maximum(at_s, 0.0)
            to_s[failing] = seen_s[failing]
            break
        spread = rng.uniform(1 - outage.waits_spread, 1 + outage.waits_spread, len(at_s))
        at_s = np.where(failing, failed_s + pause_s * spread, at_s)
        again += failing
    return np.maximum(due_s, 0.0), to_s, again


def _kept(outage: Outage, lasts_s: float) -> float:
    """The share of its requests that a closed load still sends: a user who waits sends nothing
    more, dB/dt = rate (1 - B / users)."""
    if outage.users is None:
        return 1.0
    total = 0.0
    for each in outage.needing:
        held_s = sum(each.waits_s)
        if outage.manner == "waits":
            held_s += each.patience_s * (1 + len(each.waits_s))
        total += each.rate_per_s * each.share[1] * min(held_s, lasts_s)
    return outage.users * -math.expm1(-total / outage.users) / total if total else 1.0


def _most(course: Counts, from_s: Floats, to_s: Floats, draws: int, until_s: float) -> Floats:
    """The most at once until then, in each course."""
    found = np.zeros(draws)
    held = to_s > from_s
    ending = held & (to_s < until_s)
    of = np.concatenate((course[held], course[ending]))
    if not len(of):
        return found
    step = np.concatenate((np.ones(held.sum(), np.int64), -np.ones(ending.sum(), np.int64)))
    order = np.lexsort((step, np.concatenate((from_s[held], to_s[ending])), of))
    of, now = of[order], np.cumsum(step[order])
    first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    before = np.r_[0, now[first[1:] - 1]]
    found[of[first]] = np.maximum.reduceat(now, first) - before
    return np.asarray(found)


def _drain(
    rng: np.random.Generator,
    outage: Outage,
    course: Counts,
    left_s: Floats,
    came: Counts,
    usual: Counts,
    warming_s: Floats,
) -> Quantiles | None:
    """How long until there are no more than `usual` of those that are left `left_s` after the end
    of the outage (infinite: they wait at the service) and of the `came` before it answers."""
    draws = len(usual)
    left = left_s > 0
    course, left_s = course[left], left_s[left]
    at_service = came + np.bincount(
        course[np.isinf(left_s) | (left_s <= warming_s[course])], minlength=draws
    )
    above = at_service > usual
    gone_s = np.zeros(draws)
    if outage.spare_per_s is not None:
        low, high = (math.log(each) for each in outage.spare_per_s)
        spare_per_s = np.exp(rng.uniform(low, high, draws))
        gone_s[above] = (warming_s + (at_service - usual) / spare_per_s)[above]
    elif above.any():
        return None
    # Nothing has gathered of the others: they are clients that have not tried again.
    later = np.isfinite(left_s)
    course, left_s = course[later], left_s[later]
    order = np.lexsort((-left_s, course))
    course, left_s = course[order], left_s[order]
    counts = np.bincount(course, minlength=draws)
    at = np.cumsum(counts) - counts + np.maximum(0, usual)
    above = counts > np.maximum(0, usual)
    gone_s[above] = np.maximum(gone_s[above], left_s[at[above]])
    return _quantiles(gone_s)


def _drawn(rng: np.random.Generator, told: tuple[float, float, float], draws: int) -> Floats:
    """Values with those quantiles, and none beyond them."""
    return np.asarray(np.interp(rng.random(draws), LEVELS, told))


def _quantiles(found: Floats) -> Quantiles:
    return Quantiles(*np.quantile(found, LEVELS).tolist())


def _counts(found: Floats | Counts) -> Quantiles:
    """The same of whole numbers, which they are then."""
    return Quantiles(*np.quantile(found, LEVELS, method="inverted_cdf").tolist())

"""What is to be said of caching one operation, before it is asked what that gains. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from loadpath import figures
from loadpath.caching.choose import choose
from loadpath.caching.headers import Finding
from loadpath.caching.leaks import find_leaks
from loadpath.caching.memory import cache_bytes
from loadpath.caching.replay import peak_entries
from loadpath.caching.staleness import TtlPoint
from loadpath.caching.stream import Stream
from loadpath.caching.unfit import Unfit, find_unfit
from loadpath.experiment.caching.accused import Accusation, accusations
from loadpath.experiment.caching.curve import asked_ttls_s, curve
from loadpath.experiment.caching.exposure import NOTHING, Depends, Exposure
from loadpath.experiment.caching.headers import Told, told_of
from loadpath.experiment.caching.streams import Seen

Verdict: TypeAlias = Literal["yes", "no", "cannot tell"]

REQUESTS_MIN = 40
"""Of fewer requests nobody can tell how many come again."""

HITS_MIN = 0.02
"""A cache that answers less than this is none."""

VOLATILE_MIN = 0.5
"""Where so large a share of the answers to one key differs from the one before, with nothing
written between most of them, what is kept is stale at once."""


class OperationCache(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: whether a shared cache before the service should keep its replies.

    `verdict` with `why`. `point` is the TTL chosen, with its hits and staleness once warm, and
    `points` are all that were asked about; `allowed` the staleness that the objective allows.
    `purged` is the same TTL with entries dropped by the writes that were seen to change them.
    `bytes` is what a cache would take at that TTL and this rate. `changes_ratio`: the share of
    requests answered otherwise than the one before for the same key.
    """

    operation: str
    verdict: Verdict
    why: str
    requests: int
    keys: int
    allowed: float
    point: TtlPoint | None = None
    purged: TtlPoint | None = None
    points: tuple[TtlPoint, ...] = ()
    longest_ttl_s: float = 0.0
    bytes: int = 0
    changes_ratio: float = 0.0
    depends: tuple[Depends, ...] = ()
    unfit: Unfit | None = None
    headers: Told | None = None
    findings: tuple[Finding, ...] = ()
    accusations: tuple[Accusation, ...] = ()


def judged(seen: Seen, exposure: Exposure | None, allowed: float) -> OperationCache:
    """Everything but the gain: a verdict of `yes` here means that nothing but that speaks against
    it."""
    stream = seen.stream
    exposure = exposure or NOTHING
    base = OperationCache(
        operation=seen.operation,
        verdict="no",
        why="",
        requests=len(stream),
        keys=len(np.unique(stream.key)),
        allowed=allowed,
        depends=exposure.depends,
    )
    if seen.writes:
        return msgspec.structs.replace(base, why="it writes")
    ttls_s = asked_ttls_s(seen.span_s)
    if len(stream) < REQUESTS_MIN or not ttls_s:
        why = f"asked for {len(stream)} times only"
        return msgspec.structs.replace(base, verdict="cannot tell", why=why)
    points = curve(stream, ttls_s)
    changes = changes_ratio(stream)
    leaks = find_leaks(stream)
    who = bool(exposure.exposed(who=True)) or leaks.verdict == "leaks"
    told = told_of(seen, exposure, who=who, volatile=changes >= VOLATILE_MIN)
    unfit = find_unfit(stream, ttls_s[-1])
    choice = choose(points, allowed)
    base = msgspec.structs.replace(
        base,
        points=points,
        longest_ttl_s=ttls_s[-1],
        changes_ratio=changes,
        unfit=unfit,
        headers=told.common,
        findings=told.findings,
        accusations=accusations(told, exposure, who=who, changes=changes),
    )
    if who:
        return msgspec.structs.replace(base, why=_who_words(exposure))
    if (others := exposure.exposed(who=False)) and any(e.exposed == e.compared for e in others):
        names = ", ".join(each.variant for each in others)
        return msgspec.structs.replace(base, why=f"the key leaves out what matters: {names}")
    if max(each.hit_ratio for each in points) < HITS_MIN:
        return msgspec.structs.replace(base, why="hardly anything is asked for twice")
    if choice.point is None:
        return _too_stale(base, points, choice.uncertain, changes)
    entries, body = peak_entries(stream, choice.point.ttl_s)
    return msgspec.structs.replace(
        base,
        verdict="yes",
        why="",
        point=choice.point,
        purged=_purged(stream, choice.point),
        bytes=cache_bytes(entries, body),
    )


def changes_ratio(stream: Stream) -> float:
    """The share of answers that differ from the one before for the same key; 0 without any."""
    order = np.argsort(stream.key, kind="stable")
    key, digest = stream.key[order], stream.digest[order]
    again = key[1:] == key[:-1]
    return float((digest[1:] != digest[:-1])[again].mean()) if again.any() else 0.0


def _purged(stream: Stream, chosen: TtlPoint) -> TtlPoint | None:
    return curve(stream, (chosen.ttl_s,), invalidated=True)[0] if len(stream.changes) else None


def _who_words(exposure: Exposure) -> str:
    for each in exposure.exposed(who=True):
        if each.variant == "anonymous" and each.other_status in (401, 403):
            return "a cache before it would answer who has no credentials"
    return "who asks matters, and the key does not hold it"


def _too_stale(
    base: OperationCache,
    points: Sequence[TtlPoint],
    uncertain: Sequence[float],
    changes: float,
) -> OperationCache:
    shortest = min(points, key=lambda each: each.ttl_s)
    hit = [each for each in points if each.hits]
    share = (hit[0] if hit else shortest).staleness.share
    if changes >= VOLATILE_MIN:
        why = f"{figures.share(changes)} of its answers differ from the one before"
        return msgspec.structs.replace(base, why=why)
    if uncertain or math.isnan(share.value):
        why = "too few hits to know how stale they are"
        return msgspec.structs.replace(base, verdict="cannot tell", why=why)
    first = (hit[0] if hit else shortest).ttl_s
    return msgspec.structs.replace(
        base, why=f"{figures.share(share.value)} of hits would be stale at {first:g} s already"
    )

"""Whether the service should keep what a statement came back with, and for how long. Pure.

From a recording of the wires in which what came back was digested: hits and staleness are measured
as those of whole replies are. What nobody digested can be told to repeat, and no more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from loadpath import figures
from loadpath.caching.choose import choose
from loadpath.caching.memory import cache_bytes
from loadpath.caching.replay import peak_entries
from loadpath.caching.staleness import TtlPoint
from loadpath.experiment.caching.asked import Asked, asked
from loadpath.experiment.caching.curve import asked_ttls_s, curve
from loadpath.experiment.caching.outcome import HITS_MIN, VOLATILE_MIN, Verdict, changes_ratio
from loadpath.experiment.traced import NAME as TRACED
from loadpath.recording import Recording, SegmentRecord

WIRES = "cache-wires"
"""The recording, and its segment, in which replies of dependencies are digested for long."""

STATEMENTS_MAX = 40
"""Of more, those that are asked most."""


class StatementCache(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that reads: whether the service should keep its rows.

    `asked` calls, `per_s` a second, of which the share `inside_writes` was made in transactions
    that write, which no cache may answer; everything else is of the others. `point` is the TTL
    chosen, `points` all that were asked about, `purged` the same TTL with entries dropped by the
    writes that were seen to change them (`writers`). `bytes` is what the kept rows would take at
    that TTL and this rate. `allowed`: the staleness that the strictest of `operations` allows,
    those that were seen to ask it.
    """

    dependency: str
    shape: str
    verdict: Verdict
    why: str
    asked: int
    per_s: float
    parameters: int
    inside_writes: float
    allowed: float
    operations: tuple[str, ...] = ()
    digested: bool = False
    point: TtlPoint | None = None
    purged: TtlPoint | None = None
    points: tuple[TtlPoint, ...] = ()
    longest_ttl_s: float = 0.0
    bytes: int = 0
    changes_ratio: float = 0.0
    writers: tuple[str, ...] = ()

    @property
    def most_hits(self) -> float:
        """The highest hit ratio of all TTLs that were asked about; 0 without any."""
        return max((each.hit_ratio for each in self.points), default=0.0)


def wires_of(recordings: Sequence[Recording]) -> tuple[Recording, SegmentRecord] | None:
    """The longest recording of the wires there is: one for this question, else the load paths'."""
    for name in (WIRES, TRACED):
        for recording in recordings:
            segment = next((s for s in recording.segments if s.purpose == name), None)
            if recording.name == name and segment is not None:
                return recording, segment
    return None


def asked_statements(recordings: Sequence[Recording]) -> tuple[Asked, ...]:
    """Those of `wires_of` that are asked most; none where no wires were read."""
    there = wires_of(recordings)
    if there is None:
        return ()
    return tuple(sorted(asked(*there), key=lambda each: -len(each.stream))[:STATEMENTS_MAX])


def judged_statement(seen: Asked, operations: tuple[str, ...], allowed: float) -> StatementCache:
    """Everything but the gain: `yes` means that nothing but that speaks against it."""
    stream = seen.stream
    ttls_s = asked_ttls_s(seen.span_s)
    base = StatementCache(
        dependency=seen.dependency,
        shape=seen.shape,
        verdict="cannot tell",
        why="",
        asked=round(len(stream) / (1 - seen.inside_writes)),
        per_s=len(stream) / (1 - seen.inside_writes) / max(seen.span_s, 1e-9),
        parameters=len(np.unique(stream.key)),
        inside_writes=seen.inside_writes,
        allowed=allowed,
        operations=operations,
        digested=seen.digested,
        changes_ratio=changes_ratio(stream) if seen.digested else 0.0,
        writers=tuple(each.operation for each in seen.writers if each.changes_answers),
    )
    if not ttls_s:
        return msgspec.structs.replace(
            base, why=f"the wires were read for {seen.span_s:.1f} s only"
        )
    points = curve(stream, ttls_s)
    base = msgspec.structs.replace(base, points=points, longest_ttl_s=ttls_s[-1])
    if base.most_hits < HITS_MIN:
        return msgspec.structs.replace(base, verdict="no", why="hardly ever asked again")
    if not seen.digested:
        return msgspec.structs.replace(base, why="whether its rows were the same is not known")
    choice = choose(points, allowed)
    if choice.point is None:
        return _too_stale(base, choice.uncertain)
    entries, body = peak_entries(stream, choice.point.ttl_s)
    purged = None
    if len(stream.changes):
        purged = curve(stream, (choice.point.ttl_s,), invalidated=True)[0]
    return msgspec.structs.replace(
        base,
        verdict="yes",
        point=choice.point,
        purged=purged,
        bytes=cache_bytes(entries, body),
    )


def _too_stale(base: StatementCache, uncertain: Sequence[float]) -> StatementCache:
    if base.changes_ratio >= VOLATILE_MIN:
        why = f"{figures.share(base.changes_ratio)} of its answers differ from the one before"
        return msgspec.structs.replace(base, verdict="no", why=why)
    first = min((p for p in base.points if p.hits), key=lambda each: each.ttl_s)
    share = first.staleness.share.value
    if uncertain or math.isnan(share):
        return msgspec.structs.replace(base, why="too few hits to know how stale they are")
    why = f"{figures.share(share)} of hits would be stale at {first.ttl_s:g} s already"
    return msgspec.structs.replace(base, verdict="no", why=why)


def judged_statements(
    recordings: Sequence[Recording], callers: Mapping[tuple[str, str], Sequence[str]]
) -> tuple[StatementCache, ...]:
    """All of them, those that a cache would answer most of first. `callers` are the operations that
    ask a statement, by dependency and shape."""
    there = wires_of(recordings)
    if there is None:
        return ()
    workload = there[0].setup.workload
    allowed = {o.name: workload.objective_of(o).staleness_ratio for o in workload.operations}
    found = []
    for seen in asked_statements(recordings):
        asking = tuple(callers.get((seen.dependency, seen.shape), ()))
        strictest = min(allowed[name] for name in asking or allowed)
        found.append(judged_statement(seen, asking, strictest))
    return tuple(sorted(found, key=lambda each: -each.most_hits * each.per_s))

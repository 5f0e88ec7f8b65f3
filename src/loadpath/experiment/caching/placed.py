"""What arms with and without a cache measured: hits, staleness, capacity, its own cost. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.answer import Interval
from loadpath.experiment.measured import HOLD, Measurement, measure
from loadpath.recording import Recording
from loadpath.recording.segment import KeptReplies
from loadpath.stats.intervals import ratio_interval


class PlacedRule(msgspec.Struct, frozen=True, kw_only=True):
    """One operation with a cache before it, at the workload's own rate: hits ÷ requests, and of the
    hits that were compared with the service, those that were stale."""

    operation: str
    requests: int
    hit_ratio: Interval
    sampled: int
    staleness: Interval | None


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. `front_cpu_s` is the cache's own CPU per request in the arm with rules,
    `passing_cpu_s` in the one that passes all on; `origin_ratio` the share of all requests that
    still reached the service."""

    rules: tuple[PlacedRule, ...]
    measurement: Measurement
    front_cpu_s: float
    passing_cpu_s: float
    origin_ratio: float
    entries: int
    bytes: int


def placed(recordings: Sequence[Recording]) -> Placed | None:
    """What came of it; None without one whole round."""
    arms = [r for r in recordings if r.name.startswith(("cache-A-", "cache-B-"))]
    measurement = measure(arms)
    if measurement is None:
        return None
    held = [s for r in arms for s in r.segments if s.purpose == HOLD and s.kept is not None]
    with_rules = [s for s in held if s.arm == "B"]
    without = [s for s in held if s.arm == "A"]
    if not with_rules or not without:
        return None
    kept = [s.kept for s in with_rules if s.kept is not None]
    passing = [s.kept for s in without if s.kept is not None]
    by_rule: dict[str, list[KeptReplies]] = {}
    for each in kept:
        for rule in each.rules:
            by_rule.setdefault(rule.operation, []).append(rule)
    requests = sum(each.passed + sum(r.requests for r in each.rules) for each in kept)
    reached = sum(each.passed + sum(r.fetched for r in each.rules) for each in kept)
    return Placed(
        rules=tuple(_rule(name, rules) for name, rules in by_rule.items()),
        measurement=measurement,
        front_cpu_s=sum(each.cpu_s for each in kept) / max(requests, 1),
        passing_cpu_s=sum(each.cpu_s for each in passing)
        / max(sum(each.passed for each in passing), 1),
        origin_ratio=reached / max(requests, 1),
        entries=max(each.entries for each in kept),
        bytes=max(each.bytes for each in kept),
    )


def _rule(name: str, seen: Sequence[KeptReplies]) -> PlacedRule:
    requests = sum(each.requests for each in seen)
    sampled = sum(each.sampled for each in seen)
    return PlacedRule(
        operation=name,
        requests=requests,
        hit_ratio=ratio_interval(sum(each.hits for each in seen), requests),
        sampled=sampled,
        staleness=ratio_interval(sum(each.stale for each in seen), sampled) if sampled else None,
    )

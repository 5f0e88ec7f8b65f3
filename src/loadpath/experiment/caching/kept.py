"""What a cache before the service did during one segment."""

from __future__ import annotations

from loadpath.proxy import Counts, RuleCounts
from loadpath.recording.segment import Kept, KeptReplies

FRONT = "cache before it"
"""The part of the deployment that it is: what it costs is told apart."""


def kept_between(before: Counts, after: Counts) -> Kept:
    """The difference of its counts."""
    return Kept(
        rules=tuple(_between(was, now) for was, now in zip(before.rules, after.rules, strict=True)),
        passed=after.passed - before.passed,
        entries=after.entries,
        bytes=after.bytes,
        evicted=after.evicted,
        cpu_s=after.cpu_s - before.cpu_s,
    )


def _between(was: RuleCounts, now: RuleCounts) -> KeptReplies:
    return KeptReplies(
        operation=now.operation,
        requests=now.requests - was.requests,
        hits=now.hits - was.hits,
        waited=now.waited - was.waited,
        fetched=now.fetched - was.fetched,
        sampled=now.sampled - was.sampled,
        stale=now.stale - was.stale,
    )

"""What a cache before the service keeps: one rule an operation."""

from __future__ import annotations

import re

import msgspec

from loadpath.spec.workload import DeclaredRequest

KEPT_METHODS = ("GET", "HEAD")


class KeepRule(msgspec.Struct, frozen=True):
    """Replies to requests of `method` whose target matches `pattern`, a regular expression of the
    whole of it, are kept for `ttl_s`. `operation` is whose they are."""

    operation: str
    method: str
    pattern: str
    ttl_s: float


def keep_rule(operation: str, request: DeclaredRequest, ttl_s: float) -> KeepRule:
    """The rule for a declared request: each {field} stands for anything but what ends its place."""
    path, mark, query = request.path.partition("?")
    parts = [re.escape(part) for part in re.split(r"\{[^{}]*\}", path)]
    pattern = r"[^/?]+".join(parts)
    if mark:
        pattern += r"\?" + r"[^&]*".join(re.escape(p) for p in re.split(r"\{[^{}]*\}", query))
    return KeepRule(operation, request.method, pattern, ttl_s)

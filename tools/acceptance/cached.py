"""A cache before the shortener: a verdict for every operation, and what was foretold comes true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from commands import Broken, loadpath

SYSTEM = "systems/shortener"
REDIRECT = "GET /{code}"
HITS_POINTS_MAX = 2.0
STALENESS_POINTS_MAX = 0.5
CAPACITY_RATIO_MAX = 0.10


def kept(clone: Path) -> str:
    """Asks in full depth, and compares what was foretold of redirects with what was measured."""
    printed = loadpath(clone, "ask", "cache", SYSTEM, "-q", "--json")
    answer = json.loads(printed)["answers"][0]
    figures: dict[str, Any] = answer["figures"]
    verdicts = {each["operation"]: each["verdict"] for each in figures["caches"]}
    if len(verdicts) < 7 or "cannot tell" in verdicts.values():
        raise Broken(f"not a verdict for every operation: {verdicts}")
    if verdicts[REDIRECT] != "yes":
        raise Broken(f"redirects are not worth caching: {answer['claim']}")
    point = next(each for each in figures["caches"] if each["operation"] == REDIRECT)["point"]
    if figures["placed"] is None or figures["score"] is None:
        raise Broken(f"nothing was put in its place: {answer['claim']}")
    rule = next(each for each in figures["placed"]["rules"] if each["operation"] == REDIRECT)
    hits = 100 * (point["hits"] / point["requests"] - rule["hit_ratio"]["value"])
    stale = 100 * (point["staleness"]["share"]["value"] - rule["staleness"]["value"])
    error = figures["score"]["error"]
    said = (
        f"hits {hits:+.1f} points off, staleness {stale:+.2f} points, capacity {error:+.0%} "
        f"({figures['score']['measured']['value']:.2f} × measured)"
    )
    if abs(hits) > HITS_POINTS_MAX or abs(stale) > STALENESS_POINTS_MAX:
        raise Broken(said)
    if abs(error) > CAPACITY_RATIO_MAX:
        raise Broken(said)
    return said

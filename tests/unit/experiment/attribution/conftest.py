"""A small language for visits: each call is a word, its times follow from the order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.experiment.attribution import Crossing, Visit

CALL_S = 0.001
GAP_S = 0.0001


def call(shape: str, dependency: str = "database", **fields: object) -> Crossing:
    """A call without times; `visit` gives it some."""
    given: dict[str, object] = {
        "dependency": dependency,
        "kind": {"database": "postgres", "cache": "valkey", "outside": "http"}[dependency],
        "connection": 1,
        "verb": "execute",
        "shape": shape,
        "reads": shape.startswith(("SELECT", "GET")),
        "began_s": 0.0,
        "ended_s": 0.0,
        **fields,
    }
    return Crossing(**given)  # type: ignore[arg-type]


def visit(*calls: Crossing, at_s: float = 100.0, after: Sequence[Crossing] = ()) -> Visit:
    """A visit that makes `calls` one after the other, `CALL_S` each with `GAP_S` between."""
    placed = []
    now = at_s
    for each in calls:
        now += GAP_S
        placed.append(msgspec.structs.replace(each, began_s=now, ended_s=now + CALL_S))
        now += CALL_S
    ended = now + GAP_S
    later = [
        msgspec.structs.replace(each, began_s=ended + 0.01, ended_s=ended + 0.01 + CALL_S)
        for each in after
    ]
    return Visit(
        began_s=at_s,
        ended_s=ended,
        until_s=ended + 0.1,
        crossings=tuple(placed),
        after=tuple(later),
    )

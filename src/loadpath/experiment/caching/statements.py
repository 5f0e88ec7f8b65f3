"""Statements that are asked again with the same parameters: worth keeping inside the service. Pure.

How often their rows changed in between is not known: what crosses the wires is not digested.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from loadpath.caching.replay import hits_by_ttl
from loadpath.caching.stream import make_stream
from loadpath.experiment.caching.curve import asked_ttls_s
from loadpath.experiment.caching.streams import numbered
from loadpath.experiment.traced import NAME
from loadpath.recording import Recording

REPEATS_MIN = 50
"""Of fewer there is nothing to be said."""

SHARE_MIN = 0.3
SHOWN = 3


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that only reads: asked `asked` times, `per_s` a second, and of these the share
    `hit_ratio` would have been answered by what was kept for `ttl_s`."""

    dependency: str
    shape: str
    asked: int
    per_s: float
    ttl_s: float
    hit_ratio: float


def repeated_statements(recordings: Sequence[Recording]) -> tuple[Repeated, ...]:
    """Those that repeat most, from the recording of the wires; none where there is none."""
    traced = next((r for r in recordings if r.name == NAME), None)
    if traced is None:
        return ()
    databases = {d.name for d in traced.setup.service.dependencies if d.kind == "postgres"}
    found: list[Repeated] = []
    for segment in traced.segments:
        if segment.purpose != NAME:
            continue
        span_s = segment.ended_s - segment.started_s
        ttls_s = asked_ttls_s(span_s)
        shapes = traced.shapes(segment.index)
        reading = [n for n, text in shapes.items() if text.lstrip().upper().startswith("SELECT")]
        rows = traced.exchanges(segment.index)
        known = np.isin(rows["shape"], reading) & np.isin(rows["tap"].astype(str), list(databases))
        for number in reading if ttls_s else ():
            mine = known & (rows["shape"] == number) & (rows["error"] == "")
            if mine.sum() < REPEATS_MIN:
                continue
            stream = make_stream(
                rows["began_s"][mine] - segment.started_s,
                numbered(rows["parameters"][mine]),
                took_s=np.maximum(rows["ended_s"][mine] - rows["began_s"][mine], 0.0),
            )
            hits = int(hits_by_ttl(stream, (ttls_s[-1],))[0])
            found.append(
                Repeated(
                    dependency=str(rows["tap"][mine][0]),
                    shape=shapes[number],
                    asked=len(stream),
                    per_s=len(stream) / span_s,
                    ttl_s=ttls_s[-1],
                    hit_ratio=hits / len(stream),
                )
            )
    worth = [each for each in found if each.hit_ratio >= SHARE_MIN]
    return tuple(sorted(worth, key=lambda each: -each.hit_ratio * each.per_s)[:SHOWN])

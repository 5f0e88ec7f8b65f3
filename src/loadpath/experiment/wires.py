"""What a recording of the wires tells of each operation: pure functions over its tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadpath.experiment.attribution import Crossing, LoadPath, Visit, load_path
from loadpath.experiment.attribution.crossings import Background, assigned, background
from loadpath.experiment.attribution.reading import crossings
from loadpath.recording import Recording, SegmentRecord


def segment_of(traced: Recording, purpose: str) -> SegmentRecord | None:
    """Its first segment of that purpose."""
    return next((s for s in traced.segments if s.purpose == purpose), None)


def recorded_paths(traced: Recording) -> tuple[LoadPath, ...]:
    """The load path of each operation that was visited alone; none without a segment `probe`."""
    visited, quiet = recorded_visits(traced)
    return tuple(load_path(operation, own, quiet) for operation, own in visited.items())


def recorded_visits(traced: Recording) -> tuple[dict[str, list[Visit]], Background]:
    """The visits of each operation with what crossed the wires in them, and what crosses them
    when nobody asks; empty without a segment `probe`."""
    segment = segment_of(traced, "probe")
    nothing: tuple[dict[str, list[Visit]], Background] = {}, Background({})
    if segment is None:
        return nothing
    rows = traced.requests(segment.index)
    if not len(rows["sent_s"]):
        return nothing
    order = np.argsort(rows["sent_s"], kind="stable")
    operation = rows["operation"][order].tolist()
    spans = list(zip(rows["sent_s"][order].tolist(), rows["done_s"][order].tolist(), strict=True))
    crossed = recorded_crossings(traced, segment)
    quiet = background(crossed, [(segment.started_s, spans[0][0])])
    # What follows an operation's last visit is its tail, until the next operation's first.
    seen: dict[int, list[Visit]] = {}
    for number, visit in zip(operation, in_turn(spans, segment.ended_s), strict=True):
        seen.setdefault(number, []).append(visit)
    own = {traced.operations[number]: assigned(of, crossed) for number, of in seen.items()}
    return own, quiet


def recorded_crossings(traced: Recording, segment: SegmentRecord) -> list[Crossing]:
    """What crossed the wires to the dependencies in a segment, in the order it began."""
    kinds = {d.name: d.kind for d in traced.setup.service.dependencies}
    return crossings(traced.exchanges(segment.index), traced.shapes(segment.index), kinds)


def in_turn(spans: Sequence[tuple[float, float]], until_s: float) -> list[Visit]:
    """Visits (from, to) of which each lasts until the next one begins, the last until `until_s`."""
    ends = [*(began_s for began_s, _ in spans), until_s][1:]
    return [
        Visit(began_s=began_s, ended_s=ended_s, until_s=end_s)
        for (began_s, ended_s), end_s in zip(spans, ends, strict=True)
    ]

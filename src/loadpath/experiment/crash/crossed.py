"""What crossed the wires in a control run, as the plan of faults wants to know it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from loadpath.experiment.crash.flows import FlowFacts
from loadpath.experiment.crash.plan import Seen
from loadpath.experiment.wires import recorded_paths
from loadpath.recording import Recording, SegmentRecord


def crossed(
    recording: Recording,
    control: SegmentRecord,
    probed: Recording,
    facts: Mapping[str, FlowFacts],
) -> list[Seen]:
    """What crossed the wires in `control`; `probed` has the visits that tell who calls what."""
    kinds = {d.name: d.kind for d in recording.setup.service.dependencies}
    shapes = recording.shapes(control.index)
    rows = recording.exchanges(control.index)
    counts = Counter(
        zip(
            map(str, rows["tap"].tolist()),
            map(str, rows["verb"].tolist()),
            rows["shape"].tolist(),
            strict=True,
        )
    )
    callers: dict[tuple[str, str], dict[bool, float]] = {}
    awaited: set[tuple[str, str]] = set()
    for path in recorded_paths(probed):
        for call in path.calls:
            key = (call.dependency, call.shape)
            announces = facts.get(path.operation, FlowFacts()).announces
            own = callers.setdefault(key, {True: 0.0, False: 0.0})
            own[announces] += call.calls
            if not call.after_reply:
                awaited.add(key)

    def followed(key: tuple[str, str]) -> float:
        own = callers.get(key, {True: 0.0, False: 0.0})
        return own[True] / (own[True] + own[False]) if own[True] else 0.0

    return [
        Seen(
            dependency=tap,
            kind=kinds[tap],
            verb=verb,
            shape=shapes.get(shape, ""),
            count=count,
            awaited=not awaited or (tap, shapes.get(shape, "")) in awaited,
            followed=followed((tap, shapes.get(shape, ""))),
        )
        for (tap, verb, shape), count in counts.items()
        if tap in kinds
    ]

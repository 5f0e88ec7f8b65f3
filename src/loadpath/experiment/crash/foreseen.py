"""What an outage should come to, foretold from the control run before the fault is put in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from loadpath.drive.connections import BACK_OFF_MAX_S
from loadpath.drive.losses import RETRY_AFTER_S, RETRY_SPREAD
from loadpath.events import PartReady
from loadpath.experiment.attribution import Visit
from loadpath.experiment.crash.backlog import usual_waiting
from loadpath.experiment.crash.flows import FlowFacts
from loadpath.experiment.crash.foretold import CONFIDENCE, foretold_for
from loadpath.experiment.demand import demand_in
from loadpath.experiment.wires import recorded_visits
from loadpath.faults import Fault
from loadpath.faults.locked import Locked
from loadpath.faults.process_fault import RESTART_AFTER_S, ProcessFault
from loadpath.model.outage import Needing, Outage
from loadpath.recording import OutageRecord, Recording, SegmentRecord
from loadpath.spec import ClosedArrivals
from loadpath.stats.intervals import ratio_interval
from loadpath.tap import SERVICE

FALLS_TO = 0.25
"""Demand falls as load rises: a request has been seen to cost a quarter at the knee of what it cost
at a few hundred a second (see the laws of `model.weigh`)."""

RISES_TO = 2.0
"""And it rises where threads of one interpreter get in each other's way: with forty requests in it
one has been seen to do half of what its CPU, of one at a time, left room for."""

WARMING_S = (0.0, 0.1)
"""What has come back is reached by new connections, and its first calls find nothing cached."""

POSTGRES_RECONNECTED_S = (0.0, 0.15)
POSTGRES_STARTED_S = (0.05, 0.3)
"""Each connection to PostgreSQL is a process that proves a password, and its client prepares every
statement anew; after a start it reads the catalog anew, too. Ten at once took 20 to 60 ms then, and
until nobody waited 0.1 to 0.3 s went by (docs/decisions/0069)."""

SERVICE_WARMING_S = (0.0, 0.05)
"""A service that says it is ready has its connections: only its clients connect anew."""

LATEST_S = 2.0
"""What its caches hold is taken from so long before it was last looked at."""

SPARE_LEAST = 0.05
"""Of its arrivals, what a service that seems to be full is said to have to spare at the least."""


def foretell_outage(
    recording: Recording,
    control: SegmentRecord,
    fault: Fault,
    *,
    segment: int,
    lasts_s: float,
    watched_s: float,
    facts: Mapping[str, FlowFacts],
    probed: Recording,
    knee_per_s: tuple[float, float] | None = None,
) -> OutageRecord:
    """Foretell the fault `fault`, to last `lasts_s` and to be watched for `watched_s` after that,
    from `control` (of `recording`).

    `probed` has the visits that tell which operations need what; `knee_per_s` between which rates
    the mix's knee lies, where it was measured. What cannot be told is told by `OutageRecord.why`.
    """
    record = OutageRecord(segment=segment, fault=fault.name, manner=fault.OUTAGE)
    why = _refusal(recording, fault)
    if why:
        return msgspec.structs.replace(record, why=why)
    lasts_s = _lasts_s(fault, lasts_s, _start_s(recording, fault.target))
    shares = _shares(recording, control, fault, probed)
    if shares is None:
        return msgspec.structs.replace(record, why="no operation is known to need it")
    rows = recording.requests(control.index)
    usual = usual_waiting(rows, control.started_s, control.ended_s, control.drained_s)
    rates = _rates(recording, control)
    spares = _spares(recording, control, sum(each for each, _ in rates.values()), knee_per_s)
    arrivals = recording.setup.workload.arrivals
    known = Outage(
        manner="waits" if fault.OUTAGE == "waits" else "fails",
        needing=tuple(
            Needing(
                operation=each.name,
                rate_per_s=rates[each.name][0],
                share=shares.get(each.name, NOBODY),
                patience_s=each.timeout_s,
                waits_s=_waits_s(facts.get(each.name, FlowFacts()).retries),
                counted=rates[each.name][1],
            )
            for each in recording.setup.workload.operations
        ),
        usual=usual,
        waits_spread=RETRY_SPREAD,
        # Who finds nobody listening asks again when the engine next tries to connect.
        refused_s=BACK_OFF_MAX_S if fault.target == SERVICE else 0.0,
        warming_s=_warming_s(recording, fault),
        spare_per_s=spares,
        users=arrivals.users if isinstance(arrivals, ClosedArrivals) else None,
    )
    record = msgspec.structs.replace(
        record,
        lasts_s=lasts_s,
        operations=tuple(name for name, share in shares.items() if share[1] > 0),
        known=known,
        assumes=_assumed(fault, spares, knee_per_s),
    )
    return foretold_for(record, lasts_s, lasts_s + watched_s)


NOBODY = (0.0, 0.0, 0.0)


def _warming_s(recording: Recording, fault: Fault) -> tuple[float, float]:
    """Between which times after the end of an outage what it hit answers as before."""
    if fault.target == SERVICE:
        return SERVICE_WARMING_S
    kinds = {each.name: each.kind for each in recording.setup.service.dependencies}
    if kinds[fault.target] != "postgres":
        return WARMING_S
    return POSTGRES_STARTED_S if isinstance(fault, ProcessFault) else POSTGRES_RECONNECTED_S


def _waits_s(retries: int) -> tuple[float, ...]:
    return tuple(RETRY_AFTER_S * 2**number for number in range(retries))


def _rates(recording: Recording, control: SegmentRecord) -> dict[str, tuple[float, int]]:
    """Of each operation a second, and from how many that was counted: an open load sends what it
    was asked for, a closed one what replies let it."""
    operations = recording.setup.workload.operations
    asked_per_s = control.load.get("rate_per_s")
    if asked_per_s is not None:
        weights = {each.name: control.weights.get(each.name, each.weight) for each in operations}
        total = sum(weights.values())
        return {name: (asked_per_s * each / total, 0) for name, each in weights.items()}
    rows = recording.requests(control.index)
    number = np.asarray(rows["operation"])[np.asarray(rows["step"]) == 0]
    lasted_s = max(control.ended_s - control.started_s, 1e-9)
    counts = [int((number == n).sum()) for n in range(len(operations))]
    return {
        each.name: (count / lasted_s, count) for each, count in zip(operations, counts, strict=True)
    }


def _refusal(recording: Recording, fault: Fault) -> str:
    """Why nothing is foretold of that fault; empty: it can be."""
    if not fault.OUTAGE:
        return "not an outage of a known length"
    own = fault.trigger
    if own.picks or own.after is not None or own.at_rate_per_s is not None:
        return "what passes, and when it begins, is chosen while it runs"
    if isinstance(fault, Locked) and fault.rows:
        return "which requests touch locked rows is not known"
    if fault.target == SERVICE and recording.setup.worker_count > 1 and "worker" in fault.name:
        return "the other workers go on"
    return ""


def _start_s(recording: Recording, target: str) -> float:
    """How long that part took to start, the last time."""
    ready = [e for e in recording.events() if isinstance(e, PartReady) and e.part == target]
    return ready[-1].took_s if ready else 0.0


def _lasts_s(fault: Fault, lasts_s: float, start_s: float) -> float:
    """From the onset until everything could work again."""
    if not isinstance(fault, ProcessFault) or fault.KEYWORD == ("stopped",):
        return lasts_s
    if fault.KEYWORD == ("restarted",):
        return max(lasts_s, start_s)
    if fault.target == SERVICE:
        return max(lasts_s, RESTART_AFTER_S + start_s)
    return lasts_s + start_s


def _shares(
    recording: Recording, control: SegmentRecord, fault: Fault, probed: Recording
) -> dict[str, tuple[float, float, float]] | None:
    """By operation, the share of its requests that need the part, at its least, likely and at its
    most: all, of the service itself.

    Probes visit a service whose caches are as cold as they get; where less crosses the wire under
    load than they explain, the share is smaller by as much, as far as so many requests tell.
    """
    names = [o.name for o in recording.setup.workload.operations]
    if fault.target == SERVICE:
        return dict.fromkeys(names, (1.0, 1.0, 1.0))
    visits, _ = recorded_visits(probed)
    table = fault.table.lower() if isinstance(fault, Locked) else ""
    asked = {name: _asking(own, fault.target, table) for name, own in visits.items()}
    if not any(hits for hits in asked.values()):
        return None
    warm = _warm(recording, _latest(recording, control), fault.target, visits)
    found = {}
    for name, own in visits.items():
        hits, count = len(asked[name]), len(own)
        spread = ratio_interval(hits, count, CONFIDENCE)
        # All of some visits: that it is always so is more likely than not.
        high = 1.0 if hits == count else spread.high
        low = spread.low if hits < count else 1.0
        least, likely, most = warm.get(name, (1.0, 1.0, 1.0))
        found[name] = (low * least, hits / count * likely, high * most if hits else 0.0)
    return found


def _asking(visits: Sequence[Visit], target: str, table: str) -> list[Visit]:
    return [
        visit
        for visit in visits
        if any(
            c.dependency == target and not c.pushed and table in c.shape.lower()
            for c in visit.crossings
        )
    ]


class _Stretch(NamedTuple):
    """A part of a segment, which is told by its index. Monotonic seconds."""

    segment: int
    from_s: float
    to_s: float


def _latest(recording: Recording, control: SegmentRecord) -> _Stretch:
    """What was last seen of the service under the load of `control` and without a fault: the end of
    the fault before, or `control`. What caches hold changes from one fault to the next."""
    last = recording.segments[-1]
    healed_s = next((f.healed_s for f in recording.faults() if f.segment == last.index), None)
    # Where it did not come back at that load, others follow in which it was lowered.
    if healed_s is not None and last.load == control.load:
        from_s = max(healed_s, last.ended_s - LATEST_S)
        if last.ended_s - from_s > LATEST_S / 2:
            return _Stretch(last.index, from_s, last.ended_s)
    return _Stretch(control.index, control.started_s, control.ended_s)


def _warm(
    recording: Recording,
    stretch: _Stretch,
    target: str,
    visits: Mapping[str, Sequence[Visit]],
) -> dict[str, tuple[float, float, float]]:
    """By operation, its calls under load as a share of those that probes explain, at most 1: at
    its least, likely, and at its most."""
    segment, from_s, to_s = stretch
    rows = recording.requests(segment)
    due_s = np.asarray(rows["intended_s"], dtype=float)
    due = (np.asarray(rows["step"]) == 0) & (due_s >= from_s) & (due_s < to_s)
    each = Counter(recording.operations[n] for n in rows["operation"][due].tolist())
    shapes = recording.shapes(segment)
    crossed = recording.exchanges(segment)
    began_s = np.asarray(crossed["began_s"], dtype=float)
    own = (crossed["tap"] == target) & (began_s >= from_s) & (began_s < to_s)
    seen = Counter(shapes.get(shape, "") for shape in crossed["shape"][own].tolist())
    expected: Counter[str] = Counter()
    of: dict[str, set[str]] = {}
    for name, visited in visits.items():
        for visit in visited:
            for call in visit.crossings:
                if call.dependency == target and not call.pushed:
                    expected[call.shape] += each[name] / len(visited)  # type: ignore[assignment]
                    of.setdefault(name, set()).add(call.shape)
    return {name: max(_share(seen[shape], expected[shape]) for shape in of[name]) for name in of}


def _share(seen: int, expected: float) -> tuple[float, float, float]:
    count = round(expected)
    if seen >= expected or not count:
        return 1.0, 1.0, 1.0
    told = ratio_interval(min(seen, count), count, CONFIDENCE)
    value = seen / expected
    return min(told.low, value), value, max(told.high, value)


def _spares(
    recording: Recording,
    control: SegmentRecord,
    rate_per_s: float,
    knee_per_s: tuple[float, float] | None,
) -> tuple[float, float] | None:
    """What the service can do beyond its arrivals, in the mix's requests a second: (low, high)."""
    if knee_per_s is not None:
        limits = knee_per_s
    else:
        demand = demand_in(recording, [control])
        if demand is None or not demand.parts.get(SERVICE):
            return None
        # Its workers have a core each, and share those there are with all that it calls.
        workers = max(1, recording.setup.worker_count) / demand.parts[SERVICE]
        least = min(workers, recording.header.machine.cores_online / demand.cpu_s)
        limits = (least / RISES_TO, least / FALLS_TO)
    floor = SPARE_LEAST * rate_per_s
    return max(floor, limits[0] - rate_per_s), max(floor, limits[1] - rate_per_s)


def _assumed(
    fault: Fault, spares: tuple[float, float] | None, knee_per_s: tuple[float, float] | None
) -> tuple[str, ...]:
    manner = (
        "requests that need it wait until it is back, or their client gives up"
        if fault.OUTAGE == "waits"
        else "requests that need it fail at once"
    )
    drained = "the knee" if knee_per_s else "the CPU of the control run"
    return (manner, *((f"it catches up at what {drained} leaves",) if spares else ()))

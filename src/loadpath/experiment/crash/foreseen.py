"""What an outage should come to, foretold from the control run before the fault is put in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from loadpath.answer import Interval
from loadpath.drive.losses import RETRY_AFTER_S
from loadpath.events import PartReady
from loadpath.experiment.attribution import Visit
from loadpath.experiment.crash.backlog import usual_waiting
from loadpath.experiment.crash.flows import FlowFacts
from loadpath.experiment.demand import demand_in
from loadpath.experiment.wires import recorded_visits
from loadpath.faults import Fault
from loadpath.faults.locked import Locked
from loadpath.faults.process_fault import RESTART_AFTER_S, ProcessFault
from loadpath.model.outage import Manner, Needing, Outage, outage
from loadpath.recording import OutageRecord, Recording, SegmentRecord
from loadpath.spec import ClosedArrivals, Operation
from loadpath.stats.intervals import ratio_interval
from loadpath.tap import SERVICE

CONFIDENCE = 0.9
Z = 1.645
"""Of the normal distribution, for that confidence."""

FALLS_TO = 0.25
"""Demand falls as load rises: a request has been seen to cost a quarter at the knee of what it cost
at a few hundred a second (see the laws of `model.weigh`)."""

START_LOW, START_HIGH = 0.7, 2.0
"""What was killed starts again on what it left: in so many times of what it took at first."""

SPARE_LEAST = 0.05
"""Of its arrivals, what a service that seems to be full is said to have to spare at the least."""


class Share(msgspec.Struct, frozen=True):
    """How large a share of an operation's requests needs the part."""

    value: float
    low: float
    high: float


def foretell_outage(
    recording: Recording,
    control: SegmentRecord,
    fault: Fault,
    *,
    segment: int,
    lasts_s: float,
    facts: Mapping[str, FlowFacts],
    probed: Recording,
    knee_per_s: tuple[float, float] | None = None,
) -> OutageRecord:
    """Foretell the fault `fault`, which is to last `lasts_s`, from `control` (of `recording`).

    `probed` has the visits that tell which operations need what; `knee_per_s` between which rates
    the mix's knee lies, where it was measured. What cannot be told is told by `OutageRecord.why`.
    """
    record = OutageRecord(segment=segment, fault=fault.name, manner=fault.OUTAGE)
    why = _refusal(recording, fault)
    if why:
        return msgspec.structs.replace(record, why=why)
    started = _start_s(recording, fault.target)
    lasts = tuple(_lasts_s(fault, lasts_s, started * times) for times in (START_LOW, 1, START_HIGH))
    shares = _shares(recording, control, fault, probed)
    if shares is None:
        return msgspec.structs.replace(record, why="no operation is known to need it")
    rows = recording.requests(control.index)
    usual, usual_most = usual_waiting(rows, control.started_s, control.ended_s, control.drained_s)
    lasted_s = max(control.ended_s - control.started_s, 1e-9)
    number = np.asarray(rows["operation"])[np.asarray(rows["step"]) == 0]
    rates = {
        each.name: float((number == n).sum()) / lasted_s
        for n, each in enumerate(recording.setup.workload.operations)
    }
    spares = _spares(recording, control, sum(rates.values()), knee_per_s)
    arrivals = recording.setup.workload.arrivals
    users = arrivals.users if isinstance(arrivals, ClosedArrivals) else None

    def course(share: str, lasts_s: float, spare_per_s: float) -> Outage:
        needed = [
            (each, rates[each.name] * getattr(shares.get(each.name, NOBODY), share))
            for each in recording.setup.workload.operations
        ]
        return outage(
            _needing(needed, fault, facts),
            lasts_s=lasts_s,
            usual=usual,
            usual_most=usual_most,
            spare_per_s=spare_per_s,
            users=users,
        )

    told = course("value", lasts[1], math.sqrt(spares[0] * spares[1]) if spares else 0.0)
    low = course("low", lasts[0], spares[1] if spares else 0.0)
    high = course("high", lasts[2], spares[0] if spares else 0.0)
    return msgspec.structs.replace(
        record,
        lasts_s=lasts[1],
        operations=tuple(name for name, share in shares.items() if share.value > 0),
        # At its most it varies as much as without a fault.
        waiting=_counted(told.waiting, low.waiting, high.waiting + usual_most - usual),
        retries=_counted(told.retries, low.retries, high.retries),
        drain_s=None
        if spares is None and fault.OUTAGE == "waits"
        else _time(told, low.drain_s, high.drain_s),
        assumes=_assumed(fault, spares, knee_per_s),
    )


NOBODY = Share(0.0, 0.0, 0.0)


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
) -> dict[str, Share] | None:
    """By operation, the share of its requests that wait for the part: all, of the service itself.

    Probes visit a service whose caches are as cold as they get; where less crosses the wire under
    load than they explain, the share is smaller by as much, and lies somewhere in between.
    """
    names = [o.name for o in recording.setup.workload.operations]
    if fault.target == SERVICE:
        return dict.fromkeys(names, Share(1.0, 1.0, 1.0))
    visits, _ = recorded_visits(probed)
    table = fault.table.lower() if isinstance(fault, Locked) else ""
    asked = {name: _asking(own, fault.target, table) for name, own in visits.items()}
    if not any(hits for hits in asked.values()):
        return None
    warm = _warm(recording, control, fault.target, visits)
    found = {}
    for name, own in visits.items():
        hits, count = len(asked[name]), len(own)
        spread = ratio_interval(hits, count, CONFIDENCE)
        # All of some visits: that it is always so is more likely than not.
        high = 1.0 if hits == count else spread.high
        low = spread.low if hits < count else 1.0
        factor = warm.get(name, 1.0)
        value = hits / count
        found[name] = Share(value * factor, low * factor, high if hits else 0.0)
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


def _warm(
    recording: Recording,
    control: SegmentRecord,
    target: str,
    visits: Mapping[str, Sequence[Visit]],
) -> dict[str, float]:
    """By operation, its calls under load as a share of those that probes explain, at most 1."""
    rows = recording.requests(control.index)
    number = np.asarray(rows["operation"])[np.asarray(rows["step"]) == 0]
    each = Counter(recording.operations[n] for n in number.tolist())
    shapes = recording.shapes(control.index)
    crossed = recording.exchanges(control.index)
    own = crossed["tap"] == target
    seen = Counter(shapes.get(shape, "") for shape in crossed["shape"][own].tolist())
    expected: Counter[str] = Counter()
    of: dict[str, set[str]] = {}
    for name, visited in visits.items():
        for visit in visited:
            for call in visit.crossings:
                if call.dependency == target and not call.pushed:
                    expected[call.shape] += each[name] / len(visited)  # type: ignore[assignment]
                    of.setdefault(name, set()).add(call.shape)
    return {
        name: min(1.0, max(seen[shape] / max(expected[shape], 1e-9) for shape in called))
        for name, called in of.items()
    }


def _needing(
    needed_per_s: Sequence[tuple[Operation, float]], fault: Fault, facts: Mapping[str, FlowFacts]
) -> list[Needing]:
    """The requests that need the target, and what becomes of them."""
    manner: Manner = "waits" if fault.OUTAGE == "waits" else "fails"
    # What could not even be sent is not sent again.
    refused = manner == "fails" and fault.target == SERVICE
    return [
        Needing(
            rate_per_s=rate_per_s,
            manner=manner,
            patience_s=operation.timeout_s,
            waits_s=()
            if refused
            else tuple(
                RETRY_AFTER_S * 2**number
                for number in range(facts.get(operation.name, FlowFacts()).retries)
            ),
        )
        for operation, rate_per_s in needed_per_s
    ]


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
        limits = (least, least / FALLS_TO)
    floor = SPARE_LEAST * rate_per_s
    return max(floor, limits[0] - rate_per_s), max(floor, limits[1] - rate_per_s)


def _counted(value: float, low: float, high: float) -> Interval:
    """A count that arrivals make: those of a Poisson process spread by their root."""
    return Interval(
        value=value,
        low=max(0.0, low - Z * math.sqrt(low)),
        high=high + Z * math.sqrt(high) + 1,
        confidence=CONFIDENCE,
        method="fluid model, Poisson arrivals",
        samples=1,
    )


def _time(told: Outage, low: float, high: float) -> Interval | None:
    """As long as what is to spare leaves open, and as the number of those who wait varies."""
    if not math.isfinite(told.drain_s):
        return None
    spread = Z / math.sqrt(max(told.waiting, 1.0))
    return Interval(
        value=told.drain_s,
        low=min(low, told.drain_s) * max(0.0, 1 - spread),
        high=max(high, told.drain_s) * (1 + spread),
        confidence=CONFIDENCE,
        method="fluid model, capacity from the control's CPU or the knee",
        samples=1,
    )


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

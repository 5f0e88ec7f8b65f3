"""Everything that a recording tells of one fault, in one struct. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from loadpath.experiment.crash.backlog import Waiting, usual_waiting, waiting_seen
from loadpath.experiment.crash.checker import Checked, check
from loadpath.experiment.crash.foretold import foretold_for
from loadpath.experiment.crash.recorded import history_of
from loadpath.experiment.crash.run import JUDGED_S, STAYS_DOWN
from loadpath.experiment.crash.seen import (
    Course,
    Requests,
    course,
    failing,
    goodput_ratio,
    requests_seen,
    timeline,
)
from loadpath.experiment.crash.wires import WireCourse, calls_in, wire_courses
from loadpath.experiment.limits import usage_in
from loadpath.recording import FaultRecord, OutageRecord, Recording, SegmentRecord

PICTURE_BIN_S = 0.05


class Writes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the writes around a fault. Counts; `unknown` could not be told.

    `attempts` of all logical requests together, `looked_for` those whose effect was looked for.
    `at_risk` were acknowledged before the heal, and whether they are there is known.
    """

    state: str
    attempts: int
    looked_for: int
    acknowledged: int
    lost: int
    recovered: int
    unexpected: int
    duplicates: int
    stale: int
    disordered: int
    unknown: int
    kinds: tuple[str, ...]
    at_risk: int = 0


class OperationCourse(msgspec.Struct, frozen=True, kw_only=True):
    """One operation during a fault: its course, and how it fared without."""

    operation: str
    requests: int
    control_bad_ratio: float
    course: Course
    response_p50_s: float
    control_p50_s: float


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A fault over time: requests due, good and failed, in bins of `bin_s`. Times in seconds from
    the start of the segment."""

    bin_s: float
    due: tuple[int, ...]
    good: tuple[int, ...]
    failed: tuple[int, ...]
    onset_s: float
    healed_s: float | None
    recovered_s: float | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One fault and what came of it. Times count from the onset or the heal, as they say.

    `worse` are the operations that fared worse than in the control. `goodput_ratio` is that of the
    last second of the load, as a share of the control's, `failed_ratio` the failed requests then;
    `released_at` the share of the load at which a service that did not come back did, None: it did
    not. `came_back`: whether it also bore the whole load again afterwards. `useless_ratio` are the
    requests during the fault that failed or hung, `ready_ratio` the looks then at which the service
    said it was ready. `memory_*_bytes` are of the service's processes together. `foretold` is what
    an outage should come to, `waiting` what it came to. `taken_cores` are what others than Loadpath
    and what it started took of the machine meanwhile.
    """

    fault: FaultRecord
    requests: int
    rate_per_s: float
    control_bad_ratio: float
    course: Course | None
    operations: tuple[OperationCourse, ...]
    worse: tuple[str, ...]
    goodput_ratio: float
    failed_ratio: float = 0.0
    released_at: float | None = None
    lowered: bool = False
    came_back: bool = True
    retried: int = 0
    writes: Writes | None = None
    wires: dict[str, WireCourse] = {}
    memory_before_bytes: int = 0
    memory_most_bytes: int = 0
    ready_ratio: float | None = None
    foretold: OutageRecord | None = None
    waiting: Waiting | None = None
    taken_cores: float = 0.0
    useless_ratio: float = math.nan
    picture: Picture | None = None

    @property
    def watched_s(self) -> float:
        """From the heal to the end of the load; 0 when it did not heal."""
        if self.picture is None or self.picture.healed_s is None:
            return 0.0
        return max(0.0, len(self.picture.due) * self.picture.bin_s - self.picture.healed_s)

    @property
    def stays_down(self) -> bool:
        """Whether goodput was below `STAYS_DOWN` of the control's at the end of the load."""
        return self.goodput_ratio < STAYS_DOWN


def outcomes_of(recordings: Sequence[Recording]) -> tuple[Outcome, ...]:
    """Every fault that was done, in order."""
    return tuple(
        _outcome(recording, fault) for recording in recordings for fault in recording.faults()
    )


def control_of(recording: Recording, before: int) -> tuple[SegmentRecord, Requests] | None:
    """The last control run before that segment, of its load if there is one; what users saw."""
    found = [s for s in recording.segments if s.purpose == "control" and s.index <= before]
    load = next((s.load for s in recording.segments if s.index == before), None)
    alike = [s for s in found if s.load == load] or found
    return (alike[-1], users_saw(recording, alike[-1])) if alike else None


def users_saw(recording: Recording, segment: SegmentRecord) -> Requests:
    """The requests of users: what reads back for Loadpath is left out."""
    workload = recording.setup.workload
    seen = requests_seen(recording.requests(segment.index), workload, segment.drained_s)
    own = np.array([operation.reads_back is None for operation in workload.operations])
    return seen.where(own[seen.operation]) if len(seen) else seen


def _outcome(recording: Recording, fault: FaultRecord) -> Outcome:
    segment = recording.segment(fault.segment)
    seen = users_saw(recording, segment)
    control = control_of(recording, segment.index)
    usual = control[1] if control else seen.between(segment.started_s, fault.onset_s)
    usual_bad = 0.0 if math.isnan(usual.bad_ratio) else usual.bad_ratio
    end_s = segment.ended_s
    healed_s = end_s if fault.healed_s is None else min(fault.healed_s, end_s)
    whole = course(seen, usual_bad, fault.onset_s, healed_s, end_s)
    numbers = sorted(set(seen.operation.tolist()))
    steps = _steps(recording, fault)
    waiting = None if control is None else _waiting(recording, segment, control[0], fault)
    return Outcome(
        fault=fault,
        requests=len(seen.between(fault.onset_s, end_s)),
        rate_per_s=len(seen) / max(end_s - segment.started_s, 1e-9),
        control_bad_ratio=usual_bad,
        course=whole,
        operations=tuple(
            _operation(recording.operations[n], seen.of(n), usual.of(n), fault, healed_s, end_s)
            for n in numbers
        ),
        worse=tuple(
            recording.operations[n] for n in failing(seen, usual, fault.onset_s, healed_s, numbers)
        ),
        goodput_ratio=_last_goodput(seen, usual_bad, end_s),
        failed_ratio=_useless(seen.between(end_s - JUDGED_S, end_s)),
        released_at=_released_at(recording, steps, segment, usual_bad),
        lowered=bool(steps),
        came_back=_came_back(recording, steps, usual_bad),
        retried=segment.retried + (0 if waiting is None else waiting.retries),
        foretold=_foretold(recording, segment, fault),
        waiting=waiting,
        taken_cores=_taken_cores(recording, segment),
        writes=_writes(recording, segment.index, healed_s),
        wires=wire_courses(
            recording.exchanges(segment.index),
            recording.connections(segment.index),
            seen.due_s,
            (segment.started_s, end_s),
            fault.onset_s,
            healed_s,
            None if control is None else _usual_calls(recording, *control),
        ),
        ready_ratio=_ready(fault, healed_s),
        useless_ratio=_useless(seen.between(fault.onset_s, healed_s)),
        picture=_picture(seen, segment, fault, whole),
        **_memory(recording, segment, fault.onset_s),
    )


def _waiting(
    recording: Recording, segment: SegmentRecord, control: SegmentRecord, fault: FaultRecord
) -> Waiting | None:
    """Requests without an answer meanwhile; None where it did not heal while there was load."""
    if fault.healed_s is None or fault.healed_s > segment.ended_s:
        return None
    usual = usual_waiting(
        recording.requests(control.index), control.started_s, control.ended_s, control.drained_s
    )
    return waiting_seen(
        recording.requests(segment.index),
        usual,
        onset_s=fault.onset_s,
        healed_s=fault.healed_s,
        end_s=segment.ended_s,
        drained_s=segment.drained_s,
    )


def _foretold(
    recording: Recording, segment: SegmentRecord, fault: FaultRecord
) -> OutageRecord | None:
    """What was foretold, for as long as the outage did last: how soon what was killed takes calls
    and serves again is no matter of the service, and of that nothing was foretold."""
    told = next((o for o in recording.outages() if o.segment == segment.index), None)
    if told is None or fault.healed_s is None or fault.healed_s > segment.ended_s:
        return told
    return foretold_for(
        told,
        fault.healed_s - fault.onset_s,
        segment.ended_s - fault.onset_s,
        0.0 if fault.accepts_s is None else fault.healed_s - fault.accepts_s,
    )


def _usual_calls(recording: Recording, control: SegmentRecord, seen: Requests) -> dict[str, float]:
    return calls_in(
        recording.exchanges(control.index), recording.connections(control.index), len(seen)
    )


def _taken_cores(recording: Recording, segment: SegmentRecord) -> float:
    if len(recording.table("host", segment.index)["at_s"]) < 2:
        return 0.0
    host = usage_in(recording, segment).host
    return host.others_cores + host.steal_cores


def _operation(
    name: str,
    seen: Requests,
    usual: Requests,
    fault: FaultRecord,
    healed_s: float,
    end_s: float,
) -> OperationCourse:
    bad = 0.0 if math.isnan(usual.bad_ratio) else usual.bad_ratio
    during = seen.between(fault.onset_s, healed_s)
    answered = during.response_s[~during.failed]
    return OperationCourse(
        operation=name,
        requests=len(seen.between(fault.onset_s, end_s)),
        control_bad_ratio=bad,
        course=course(seen, bad, fault.onset_s, healed_s, end_s),
        response_p50_s=float(np.median(answered)) if len(answered) else math.nan,
        control_p50_s=float(np.median(usual.response_s)) if len(usual) else math.nan,
    )


def _last_goodput(seen: Requests, usual_bad: float, end_s: float) -> float:
    ratio = goodput_ratio(seen, usual_bad, end_s - JUDGED_S, end_s)
    return 1.0 if math.isnan(ratio) else ratio


def _steps(recording: Recording, fault: FaultRecord) -> list[SegmentRecord]:
    """The segments in which the load was lowered and raised again after that fault."""
    found = []
    for segment in recording.segments:
        if segment.index <= fault.segment:
            continue
        if segment.purpose not in ("lowered", "raised again"):
            break
        found.append(segment)
    return found


def _step_goodput(recording: Recording, step: SegmentRecord, usual_bad: float) -> float:
    return _last_goodput(users_saw(recording, step), usual_bad, step.ended_s)


def _released_at(
    recording: Recording, steps: Sequence[SegmentRecord], full: SegmentRecord, usual_bad: float
) -> float | None:
    for step in steps:
        if step.purpose == "lowered" and (_step_goodput(recording, step, usual_bad) >= STAYS_DOWN):
            key = "rate_per_s" if "rate_per_s" in full.load else "users"
            return float(step.load[key]) / float(full.load[key])
    return None


def _came_back(recording: Recording, steps: Sequence[SegmentRecord], usual_bad: float) -> bool:
    if not steps:
        return True
    last = steps[-1]
    raised = last.purpose == "raised again"
    return raised and _step_goodput(recording, last, usual_bad) >= STAYS_DOWN


def _writes(recording: Recording, index: int, healed_s: float) -> Writes | None:
    """None when none was tried, or nothing can count what was."""
    history = history_of(recording, [index])
    if not history.writes:
        return None
    found: Checked = check(history)
    early = {w.token for w in history.writes if w.outcome == "ok" and w.ended_s <= healed_s}
    return Writes(
        state=found.state,
        attempts=len(recording.table("writes", index)["token"]),
        looked_for=found.requests,
        acknowledged=found.acknowledged,
        lost=len(found.lost),
        recovered=len(found.recovered),
        unexpected=len(found.unexpected),
        duplicates=found.duplicates,
        stale=len(found.stale),
        disordered=len(found.disordered),
        unknown=len(found.unknown),
        kinds=tuple(sorted({write.kind for write in history.writes})),
        at_risk=len(early - set(found.unknown)),
    )


def _useless(during: Requests) -> float:
    return float((during.failed | during.hung).mean()) if len(during) else math.nan


def _ready(fault: FaultRecord, healed_s: float) -> float | None:
    """The share of looks during the fault at which the service said it was ready."""
    during = [look.ready for look in fault.ready if fault.onset_s <= look.at_s < healed_s]
    return sum(during) / len(during) if during else None


def _memory(recording: Recording, segment: SegmentRecord, onset_s: float) -> Mapping[str, int]:
    """Resident memory of the service's processes together, before the onset and at the most."""
    rows = recording.table("processes", segment.index)
    own = rows["part"] == "service"
    totals: dict[float, int] = {}
    for at_s, size in zip(rows["at_s"][own].tolist(), rows["rss_bytes"][own].tolist(), strict=True):
        if segment.started_s <= at_s <= segment.ended_s:
            totals[at_s] = totals.get(at_s, 0) + int(size)
    before = [size for at_s, size in totals.items() if at_s < onset_s]
    return {
        "memory_before_bytes": before[-1] if before else 0,
        "memory_most_bytes": max(totals.values(), default=0),
    }


def _picture(seen: Requests, segment: SegmentRecord, fault: FaultRecord, whole: Course) -> Picture:
    line = timeline(seen, segment.started_s, segment.ended_s, PICTURE_BIN_S)
    healed = None if fault.healed_s is None else fault.healed_s - segment.started_s
    recovered = None
    if healed is not None and whole.recovered_s is not None:
        recovered = healed + whole.recovered_s
    return Picture(
        bin_s=PICTURE_BIN_S,
        due=tuple(line.due.tolist()),
        good=tuple(line.good.tolist()),
        failed=tuple(line.failed.tolist()),
        onset_s=fault.onset_s - segment.started_s,
        healed_s=healed,
        recovered_s=recovered,
    )

"""Do faults to a running arm under its own load, and record what was done and when.

Each fault is one continuous segment of load: before, onset, heal, after. Where requests do not fare
as well as before when it is over, the load is lowered in steps, and raised again: a service that
comes back only when the load is taken away has failed in another way than one that never does.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator

import msgspec

from loadpath.deploy.probe import HandshakeError, http_status
from loadpath.drive import SegmentProgress
from loadpath.errors import LoadpathError, WouldNotRunError
from loadpath.experiment.arm import Arm
from loadpath.experiment.crash.cascade import DUE_MAX_S, Cascade, chain_of
from loadpath.experiment.crash.seen import goodput_ratio, requests_seen
from loadpath.experiment.knee import loosest_limit_s, mix_of
from loadpath.experiment.scale import load_at
from loadpath.faults import Fault, Hits, Injection, Stage
from loadpath.recording import FaultRecord, ReadyLook, SegmentRecord
from loadpath.spec import Arrivals, OpenArrivals
from loadpath.spec.tls import client_context

STAYS_DOWN = 0.9
"""Below this share of the control's goodput, long after the heal, it has not come back."""

LOWER = (0.5, 0.25, 0.1)
"""Shares of the load at which it is looked whether it comes back."""

STEP_S = 2.5
JUDGED_S = 1.0
"""The last part of a stretch, by which it is judged."""

HEAL_MAX_S = 30.0
READY_EVERY_S = 0.1
EFFECTS_MAX = 400


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long each part of a fault lasts, in seconds.

    `lasts_s` where the fault's own trigger does not say it; `after_s` is how long it is watched
    from the heal, and up to `after_max_s` while it does not fare well; effects are looked for as
    long as `effects_s`.
    """

    before_s: float = 2.0
    lasts_s: float = 1.0
    after_s: float = 3.0
    after_max_s: float = 8.0
    control_s: float = 4.0
    settle_s: float = 1.5
    effects_s: float = 6.0

    def lasts_of(self, fault: Fault) -> float:
        """How long that one lasts."""
        return self.lasts_s if fault.trigger.for_s is None else fault.trigger.for_s

    @property
    def each_s(self) -> float:
        """About how long one fault takes, with looking for effects."""
        return self.before_s + self.lasts_s + self.after_s + self.effects_s / 2


class _Watch:
    """Watches a segment's progress: when it began, how it fares, when it shall end."""

    def __init__(self, limit_s: float) -> None:
        self.began = asyncio.Event()
        self.started_s = math.nan
        self.healed_s = math.inf
        self.over = False
        self.rate_per_s = 0.0
        self._limit_s = limit_s
        self._told: deque[SegmentProgress] = deque(maxlen=6)

    def heard(self, progress: SegmentProgress, timing: Timing) -> bool:
        """Whether the segment shall end now."""
        if not self.began.is_set():
            self.started_s = progress.at_s - progress.elapsed_s
            self.began.set()
        self._told.append(progress)
        self.rate_per_s = progress.target_rate_per_s or 0.0
        since_s = time.monotonic() - self.healed_s
        return (
            self.over
            or since_s >= timing.after_max_s
            or (since_s >= timing.after_s and self._is_well())
        )

    def _is_well(self) -> bool:
        first, last = self._told[0], self._told[-1]
        errors, done = last.errors - first.errors, last.done - first.done
        p99_s = last.response_time_p99_s
        return done > 0 and errors <= 0.01 * done and (p99_s is None or p99_s <= 2 * self._limit_s)


async def run_control(arm: Arm, timing: Timing, scale: float) -> SegmentRecord:
    """The same load without a fault, after it has settled: what everything is compared with."""
    load, mix = load_at(arm.setup.workload.arrivals, scale), mix_of(arm.setup.workload)
    await arm.drive("warmup", load, duration_s=timing.settle_s, weights=mix)
    return await arm.drive("control", load, duration_s=timing.control_s, weights=mix)


def scale_of(fault: Fault, arrivals: Arrivals, scale: float) -> float:
    """The load a fault is done at: `scale` times the workload's own, or what its trigger wants."""
    wanted = [f.trigger.at_rate_per_s for f in chain_of(fault) if f.trigger.at_rate_per_s]
    if not wanted or not isinstance(arrivals, OpenArrivals):
        return scale
    return max(scale, max(wanted) / arrivals.rate_per_s)


async def run_fault(
    arm: Arm,
    stage: Stage,
    fault: Fault,
    timing: Timing,
    *,
    scale: float,
    control_bad_ratio: float,
    prepared: Injection | None = None,
) -> bool:
    """Do one fault under load; whether the deployment is as good as before when it is over.

    Whatever it ends by, the fault is undone.
    """
    workload = arm.setup.workload
    load, mix = load_at(workload.arrivals, scale), mix_of(workload)
    watch = _Watch(loosest_limit_s(workload))
    injection = Cascade(fault, stage, lambda: watch.rate_per_s, prepared)
    lasts_s = timing.lasts_of(fault)
    at_s = chain_of(fault)[0].trigger.at_s
    before_s = timing.before_s if at_s is None else at_s
    driving = asyncio.create_task(
        arm.drive(
            "fault",
            load,
            duration_s=before_s + DUE_MAX_S + lasts_s + HEAL_MAX_S + timing.after_max_s,
            weights=mix,
            label=fault.name,
            stop_when=lambda progress: watch.heard(progress, timing),
        )
    )
    failed = ended = ""
    hits = Hits(0, "it did not begin")
    looks: list[ReadyLook] = []
    segment: SegmentRecord | None = None
    try:
        async with _looking(arm, looks):
            try:
                await _until_begun(driving, watch)
                await asyncio.sleep(max(0.0, watch.started_s + before_s - time.monotonic()))
                await injection.onset(watch.started_s)
                await asyncio.sleep(lasts_s)
                await asyncio.wait_for(injection.heal(), HEAL_MAX_S)
                hits = await injection.hits()
            except TimeoutError:
                failed = f"it had not healed after {HEAL_MAX_S:g} s"
            except LoadpathError as error:
                failed = str(error)
            watch.healed_s = (
                time.monotonic() if math.isnan(injection.healed_s) else (injection.healed_s)
            )
            watch.over = bool(failed)
            try:
                segment = await driving
            except WouldNotRunError as error:
                # It was recorded before that was noticed.
                ended = error.message
    finally:
        await asyncio.shield(asyncio.ensure_future(_undo(injection, driving)))
    if segment is None:
        segment = arm.recording().segments[-1]
    arm.note_fault(
        FaultRecord(
            segment=segment.index,
            name=fault.name,
            target=fault.target,
            layer=fault.LAYER,
            summary=fault.SUMMARY,
            onset_s=injection.onset_s if not math.isnan(injection.onset_s) else segment.started_s,
            healed_s=None if math.isnan(injection.healed_s) else injection.healed_s,
            accepts_s=None if math.isnan(injection.accepts_s) else injection.accepts_s,
            hits=hits.count,
            proof=hits.proof,
            uncovered=hits.uncovered,
            failed=failed,
            ended=ended,
            ready=tuple(looks),
        )
    )
    if ended or failed:
        return False
    well = _fares_well(arm, segment, control_bad_ratio)
    if not well:
        well = await _let_go(arm, fault, scale, control_bad_ratio)
    if workload.flows is not None:
        await _count_effects(arm, segment, timing, (injection.onset_s + injection.healed_s) / 2)
    return well


async def _count_effects(arm: Arm, segment: SegmentRecord, timing: Timing, near_s: float) -> None:
    """Look for what was written, once more when nothing could be told: it may have come to rest."""
    for _ in range(2):
        counted = await arm.count_effects(
            [segment.index], limit=EFFECTS_MAX, near_s=near_s, budget_s=timing.effects_s
        )
        if counted.unknown < counted.looked_for or not counted.looked_for:
            break


async def _until_begun(driving: asyncio.Task[SegmentRecord], watch: _Watch) -> None:
    began = asyncio.ensure_future(watch.began.wait())
    try:
        await asyncio.wait((driving, began), return_when=asyncio.FIRST_COMPLETED)
    finally:
        began.cancel()
    if driving.done():
        driving.result()


async def _undo(injection: Cascade, driving: asyncio.Task[SegmentRecord]) -> None:
    if not driving.done():
        driving.cancel()
        with contextlib.suppress(asyncio.CancelledError, LoadpathError):
            await driving
    await injection.clean_up()


async def _let_go(arm: Arm, fault: Fault, scale: float, control_bad_ratio: float) -> bool:
    """Lower the load until requests fare well, then raise it again; whether they still do."""
    arrivals, mix = arm.setup.workload.arrivals, mix_of(arm.setup.workload)
    for share in LOWER:
        step = await arm.drive(
            "lowered",
            load_at(arrivals, share * scale),
            duration_s=STEP_S,
            weights=mix,
            label=fault.name,
        )
        if _fares_well(arm, step, control_bad_ratio):
            break
    else:
        return False
    step = await arm.drive(
        "raised again",
        load_at(arrivals, scale),
        duration_s=STEP_S,
        weights=mix,
        label=fault.name,
    )
    return _fares_well(arm, step, control_bad_ratio)


def _fares_well(arm: Arm, segment: SegmentRecord, control_bad_ratio: float) -> bool:
    recording = arm.recording()
    seen = requests_seen(
        recording.requests(segment.index), recording.setup.workload, segment.drained_s
    )
    from_s = segment.ended_s - JUDGED_S
    return not goodput_ratio(seen, control_bad_ratio, from_s, segment.ended_s) < STAYS_DOWN


@contextlib.asynccontextmanager
async def _looking(arm: Arm, looks: list[ReadyLook]) -> AsyncIterator[None]:
    """Ask the service whether it is ready, over and over, past its tap, while the context lasts."""
    service = arm.setup.service
    method, _, path = service.ready.partition(" ")
    tls = service.tls
    security = None if tls is None else (client_context(tls), "localhost")

    async def look() -> None:
        while True:
            at_s = time.monotonic()
            try:
                status = await http_status(
                    arm.deployment.address, method, path, timeout_s=1.0, security=security
                )
            except HandshakeError:
                status = None
            looks.append(ReadyLook(at_s, status is not None and status < 400))
            await asyncio.sleep(READY_EVERY_S)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

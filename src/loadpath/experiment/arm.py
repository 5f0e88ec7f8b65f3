"""One arm: a deployed setup with an engine before it and meters on it, writing one recording."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

from loadpath import __version__
from loadpath.deploy import Address, Deployment, Snapshot
from loadpath.drive import (
    ClosedLoad,
    EffectsCounted,
    EffectsWanted,
    Engine,
    EnginePlan,
    OpenLoad,
    Segment,
    SegmentProgress,
    SegmentResult,
    VariantsWanted,
)
from loadpath.events import EventSink, LoadProgress, Warned
from loadpath.experiment.caching.kept import FRONT, kept_between
from loadpath.experiment.engines import engine_processes
from loadpath.experiment.logins import telling_logins
from loadpath.experiment.session import Session
from loadpath.experiment.tapped import open_taps, wrapping
from loadpath.experiment.visits import first_visits, visit_rows, visits
from loadpath.meter import Meter, PostgresActivity, describe_machine, fixed_work_s
from loadpath.proxy import Front
from loadpath.recording import (
    FaultRecord,
    FunctionsRecord,
    OutageRecord,
    Recording,
    RecordingWriter,
    SegmentRecord,
    write_requests,
)
from loadpath.spec import Setup
from loadpath.statements.record import GrowthRecord
from loadpath.tap import Taps, Window

StopRule = Callable[[SegmentProgress], bool]

DRAIN_S = 2.0
"""How long replies are waited for after the last arrival of a segment."""


PRODUCTS = {"postgres": "PostgreSQL", "valkey": "Valkey", "nats": "NATS", "http": "HTTP"}


class Arm:
    """A running arm; open it with `open_arm`. `drive` puts one segment of load on it, recorded.

    `taps` are on its wires, if any are: what crosses them in a segment is recorded with it.
    """

    def __init__(
        self,
        deployment: Deployment,
        engine: Engine,
        *,
        setup: Setup,
        meter: Meter,
        writer: RecordingWriter,
        backends: Sequence[PostgresActivity],
        emit: EventSink,
        place: tuple[str, int],
        taps: Taps | None = None,
        front: Front | None = None,
    ) -> None:
        self.setup = setup
        self.front = front
        self.taps = taps
        self.deployment = deployment
        self.engine = engine
        self._meter = meter
        self._writer = writer
        self._backends = backends
        self._emit = emit
        self._place = place
        self._segments = 0

    @property
    def directory(self) -> Path:
        """The folder of this arm's recording."""
        return self._writer.directory

    def recording(self) -> Recording:
        """What has been recorded so far."""
        return Recording.open(self.directory)

    async def drive(
        self,
        purpose: str,
        load: OpenLoad | ClosedLoad,
        *,
        duration_s: float,
        weights: Mapping[str, float],
        label: str = "",
        background: tuple[OpenLoad, Mapping[str, float]] | None = None,
        stop_when: StopRule | None = None,
        digested: bool = False,
    ) -> SegmentRecord:
        """Drive one segment of `load` over the operations of `weights`, and record it.

        `background` is a second open load under the first, of its own operations; `stop_when`,
        asked at every progress report, ends the segment early. `digested`: what each reply said is
        noted too, which costs the engine some CPU.
        """
        index = self._next_index()
        segment = Segment(
            index=index,
            purpose=purpose,
            load=load,
            duration_s=duration_s,
            drain_s=DRAIN_S,
            weights=dict(weights),
            background=None if background is None else background[0],
            background_weights={} if background is None else dict(background[1]),
            requests_path=self._writer.requests_path(index),
            writes_path=self._writer.writes_path(index),
            reads_path=self._writer.reads_path(index),
            replies_path=self._writer.replies_path(index) if digested else None,
        )
        work_s = fixed_work_s()
        before = None if self.front is None else await self.front.counts()
        async with self._wires_read(index):
            result = await self.engine.run(
                segment, on_progress=self._progress(label or purpose, duration_s, stop_when)
            )
        kept = None
        if self.front is not None and before is not None:
            kept = kept_between(before, await self.front.counts())
        record = msgspec.structs.replace(
            _segment_record(segment, result, label, self._place), fixed_work_s=work_s, kept=kept
        )
        host = self._keep(record)
        await self._give_the_engine_room(record, host)
        return record

    async def probe(self) -> SegmentRecord:
        """Run each operation alone, some visits one after the other, recorded as a segment `probe`:
        a request is a visit, and from its start to the first of them the service is left alone."""
        index = self._next_index()
        names = [operation.name for operation in self.setup.workload.operations]
        await first_visits(names, self.engine)
        async with self._wires_read(index):
            visited = await visits(dict.fromkeys(names, ()), self.engine)
        write_requests(self._writer.requests_path(index), visit_rows(visited, index))
        record = SegmentRecord(
            index=index,
            purpose="probe",
            load={},
            duration_s=visited.ended_s - visited.began_s,
            weights=dict.fromkeys(names, 1.0),
            started_s=visited.began_s,
            ended_s=visited.ended_s,
            drained_s=visited.ended_s,
            arrivals=sum(len(replies) for replies in visited.replies.values()),
        )
        self._keep(record)
        return record

    def _next_index(self) -> int:
        self._segments += 1
        return self._segments - 1

    @asynccontextmanager
    async def _wires_read(self, index: int) -> AsyncIterator[None]:
        """Record what crosses the taps meanwhile; without taps there is nothing to record."""
        if self.taps is None:
            yield
            return
        await self.taps.begin(
            Window(
                segment=index,
                exchanges=self._writer.exchanges_path(index),
                connections=self._writer.connections_path(index),
                shapes=self._writer.shapes_path(index),
            )
        )
        yield
        result = await self.taps.end()
        if result.lost_exchanges:
            lost = f"{result.lost_exchanges:,} of {result.exchange_count:,} exchanges"
            self._emit(
                Warned(at_s=time.time(), message=f"the disk was too slow for the taps: {lost} lost")
            )

    def _keep(self, record: SegmentRecord) -> Mapping[str, npt.NDArray[Any]]:
        """Write what was metered during a segment, and the segment; the table of the host."""
        tables = self._meter.take()
        self._writer.write_tables(record.index, tables)
        for watched in self._backends:
            self._writer.write_table("postgres", record.index, watched.take())
        self._writer.append_segment(record)
        self.deployment.raise_if_died()
        self.deployment.check_peers()
        self.deployment.look_at_given()
        return tables.host

    async def _give_the_engine_room(
        self, record: SegmentRecord, host: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        """One engine process more, when the engine was what limited and a core is there for it."""
        processes = len(self.engine.pids)
        lasted_s = max(record.drained_s - record.started_s, 1e-9)
        wanted = engine_processes(processes, engine_cores=record.engine_cpu_s / lasted_s, host=host)
        if wanted > processes:
            await self.engine.grow(wanted)
            self._emit(
                Warned(
                    at_s=time.time(),
                    message=f"the load engine filled its core: it has {wanted} processes now",
                )
            )

    async def check_holds(self, limit: int = 200) -> None:
        """Ask the service whether what it acknowledged still holds, and record what it says."""
        if self.setup.workload.flows is not None:
            self._writer.write_holds(await self.engine.check_holds(limit))

    async def ask_variants(self, segment: int, *, limit: int = 8, budget_s: float = 10.0) -> int:
        """Ask requests of that digested segment again in other ways; how many were compared."""
        return await self.engine.ask_variants(
            VariantsWanted(
                path=self._writer.variants_path(segment),
                segment=segment,
                limit=limit,
                budget_s=budget_s,
            )
        )

    def note_growth(self, record: GrowthRecord) -> None:
        """Record what was measured on grown data."""
        self._writer.write_growth(record)

    def note_functions(self, record: FunctionsRecord) -> None:
        """Record what Python code the service ran."""
        self._writer.write_functions(record)

    def note_fault(self, record: FaultRecord) -> None:
        """Record what was done during a segment."""
        self._writer.append_fault(record)

    def note_outage(self, record: OutageRecord) -> None:
        """Record what a fault should come to, before it is done."""
        self._writer.append_outage(record)

    @property
    def next_segment(self) -> int:
        """The index of the segment that will be driven next."""
        return self._segments

    async def count_effects(
        self,
        segments: Sequence[int],
        *,
        limit: int = 1000,
        near_s: float | None = None,
        budget_s: float = 30.0,
    ) -> EffectsCounted:
        """Look for the effects of what was tried in those segments, and record them with the last.

        At most `limit` a kind are looked for, those that ended nearest to `near_s` first.
        """
        return await self.engine.count_effects(
            EffectsWanted(
                segments=tuple(segments),
                path=self._writer.effects_path(segments[-1]),
                limit=limit,
                near_s=near_s,
                budget_s=budget_s,
            )
        )

    def _progress(
        self, phase: str, duration_s: float, stop_when: StopRule | None
    ) -> Callable[[SegmentProgress], None]:
        last_told_s = 0.0

        def heard(progress: SegmentProgress) -> None:
            nonlocal last_told_s
            if progress.at_s - last_told_s >= 1.0:
                last_told_s = progress.at_s
                self._emit(
                    LoadProgress(
                        at_s=time.time(),
                        phase=phase,
                        rate_per_s=progress.done_rate_per_s,
                        target_rate_per_s=progress.target_rate_per_s,
                        response_time_p99_s=progress.response_time_p99_s,
                        errors=progress.errors,
                        left_s=max(0.0, duration_s - progress.elapsed_s),
                    )
                )
            if stop_when is not None and stop_when(progress):
                self.engine.stop_segment()

        return heard


def _segment_record(
    segment: Segment, result: SegmentResult, label: str, place: tuple[str, int]
) -> SegmentRecord:
    plain = msgspec.to_builtins(result)
    return msgspec.convert(
        {
            **plain,
            "index": segment.index,
            "purpose": segment.purpose,
            "label": label,
            "arm": place[0],
            "round": place[1],
            "load": msgspec.to_builtins(segment.load),
            "weights": segment.weights,
            "background": msgspec.to_builtins(segment.background),
            "background_weights": segment.background_weights,
            "duration_s": segment.duration_s,
        },
        SegmentRecord,
    )


def named_dependencies(deployment: Deployment) -> dict[str, str]:
    """What runs under each dependency's name, as people call it."""
    return {
        name: f"{PRODUCTS[dependency.kind]} {dependency.version}".strip()
        for name, dependency in deployment.dependencies.items()
    }


def _database_activity(deployment: Deployment) -> list[PostgresActivity]:
    """Watchers of the first embedded PostgreSQL; a user's own server is left alone."""
    return [
        PostgresActivity(
            name,
            host=dependency.host,
            port=dependency.port,
            user=dependency.user,
            password=dependency.password,
            database=dependency.name,
        )
        for name, dependency in deployment.dependencies.items()
        if dependency.kind == "postgres" and dependency.embedded
    ][:1]


@asynccontextmanager
async def _front(session: Session, setup: Setup, address: Address) -> AsyncIterator[Front | None]:
    if setup.kept is None:
        yield None
        return
    spawn, tls = session.guard.spawn, setup.service.tls
    async with Front(address.host, address.port, setup.kept, spawn=spawn, tls=tls) as front:
        yield front


@asynccontextmanager
async def open_arm(
    session: Session,
    setup: Setup,
    name: str,
    *,
    arm: str = "",
    round_: int = 0,
    tapped: bool = False,
    front: bool = False,
    keep_parameters: bool = False,
    digest_replies: bool = False,
    snapshot: Snapshot | None = None,
) -> AsyncIterator[Arm]:
    """Deploy `setup` from the restored data and stand an engine and meters beside it.

    `arm` and `round_` place its segments in an interleaved comparison; `tapped` puts taps on the
    wires, whose CPU is metered as a part of its own, as is that of relays that the setup wants,
    and `front` with it one before the service. With `keep_parameters` the taps keep, in memory,
    some of what statements are run with; with `digest_replies` they record a digest of what came
    back. `snapshot` is other data than the session's.
    """
    snapshot = snapshot or await session.snapshot(setup)
    writer = RecordingWriter.create(
        session.run.new_recording(name),
        setup,
        name=name,
        machine=describe_machine(),
        loadpath_version=__version__,
    )
    with writer, session.telling(writer.append_event):
        async with (
            open_taps(
                session,
                setup,
                tapped=tapped,
                keep_parameters=keep_parameters,
                digest_replies=digest_replies,
            ) as taps,
            Deployment(
                setup,
                snapshot=snapshot,
                guard=session.guard,
                emit=session.emit,
                wrap=None if taps is None else wrapping(taps, setup, tapped=tapped),
            ) as deployment,
            AsyncExitStack() as stack,
        ):
            writer.note_dependencies(named_dependencies(deployment))
            for message in deployment.unmetered():
                session.warn_once(
                    message, "If it belongs to another user, run Loadpath as root or as that user."
                )
            address = deployment.address
            if taps is not None and front:
                address = await taps.wrap_service(address)
            cache = await stack.enter_async_context(_front(session, setup, address))
            if cache is not None:
                address = Address("127.0.0.1", cache.port)
            plan = EnginePlan(
                host=address.host,
                port=address.port,
                workload=setup.workload,
                seed=setup.seed,
                connections_max=setup.workload.connections_max,
                tls=setup.service.tls if cache is None else None,
                relayed_tls=cache is not None and setup.service.tls is not None,
                audit=session.audit,
            )
            async with Engine(
                plan, spawn=session.guard.spawn, on_logins=telling_logins(session.emit)
            ) as engine:

                def parts() -> dict[str, tuple[int, ...]]:
                    return {
                        **deployment.given_parts(),
                        **deployment.parts(),
                        "engine": engine.pids,
                        "loadpath": (os.getpid(), session.guard.pid),
                        **({} if taps is None else {"taps": (taps.pid,)}),
                        **({} if cache is None else {FRONT: (cache.pid,)}),
                    }

                async with AsyncExitStack() as inner:
                    backends = [
                        await inner.enter_async_context(activity)
                        for activity in _database_activity(deployment)
                    ]
                    meter = inner.enter_context(Meter(parts))
                    yield Arm(
                        deployment,
                        engine,
                        setup=setup,
                        meter=meter,
                        writer=writer,
                        backends=backends,
                        emit=session.emit,
                        place=(arm, round_),
                        taps=taps if tapped else None,
                        front=cache,
                    )
            deployment.copy_logs(writer.directory / "logs")

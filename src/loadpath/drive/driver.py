"""Driving one service: what lasts from segment to segment, and the running of one."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from time import monotonic

from loadpath import recording
from loadpath.drive.agenda import Agenda
from loadpath.drive.audit import ReadDelays
from loadpath.drive.backlog import Backlog
from loadpath.drive.connections import Pool, resolve
from loadpath.drive.dialer import Dialer
from loadpath.drive.exchanges import Exchanges
from loadpath.drive.flows import Flows
from loadpath.drive.logins import Logins, ToldLogins
from loadpath.drive.loop import SegmentLoop, no_collection
from loadpath.drive.losses import Losses
from loadpath.drive.mix import Made, Mix, stream_rng
from loadpath.drive.operations import compile_workload, parted
from loadpath.drive.plan import (
    LEAD_S,
    WHOLE,
    EnginePlan,
    Part,
    Segment,
    SegmentProgress,
    SegmentResult,
)
from loadpath.drive.progress import INTERVAL_S, LEEWAY_S, TAKES_S, ProgressMeter
from loadpath.drive.records import Records
from loadpath.drive.replies import ReplyLog
from loadpath.drive.requests import RequestWriter
from loadpath.drive.rows import Columns, columns, digests
from loadpath.drive.secure import Security
from loadpath.drive.sequential import SequentialClient
from loadpath.drive.sessions import Sessions
from loadpath.drive.sockets import Sockets
from loadpath.drive.sources import draw_source
from loadpath.drive.state import FlowState
from loadpath.recording.schema import REPLIES

CONNECTIONS_NUMBERED = 10_000_000  # by one process, before the numbers of the next begin

_PROBE_STREAM = 4


def soon() -> float:
    """When a schedule starts that waits for nobody else."""
    return monotonic() + LEAD_S


class Driver:
    """Connections, compiled operations and the flows' state of one plan.

    `control` maps file descriptors to what is called when they are readable while a segment runs.
    Raises `ConfigurationError` for a workload that cannot be driven.
    """

    def __init__(self, plan: EnginePlan, control: dict[int, Callable[[], None]]) -> None:
        self.plan = plan
        host = f"[{plan.host}]" if ":" in plan.host else plan.host
        self.workload = compile_workload(plan.workload, f"{host}:{plan.port}", plan.seed)
        self.state = FlowState(self.workload.keys, plan.seed)
        self.security = Security.of(plan.tls)
        secure = self.security is not None
        self.sessions = Sessions(self.workload, plan.host, secure=secure)
        self.flows = Flows(
            self.workload.operations,
            self.state,
            RequestWriter(self.workload.host, keep_alive=plan.workload.keep_alive),
            self.sessions,
            f"{'https' if secure or plan.relayed_tls else 'http'}://{self.workload.host}",
        )
        self.address = resolve(plan.host, plan.port)
        self._control = control
        self._epoll = select.epoll()
        for fd in control:
            self._epoll.register(fd, select.EPOLLIN)
        self._delays = ReadDelays() if plan.audit else None
        self._pool = Pool(
            self.address,
            self._epoll,
            plan.connection_limit,
            security=self.security,
            delays=self._delays,
        )
        self._loop: SegmentLoop | None = None
        self.replies: ReplyLog | None = None

    def run_segment(
        self,
        segment: Segment,
        on_progress: Callable[[SegmentProgress], None],
        *,
        part: Part = WHOLE,
        when: Callable[[], float] = soon,
    ) -> tuple[SegmentResult, Columns]:
        """Drive a segment, or its part of one; what it came to, and its rows as columns.

        `when`, asked once all is ready, says when the schedule is to start.

        Raises `ConfigurationError` for weights that cannot be driven.
        """
        plan = self.plan
        mix = {each.name: each.weight for each in plan.workload.operations}
        source = draw_source(segment, self.workload, mix, plan.seed, part)
        self.begin_segment(segment.index, part.index)
        self._pool.set_limit(part.share(plan.connection_limit))
        agenda, backlog = Agenda(), Backlog()
        operations = self.workload.operations
        records = Records(operations)
        losses = Losses(
            operations=operations,
            pool=self._pool,
            source=source,
            agenda=agenda,
            backlog=backlog,
            records=records,
            journal=self.state.journal,
        )
        replies = None if segment.replies_path is None else ReplyLog(plan.salt)
        self.replies = self.replies if replies is None else replies
        sockets = Sockets(
            pool=self._pool, agenda=agenda, flows=self.flows, records=records, losses=losses
        )
        exchanges = Exchanges(
            operations=operations,
            pool=self._pool,
            source=source,
            flows=self.flows,
            backlog=backlog,
            records=records,
            losses=losses,
            sockets=sockets,
            journal=self.state.journal,
            keep_alive=plan.workload.keep_alive,
            replies=replies,
        )
        dialer = Dialer(
            pool=self._pool,
            agenda=agenda,
            backlog=backlog,
            losses=losses,
            timeout_s=plan.connect_timeout_s,
            on_ready=exchanges.ready,
        )
        loop = SegmentLoop(
            timer=plan.timer,
            late_after_s=plan.late_limit_s,
            epoll=self._epoll,
            pool=self._pool,
            source=source,
            agenda=agenda,
            backlog=backlog,
            records=records,
            losses=losses,
            exchanges=exchanges,
            sockets=sockets,
            dialer=dialer,
            control=self._control,
        )
        self._loop = loop
        opened_before = self._pool.opened
        handshakes_before = self._pool.handshakes, self._pool.handshakes_resumed
        if self._delays is not None:
            self._delays.forget()
        with no_collection():
            started_s = when()
            source.begin(started_s)
            meter = ProgressMeter(segment, records, started_s)
            meter.warm(started_s)

            def report(now: float) -> None:
                # A report takes 0.1 ms: better between two arrivals that leave time for it.
                latest_s = meter.reported_s + INTERVAL_S + LEEWAY_S
                if source.next_due - now < TAKES_S and now < latest_s:
                    agenda.at(min(source.next_due, latest_s), report)
                    return
                in_flight = self._pool.busy + len(sockets.waiting)
                on_progress(meter.report(now, source.taken, in_flight, len(backlog)))
                agenda.at(max(now, monotonic()) + INTERVAL_S, report)

            agenda.at(started_s + INTERVAL_S, report)
            try:
                loop.run(started_s + segment.duration_s, segment.drain_s)
            finally:
                self._loop = None
                self._pool.forget_timeouts()
        engine_cpu_s = meter.cpu_s()
        delays = (self._delays and self._delays.quantiles(0.5, 0.99)) or (None, None)
        rows = records.rows.since(0)
        codes, who = parted(rows["key"])
        keys = digests(codes, self.workload.keys.text, plan.salt)
        # No key is written so, and none shall seem to be an identity.
        identities = digests(who, lambda code: f"\0identity {code - 1}", plan.salt)
        result = SegmentResult(
            index=segment.index,
            started_s=started_s,
            ended_s=loop.ended_s,
            drained_s=loop.drained_s,
            arrivals=source.taken,
            done=len(rows) - records.without_reply,
            errors=records.failures.count,
            unfinished=records.failures.unfinished,
            skipped=exchanges.skipped,
            retried=losses.retried,
            connections_opened=self._pool.opened - opened_before,
            late=loop.late,
            engine_cpu_s=engine_cpu_s,
            engine_pid=os.getpid(),
            engine_nice=os.getpriority(os.PRIO_PROCESS, 0),
            stopped_early=loop.ended_s < started_s + segment.duration_s,
            first_errors=records.failures.first(),
            handshakes=self._pool.handshakes - handshakes_before[0],
            handshakes_resumed=self._pool.handshakes_resumed - handshakes_before[1],
            read_delay_p50_s=delays[0],
            read_delay_p99_s=delays[1],
        )
        found = columns(rows, segment.index, keys, identities, records.messages)
        number = found["connection"]  # unique among the processes; 0 is none
        number[number > 0] += part.index * CONNECTIONS_NUMBERED
        return result, found

    def write_replies(self, segment: Segment) -> None:
        """Write what was noted of the replies of that segment; raises `RecordingError`."""
        if segment.replies_path is not None and self.replies is not None:
            recording.write_table(
                segment.replies_path, REPLIES, self.replies.columns(segment.index)
            )

    def log_in(self, told: ToldLogins) -> None:
        """Log every identity in, if the workload says how.

        Raises `WouldNotRunError` with the first that could not and why.
        """
        if self.workload.login is not None:
            Logins(
                self.flows,
                self.sessions,
                lambda: SequentialClient(self.address, self.security),
            ).run(told)

    def begin_segment(self, index: int, process: int = 0) -> None:
        """Random numbers and tokens are those of that segment, and process, from now on."""
        self.state.begin_segment(index)
        self.workload.fills.begin_segment(index, process)

    def requests_of(self, operation: int, count: int) -> list[tuple[int, Made]]:
        """`count` requests of an operation, keys and identities drawn: of each its code, itself."""
        rng = stream_rng(self.plan.seed, operation, _PROBE_STREAM)
        mix = Mix(self.workload, [operation], [1.0], rng)
        _, codes, requests = mix.requests(mix.draw(count), 0, count)
        return list(zip(codes, requests, strict=True))

    def stop_segment(self) -> None:
        """End the arrivals of the running segment, if one is running."""
        if self._loop is not None:
            self._loop.stop(monotonic())

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._pool.by_fd.values()):
            self._pool.close(connection)
        self._epoll.close()

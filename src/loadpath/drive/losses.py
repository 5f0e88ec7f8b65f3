"""When there is no reply: connections lost, timeouts, what will not be sent; and sending again."""

from __future__ import annotations

import contextlib
import math
from typing import TypeAlias

from loadpath.drive.agenda import Agenda
from loadpath.drive.backlog import Backlog, LostRequest
from loadpath.drive.channels import GOING_AWAY, Line
from loadpath.drive.connections import Connection, Pool
from loadpath.drive.mix import Job
from loadpath.drive.operations import CompiledOperation
from loadpath.drive.records import Records
from loadpath.drive.requests import IDEMPOTENT
from loadpath.drive.sources import Source
from loadpath.drive.state import FlowRun
from loadpath.recording.schema import Blocked, RequestError

Why: TypeAlias = tuple[RequestError, str]
"""How a request failed, and that in words."""


class Losses:
    """Ends requests that have no reply. `retried` counts those sent a second time instead."""

    def __init__(
        self,
        *,
        operations: tuple[CompiledOperation, ...],
        pool: Pool,
        source: Source,
        agenda: Agenda,
        backlog: Backlog,
        records: Records,
    ) -> None:
        self._idempotent = [each.idempotent for each in operations]
        self.timeouts = [each.timeout_s for each in operations]
        self._pool = pool
        self._source = source
        self._agenda = agenda
        self._backlog = backlog
        self._records = records
        self.retried = 0

    def lost(self, connection: Connection, now: float, why: str, *, unsent: bool = False) -> None:
        """The connection is gone. What was on it is sent once more where that is safe, or failed.

        Safe: an idle connection turned out to be closed, no byte of the reply came, and the method
        is idempotent or nothing was sent (RFC 9110, section 9.2.2), as browsers do.
        """
        if not connection.busy:
            self._pool.close(connection)
            return
        stale = not connection.fresh and not connection.retried and connection.reader is None
        if stale and (unsent or self._may_repeat(connection)):
            self._pool.close(connection)
            self._backlog.lost.append(LostRequest.of(connection))
            self.retried += 1
        else:
            self.fail(connection, RequestError.RESET, why, now)

    def fail(self, connection: Connection, error: RequestError, why: str, now: float) -> None:
        """The request on a connection failed, and the connection is of no further use."""
        self._pool.close(connection)
        self._records.failed(connection, error, why)
        self.end(connection.job, connection.flow, now)

    def fail_waiting(self, error: RequestError, why: str, now: float, *, everything: bool) -> None:
        """Fail the first of what waits for a connection, or everything that does."""
        backlog = self._backlog
        while backlog.steps or backlog.arrivals:
            run = backlog.steps.popleft() if backlog.steps else None
            job = backlog.arrivals.popleft() if run is None else run.job
            self.fail_unsent(job, run, (error, why), now, backlog.why(job))
            if not everything:
                return

    def fail_unsent(
        self, job: Job, run: FlowRun | None, why: Why, now: float, blocked: int = Blocked.POOL
    ) -> None:
        """A request that was due will not be sent."""
        self._records.unsent(job, run, why, blocked)
        self.end(job, run, now)

    def fail_lost(self, lost: LostRequest, error: RequestError, why: str, now: float) -> None:
        """A request that was to be sent again will not be."""
        self._records.not_again(lost, error, why)
        self.end(lost.job, lost.flow, now)

    def end(self, job: Job, run: FlowRun | None, now: float) -> None:
        """An operation is over, its flow with all that it opened."""
        if run is not None:
            run.close()
            if run.line is not None:
                self._close_sockets(run.line)
        self._source.completed(job[0], now)

    def watch(self, connection: Connection, deadline: float) -> None:
        """Look at the connection at `deadline`: one entry a connection, however many requests."""
        connection.check_at = deadline
        self._agenda.at(deadline, lambda now: self._check(connection, deadline, now))

    def _check(self, connection: Connection, deadline: float, now: float) -> None:
        if connection.check_at != deadline:  # an earlier look was asked for since
            return
        connection.check_at = math.inf
        if connection.sock is None or not connection.busy:
            return
        timeout_s = self.timeouts[connection.job[1]]
        due = connection.sent_s + timeout_s
        if due <= now:
            self.fail(connection, RequestError.TIMEOUT, f"no whole reply in {timeout_s:g} s", now)
        else:
            self.watch(connection, due)

    def _may_repeat(self, connection: Connection) -> bool:
        run = connection.flow
        return self._idempotent[connection.job[1]] if run is None else run.method in IDEMPOTENT

    def _close_sockets(self, line: Line) -> None:
        """Close what a flow left open, with a word to the service and without waiting for its."""
        for channel in line.channels.values():
            connection = self._pool.of_channel(channel)
            if connection is not None:
                channel.say_goodbye(GOING_AWAY)
                with contextlib.suppress(OSError):
                    if len(channel.outgoing) == 1:  # else the kernel has no room for it
                        connection.send(channel.outgoing[0])
                self._pool.close(connection)
            channel.dispose()
        line.channels.clear()
        line.forget_opening()

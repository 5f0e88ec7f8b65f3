"""When there is no reply: connections lost, timeouts, what will not be sent; and sending again."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable
from typing import TypeAlias

from loadpath.drive.agenda import Agenda
from loadpath.drive.backlog import Backlog, LostRequest
from loadpath.drive.channels import GOING_AWAY, Line
from loadpath.drive.connections import Connection, Pool
from loadpath.drive.flows import STEPS_MAX
from loadpath.drive.journal import Journal
from loadpath.drive.mix import Job
from loadpath.drive.operations import CompiledOperation
from loadpath.drive.records import Records
from loadpath.drive.requests import IDEMPOTENT
from loadpath.drive.sources import Source
from loadpath.drive.state import FlowRun
from loadpath.recording.schema import Blocked, RequestError

RETRY_AFTER_S = 0.1
RETRY_SPREAD = 0.5
"""Before a request is sent a second time; doubled each time, and spread by so much of it."""

REFUSED = (RequestError.CONNECT, RequestError.TLS)

Why: TypeAlias = tuple[RequestError, str]
"""How a request failed, and that in words."""


class Losses:
    """Ends requests that have no reply, or sends them again.

    `retried` counts those that were sent a second time because an idle connection turned out to be
    closed; `pausing` are those that their flow wants sent again, until they are. `begin` advances
    an arrival to its first request, None: it makes none, and that is recorded.
    """

    begin: Callable[[Job, int], FlowRun | None]

    def __init__(
        self,
        *,
        operations: tuple[CompiledOperation, ...],
        pool: Pool,
        source: Source,
        agenda: Agenda,
        backlog: Backlog,
        records: Records,
        journal: Journal,
    ) -> None:
        self._idempotent = [each.idempotent for each in operations]
        self.timeouts = [each.timeout_s for each in operations]
        self._pool = pool
        self._source = source
        self._agenda = agenda
        self._backlog = backlog
        self._records = records
        self._journal = journal
        self._rng = random.Random(len(operations))
        self.retried = 0
        self.pausing: set[FlowRun] = set()

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
        run = connection.flow
        again = self.is_tried_again(run, error)
        self._records.failed(connection, error, why, again=again)
        self._end_or_try_again(connection.job, run, now, again=again)

    def is_tried_again(self, run: FlowRun | None, error: RequestError) -> bool:
        """Whether a flow wants its request, which failed so, to be sent again."""
        return (
            run is not None
            and run.tries < run.retries
            and error is not RequestError.UNFINISHED
            and run.line is None
            and run.step + 1 < STEPS_MAX
        )

    def try_again(self, run: FlowRun, now: float, *, replied: bool) -> None:
        """Send the request of a flow again after a pause, as a step of its own."""
        pause_s = (
            RETRY_AFTER_S * 2**run.tries * self._rng.uniform(1 - RETRY_SPREAD, 1 + RETRY_SPREAD)
        )
        run.tries += 1
        run.step += 1
        run.intended_s = now + pause_s
        self._journal.again(run, now, run.intended_s, replied=replied)
        self.pausing.add(run)
        self._agenda.at(run.intended_s, lambda _: self._resume(run))

    def _resume(self, run: FlowRun) -> None:
        if run in self.pausing:
            self.pausing.discard(run)
            self._backlog.steps.append(run)

    def give_up_pausing(self, why: str, now: float) -> None:
        """The segment is over: nothing is sent again."""
        for run in self.pausing:
            self.fail_unsent(run.job, run, (RequestError.UNFINISHED, why), now)
        self.pausing.clear()

    def fail_waiting(self, error: RequestError, why: str, now: float, *, everything: bool) -> None:
        """Fail the first of what waits for a connection, or everything that does.

        A flow that was refused is begun: it alone knows whether its request is to be sent again.
        """
        backlog = self._backlog
        while backlog.steps or backlog.arrivals:
            run = backlog.steps.popleft() if backlog.steps else None
            job = backlog.arrivals.popleft() if run is None else run.job
            blocked = backlog.why(job)
            if run is None and not isinstance(job[4], bytes) and error in REFUSED:
                run = self.begin(job, blocked)
                if run is None:
                    continue
            self.fail_unsent(job, run, (error, why), now, blocked)
            if not everything:
                return

    def fail_unsent(
        self, job: Job, run: FlowRun | None, why: Why, now: float, blocked: int = Blocked.POOL
    ) -> None:
        """A request that was due will not be sent."""
        again = self.is_tried_again(run, why[0])
        self._records.unsent(job, run, why, blocked, again=again)
        self._end_or_try_again(job, run, now, again=again)

    def fail_lost(self, lost: LostRequest, error: RequestError, why: str, now: float) -> None:
        """A request that was to be sent again will not be."""
        again = self.is_tried_again(lost.flow, error)
        self._records.not_again(lost, error, why, again=again)
        self._end_or_try_again(lost.job, lost.flow, now, again=again)

    def _end_or_try_again(self, job: Job, run: FlowRun | None, now: float, *, again: bool) -> None:
        if again and run is not None:
            self.try_again(run, now, replied=False)
        else:
            self.end(job, run, now)

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

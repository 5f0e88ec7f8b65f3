"""Every way a request can end, written as a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from loadpath.drive.backlog import LostRequest
from loadpath.drive.connections import Connection
from loadpath.drive.failures import Failures
from loadpath.drive.mix import Job
from loadpath.drive.operations import CompiledOperation
from loadpath.drive.redirects import RedirectError
from loadpath.drive.rows import RowBuffer
from loadpath.drive.state import FlowRun
from loadpath.flow import Reply
from loadpath.recording.schema import RequestError
from loadpath.wire.reply import START_BYTES

_NAN = math.nan
U4_MAX = (1 << 32) - 1
SWITCHED = 101


class StepAt(NamedTuple):
    """Which step it is that a row is about."""

    job: Job
    step: int
    intended_s: float
    key: int
    connection: int


class Records:
    """The rows of a segment and what failed first.

    `without_reply` counts rows of requests that had no whole reply, `never_sent` those among them
    that were not even sent.
    """

    def __init__(self, operations: Sequence[CompiledOperation]) -> None:
        self._expect = [each.expect for each in operations]
        self.rows = RowBuffer()
        self.failures = Failures(operations)
        # By number of row; not a field of it, which would cost every request.
        self.messages: dict[int, int] = {}
        self.without_reply = 0
        self.never_sent = 0

    def status_error(self, operation: int, status: int, start: bytes) -> int:
        """The error code of a declared request's status of 400 and above; `start` of its reply."""
        if status in self._expect[operation]:
            return 0
        self.failures.add_status(operation, status, start)
        return int(RequestError.STATUS)

    def step_error(self, run: FlowRun, reply: Reply) -> int:
        """The same for a step of a flow, which may expect more."""
        if reply.status in run.expect:
            return 0
        if reply.status in self._expect[run.job[1]]:
            return 0
        start = b"\r\n\r\n" + reply.body[:START_BYTES]
        self.failures.add_status(run.job[1], reply.status, start, _secrets(run))
        return int(RequestError.STATUS)

    def flow_error(self, run: FlowRun, raised: BaseException) -> int:
        """The error code of a flow that raised, or was redirected where it may not go."""
        error = RequestError.REDIRECT if isinstance(raised, RedirectError) else RequestError.FLOW
        self.failures.add_raised(run.job[1], error, raised, _secrets(run))
        return int(error)

    def never_began(self, run: FlowRun, raised: BaseException, blocked: int) -> None:
        """A flow raised before its first request."""
        self.never_sent += 1
        self._without_reply(run.job, run, self.flow_error(run, raised), blocked=blocked)

    def done(
        self, connection: Connection, now: float, status: int, *, size: int, start: bytes
    ) -> None:
        """A declared request has its whole reply, which begins with `start`."""
        flow, operation, due, key, _ = connection.job
        error = 0 if status < 400 else self.status_error(operation, status, start)
        self.rows.add(
            due,
            due,
            connection.sent_s,
            connection.first_s,
            now,
            key,
            flow,
            min(size, U4_MAX),
            connection.number,
            operation,
            status,
            0,
            True,
            connection.blocked,
            error,
        )

    def failed(
        self, connection: Connection, error: RequestError, detail: str, *, again: bool = False
    ) -> None:
        """The request on a connection will have no (whole) reply; `again`: it is sent again."""
        reader = connection.reader
        self._without_reply(
            connection.job,
            connection.flow,
            self._error(connection.job[1], error, detail, again=again),
            sent_s=connection.sent_s,
            first_s=_NAN if reader is None else connection.first_s,
            size=0 if reader is None else reader.received,
            status=0 if reader is None else reader.status,
            number=connection.number,
            blocked=connection.blocked,
            last=not again,
        )

    def failed_status(self, connection: Connection, now: float, status: int, size: int) -> None:
        """A step of a flow has a reply of 500 or above, and is sent again."""
        run = connection.flow
        assert run is not None
        flow, operation, origin_s, _, _ = run.job
        self.rows.add(
            origin_s,
            run.intended_s,
            connection.sent_s,
            connection.first_s,
            now,
            run.key,
            flow,
            min(size, U4_MAX),
            connection.number,
            operation,
            status,
            run.step,
            False,
            connection.blocked,
            int(RequestError.RETRIED),
        )

    def _error(self, operation: int, error: RequestError, detail: str, *, again: bool) -> int:
        if again:
            return int(RequestError.RETRIED)
        self.failures.add(operation, error, detail)
        return int(error)

    def handshake(
        self,
        at: StepAt,
        now: float,
        row: tuple[float, float, int],
        *,
        status: int,
        size: int,
        last: bool,
        error: int,
    ) -> None:
        """The request for a WebSocket has its reply; `row`: when sent, first byte, why late."""
        flow, operation, origin_s, _, _ = at.job
        sent_s, first_s, blocked = row
        self.rows.add(
            origin_s,
            at.intended_s,
            sent_s,
            first_s,
            now,
            at.key,
            flow,
            min(size, U4_MAX),
            at.connection,
            operation,
            status,
            at.step,
            last,
            blocked,
            error,
        )

    def socket_step(
        self,
        at: StepAt,
        now: float,
        *,
        sent_s: float = _NAN,
        messages: int = 0,
        size: int = 0,
        last: bool = False,
        error: int = 0,
    ) -> None:
        """A step on a WebSocket is over."""
        if messages:
            self.messages[len(self.rows)] = min(messages, U4_MAX)
        flow, operation, origin_s, _, _ = at.job
        self.rows.add(
            origin_s,
            at.intended_s,
            sent_s,
            now if messages else _NAN,
            now,
            at.key,
            flow,
            min(size, U4_MAX),
            at.connection,
            operation,
            SWITCHED,
            at.step,
            last,
            0,
            error,
        )

    def socket_failed(
        self, run: FlowRun, connection: int, error: RequestError, detail: str, size: int
    ) -> None:
        """A step on a WebSocket failed."""
        self.failures.add(run.job[1], error, detail)
        self._without_reply(run.job, run, int(error), size=size, status=SWITCHED, number=connection)

    def not_again(
        self, lost: LostRequest, error: RequestError, detail: str, *, again: bool = False
    ) -> None:
        """A request that lost its connection found no other one."""
        code = self._error(lost.job[1], error, detail, again=again)
        self._without_reply(
            lost.job, lost.flow, code, sent_s=lost.sent_s, blocked=lost.blocked, last=not again
        )

    def unsent(
        self,
        job: Job,
        run: FlowRun | None,
        why: tuple[RequestError, str],
        blocked: int,
        *,
        again: bool = False,
    ) -> None:
        """A request that was due will not be sent, or `again` later."""
        error, detail = why
        self.never_sent += 1
        code = self._error(job[1], error, detail, again=again)
        self._without_reply(job, run, code, blocked=blocked, last=not again)

    def _without_reply(
        self,
        job: Job,
        run: FlowRun | None,
        error: int,
        *,
        sent_s: float = _NAN,
        first_s: float = _NAN,
        size: int = 0,
        status: int = 0,
        number: int = 0,
        blocked: int = 0,
        last: bool = True,
    ) -> None:
        flow, operation, due, key, _ = job
        self.without_reply += 1
        self.rows.add(
            due,
            due if run is None else run.intended_s,
            sent_s,
            first_s,
            _NAN,
            key if run is None else run.key,
            flow,
            min(size, U4_MAX),
            number,
            operation,
            status,
            0 if run is None else run.step,
            last,
            blocked,
            error,
        )


def _secrets(run: FlowRun) -> Sequence[str]:
    """What its session holds, and must not be shown."""
    carried = run.carried
    return () if carried is None or carried.session is None else carried.session.secrets()

"""The WebSockets that flows hold open, and their steps on them: send, expect, count, close."""

from __future__ import annotations

import math
from collections.abc import Callable
from select import EPOLLOUT
from time import monotonic

from loadpath.drive.agenda import Agenda
from loadpath.drive.channels import Channel, Line
from loadpath.drive.connections import Connection, Pool
from loadpath.drive.flows import Flows, Outcome
from loadpath.drive.losses import Losses
from loadpath.drive.records import Records, StepAt
from loadpath.drive.socket_steps import Done, StepError, begin, end_count, looked_at
from loadpath.drive.state import FlowRun
from loadpath.flow import Count
from loadpath.recording.schema import RequestError

RECEIVE_BYTES = 64 * 1024


def _nobody(run: FlowRun) -> None:
    raise AssertionError("nobody sends the requests of flows")


class Sockets:
    """Holds WebSockets. `waiting` are the flows whose step on one is not over.

    `on_request` is given a flow that goes on with a request.
    """

    def __init__(
        self, *, pool: Pool, agenda: Agenda, flows: Flows, records: Records, losses: Losses
    ) -> None:
        self._pool = pool
        self._agenda = agenda
        self._flows = flows
        self._records = records
        self._losses = losses
        self.waiting: dict[FlowRun, Line] = {}
        self.on_request: Callable[[FlowRun], None] = _nobody

    def hold(self, connection: Connection, run: FlowRun, channel: Channel) -> None:
        """The handshake is over: from now on the connection is a WebSocket of that flow."""
        line = run.line
        assert line is not None
        line.opening = None
        line.channels[channel.socket] = channel
        self._pool.hold(connection, channel)
        self._flush(connection, channel)

    def go_on(self, run: FlowRun, outcome: Outcome, now: float) -> None:
        """A step is over and recorded: the next one, or the end."""
        if outcome is Outcome.SOCKET:
            self.take(run, now)
        elif outcome is Outcome.REQUEST:
            self.on_request(run)
        else:
            self._losses.end(run.job, run, now)

    def take(self, run: FlowRun, now: float) -> None:
        """Begin the step that a flow is at; and those after it, as long as none has to wait."""
        outcome: Outcome | None = Outcome.SOCKET
        while outcome is Outcome.SOCKET:
            line = run.line
            assert line is not None
            outcome = self._look(run, line, now, beginning=True)
        if outcome is not None:
            self.go_on(run, outcome, now)

    def on_event(self, connection: Connection, event: int, now: float) -> None:
        """A WebSocket has bytes, its end, or room for what was not sent."""
        channel, run = connection.channel, connection.flow
        assert channel is not None and run is not None
        if event & ~EPOLLOUT:
            try:
                data = connection.recv(RECEIVE_BYTES)
                now = monotonic()  # it may have come later than the loop was told of something
                channel.feed(data, now)
            except BlockingIOError:
                pass
            except OSError as error:
                channel.end(RequestError.RESET, (error.strerror or str(error)).lower())
        self._flush(connection, channel)
        line = self.waiting.get(run)
        if line is None:
            return
        outcome = self._look(run, line, now)
        if outcome is not None:
            self.go_on(run, outcome, now)

    def give_up(self, why: str, now: float) -> None:
        """The drain is over: what was counted so far is the number, all else is unfinished."""
        for run, line in list(self.waiting.items()):
            if isinstance(line.step, Count):
                self._over(run, line, end_count(line, now), last=True)
                self._losses.end(run.job, run, now)
            else:
                self._fail(run, line, RequestError.UNFINISHED, why, now)

    # One step

    def _look(
        self, run: FlowRun, line: Line, now: float, *, beginning: bool = False
    ) -> Outcome | None:
        """What comes after the step; None while it is waited for, and when it failed."""
        try:
            if beginning:
                begin(line, run.intended_s, self._losses.timeouts[run.job[1]])
                now = self._flush_all(line, now)
            done = looked_at(line, now)
        except StepError as failed:
            self._fail(run, line, failed.error, failed.words, now)
            return None
        except Exception as error:  # noqa: BLE001  what a flow accepts is code of its own
            run.error = error
            failure = self._records.flow_error(run, error)
            self._over(run, line, Done(0, now), last=True, error=failure)
            self._losses.end(run.job, run, now)
            return None
        self._resume(line)
        if done is None:
            self.waiting[run] = line
            self._watch(run, line)
            return None
        return self._advance(run, line, done)

    def _advance(self, run: FlowRun, line: Line, done: Done) -> Outcome:
        self.waiting.pop(run, None)
        step, at = line.step, self._at(run, line)
        assert step is not None
        messages, size = _taken(line)
        intended_s = run.intended_s if done.since_s is None else done.since_s
        outcome = self._flows.advance(run, done.value)
        last = outcome is Outcome.ENDED or outcome is Outcome.RAISED
        error = 0 if run.error is None else self._records.flow_error(run, run.error)
        self._records.socket_step(
            at._replace(intended_s=intended_s),
            done.at_s,
            sent_s=done.sent_s,
            messages=messages,
            size=size,
            last=last,
            error=error,
        )
        run.intended_s = max(done.at_s, line.began_s)
        return outcome

    def _over(self, run: FlowRun, line: Line, done: Done, *, last: bool, error: int = 0) -> None:
        """Record a step that its flow hears nothing of."""
        self.waiting.pop(run, None)
        messages, size = _taken(line)
        self._records.socket_step(
            self._at(run, line), done.at_s, messages=messages, size=size, last=last, error=error
        )

    def _fail(self, run: FlowRun, line: Line, error: RequestError, why: str, now: float) -> None:
        self.waiting.pop(run, None)
        _, size = _taken(line)
        at = self._at(run, line)
        self._records.socket_failed(run, at.connection, error, why, size)
        self._losses.end(run.job, run, now)

    def _at(self, run: FlowRun, line: Line) -> StepAt:
        assert line.step is not None
        number = line.of(line.step)[0].number
        return StepAt(run.job, run.step, run.intended_s, run.key, number)

    # Time

    def _watch(self, run: FlowRun, line: Line) -> None:
        """One entry a flow, however many steps: a later deadline is seen when that one comes."""
        deadline = line.deadline_s
        if deadline < line.check_at:
            line.check_at = deadline
            self._agenda.at(deadline, lambda now: self._check(run, line, deadline, now))

    def _check(self, run: FlowRun, line: Line, deadline: float, now: float) -> None:
        if line.check_at != deadline:  # an earlier look was asked for since
            return
        line.check_at = math.inf
        if run not in self.waiting:
            return
        outcome = self._look(run, line, now)
        if outcome is not None:
            self.go_on(run, outcome, now)

    # Bytes

    def _flush(self, connection: Connection, channel: Channel) -> None:
        """Write what the kernel takes, see to what is to be told, and close what is over."""
        channel.collect()
        outgoing = channel.outgoing
        try:
            while outgoing:
                sent = connection.send(outgoing[0])
                if sent < len(outgoing[0]):
                    outgoing[0] = outgoing[0][sent:]
                else:
                    outgoing.popleft()
        except BlockingIOError:
            pass
        except OSError as error:
            channel.end(RequestError.RESET, (error.strerror or str(error)).lower())
        if channel.over is not None:
            self._pool.close(connection)
            return
        paused, writing = channel.full, bool(outgoing)
        if paused is not channel.paused or writing is not channel.writing:
            channel.paused, channel.writing = paused, writing
            self._pool.listen(connection)

    def _flush_all(self, line: Line, now: float) -> float:
        """Write what a step has begun to send; the time at which that was done."""
        assert line.step is not None
        for channel in line.of(line.step):
            connection = self._pool.of_channel(channel) if channel.outgoing else None
            if connection is not None:
                self._flush(connection, channel)
                now = monotonic()
        return now

    def _resume(self, line: Line) -> None:
        """Read on where a flow has taken what was too much."""
        assert line.step is not None
        for channel in line.of(line.step):
            if channel.paused and not channel.full:
                connection = self._pool.of_channel(channel)
                if connection is not None:
                    channel.paused = False
                    self._pool.listen(connection)


def _taken(line: Line) -> tuple[int, int]:
    """Messages that the step took, and the bytes in them."""
    assert line.step is not None
    channels = line.of(line.step)
    return sum(each.taken for each in channels), sum(each.taken_bytes for each in channels)

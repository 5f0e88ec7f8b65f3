"""One request on one connection: sent, replied to, recorded; and the next step or request on it."""

from __future__ import annotations

from time import monotonic

from loadpath.drive.backlog import Backlog, LostRequest
from loadpath.drive.connections import Connection, Pool
from loadpath.drive.flows import Flows, Outcome
from loadpath.drive.http import FramingError, ReplyReader
from loadpath.drive.losses import Losses
from loadpath.drive.mix import Job
from loadpath.drive.operations import CompiledOperation
from loadpath.drive.records import U4_MAX, Records
from loadpath.drive.sources import Source
from loadpath.drive.state import FlowRun
from loadpath.flow import Reply
from loadpath.recording.schema import Blocked, RequestError

RECEIVE_BYTES = 64 * 1024
FLOW_BODY_BYTES_MAX = 16 * 1024 * 1024
SPIN_GUARD_S = 0.001  # a user without think time whose flow makes no request tries again after it


class Exchanges:
    """Carries requests over connections. `skipped` counts flows that made no request."""

    def __init__(
        self,
        *,
        operations: tuple[CompiledOperation, ...],
        pool: Pool,
        source: Source,
        flows: Flows,
        backlog: Backlog,
        records: Records,
        losses: Losses,
        keep_alive: bool = True,
    ) -> None:
        self._to_head = [each.to_head for each in operations]
        self._timeouts = losses.timeouts
        self._pool = pool
        self._source = source
        self._flows = flows
        self._backlog = backlog
        self._records = records
        self._add_row = records.rows.add
        self._losses = losses
        self._keep_alive = keep_alive
        self.skipped = 0

    # Sending

    def start(self, connection: Connection, job: Job, blocked: int) -> bool:
        """Send the first request of an arrival. False: it made none, the connection is free."""
        payload = job[4]
        if not isinstance(payload, bytes):
            return self._start_flow(connection, job, blocked)
        connection.job = job
        connection.blocked = blocked
        connection.busy = True
        connection.quick = self._keep_alive and not self._to_head[job[1]]
        self._put(connection, payload)
        return True

    def serve(self, connection: Connection) -> None:
        """Give a free connection what waits for one, or let it idle."""
        backlog = self._backlog
        while True:
            if backlog.steps:
                self._send_step(connection, backlog.steps.popleft(), Blocked.POOL)
                return
            if not backlog.arrivals:
                break
            job = backlog.arrivals.popleft()
            if self.start(connection, job, backlog.why(job)):
                return
        connection.busy = False
        connection.quick = False
        self._pool.idle[connection] = None

    def ready(self, connection: Connection, lost: LostRequest | None) -> None:
        """A new connection stands. It serves what waits, or sends again what another lost."""
        if lost is None:
            self.serve(connection)
            return
        connection.retried = True
        if lost.flow is not None:
            self._send_step(connection, lost.flow, lost.blocked)
        else:
            self.start(connection, lost.job, lost.blocked)
        connection.sent_s = lost.sent_s  # the user has waited since then

    def _send_step(self, connection: Connection, run: FlowRun, blocked: int) -> None:
        connection.job = run.job
        connection.flow = run
        connection.blocked = blocked
        connection.busy = True
        connection.quick = self._keep_alive and run.method != "HEAD"
        self._put(connection, run.payload)

    def _put(self, connection: Connection, payload: bytes) -> None:
        now = monotonic()
        connection.sent_s = now
        deadline = now + self._timeouts[connection.job[1]]
        if deadline < connection.check_at:
            self._losses.watch(connection, deadline)
        try:
            sent = connection.send(payload)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._losses.lost(connection, now, words(error), unsent=True)
            return
        if sent != len(payload):
            connection.outgoing = memoryview(payload)[sent:]
            connection.quick = False  # a reply before the whole request ends the connection
            self._pool.want_to_write(connection, True)

    def writable(self, connection: Connection, now: float) -> None:
        """The connection takes more of a request that it did not take whole."""
        outgoing = connection.outgoing
        if outgoing is None:
            return
        try:
            sent = connection.send(outgoing)
        except BlockingIOError:
            return
        except OSError as error:
            self._losses.lost(connection, now, words(error))
            return
        connection.outgoing = outgoing[sent:] if sent < len(outgoing) else None
        if connection.outgoing is None:
            self._pool.want_to_write(connection, False)

    # Receiving

    def readable(self, connection: Connection, now: float) -> None:
        """Something came on a connection: bytes, its end, or word that it broke."""
        try:
            data = connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._losses.lost(connection, now, words(error))
            return
        self.received(connection, data, now)

    def received(self, connection: Connection, data: bytes, now: float) -> None:
        """Bytes came, or the end of them (none)."""
        reader = connection.reader
        if reader is None:
            if not connection.busy or not data:
                self._losses.lost(connection, now, "the connection was closed without a reply")
                return
            reader = self._new_reader(connection, now)
        try:
            whole = reader.feed(data) if data else reader.end()
        except FramingError as error:
            self._losses.fail(connection, RequestError.PROTOCOL, str(error), now)
            return
        if whole:
            connection.reader = None
            reader.reusable = reader.reusable and self._keep_alive
            self._replied(connection, reader, now)
        elif not data:
            self._losses.lost(connection, now, "the connection was closed within the reply")

    def _new_reader(self, connection: Connection, now: float) -> ReplyReader:
        run = connection.flow
        to_head = self._to_head[connection.job[1]] if run is None else run.method == "HEAD"
        keep = 0 if run is None or run.generator is None else FLOW_BODY_BYTES_MAX
        connection.reader = ReplyReader(to_head_request=to_head, keep_body_max=keep)
        connection.first_s = now
        connection.quick = False
        return connection.reader

    def _replied(self, connection: Connection, reader: ReplyReader, now: float) -> None:
        if connection.flow is not None:
            declared = connection.flow.generator is None  # nobody reads what it is sent
            body = reader.start.partition(b"\r\n\r\n")[2] if declared else reader.body
            reply = Reply(reader.status, body, reader.head)
            self.advance(connection, reply, now, size=reader.received, reusable=reader.reusable)
            return
        self._records.done(connection, now, reader.status, size=reader.received, start=reader.start)
        self._source.completed(connection.job[0], now)
        self.finished(connection, reader.reusable)

    def finished(self, connection: Connection, reusable: bool) -> None:
        """The reply is in and recorded: the connection is free, or of no further use."""
        connection.fresh = False
        connection.retried = False
        if reusable and connection.outgoing is None:
            self.serve(connection)
        else:
            self._pool.close(connection)

    # Flows

    def _start_flow(self, connection: Connection, job: Job, blocked: int) -> bool:
        run, outcome = self._flows.start(job)
        if outcome is Outcome.REQUEST:
            self._send_step(connection, run, blocked)
            return True
        then = monotonic() + SPIN_GUARD_S
        if run.error is not None:
            self._records.never_began(run, run.error, blocked)
        else:
            self.skipped += 1
        self._source.completed(job[0], then)
        return False

    def advance(
        self, connection: Connection, reply: Reply, now: float, *, size: int, reusable: bool
    ) -> None:
        """A step of a flow has its reply: run the flow on, record the step, send the next."""
        run = connection.flow
        assert run is not None
        status = reply.status
        error = 0
        if status >= 400 and not self._flows.renews(run, reply):
            error = self._records.step_error(run, reply)
        step, intended_s, key = run.step, run.intended_s, run.key
        last = self._flows.advance(run, reply) is not Outcome.REQUEST
        if run.error is not None and not error:
            error = self._records.flow_error(run, run.error)
        flow, operation, origin_s, _, _ = run.job
        self._add_row(
            origin_s,
            intended_s,
            connection.sent_s,
            connection.first_s,
            now,
            key,
            flow,
            size if size < U4_MAX else U4_MAX,
            connection.number,
            operation,
            status,
            step,
            last,
            connection.blocked,
            error,
        )
        if not last and reusable and connection.outgoing is None:
            run.intended_s = now
            connection.fresh = False
            connection.retried = False
            self._send_step(connection, run, Blocked.NOT)
            return
        if last:
            self._source.completed(run.job[0], now)
        else:
            run.intended_s = now
            self._backlog.steps.append(run)
        connection.flow = None
        self.finished(connection, reusable)


def words(error: OSError) -> str:
    """What the system says went wrong."""
    return (error.strerror or str(error)).lower()

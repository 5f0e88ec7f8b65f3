"""One request on one connection: sent, replied to, recorded; and the next step or request on it."""

from __future__ import annotations

from hashlib import blake2b
from time import monotonic

from loadpath.drive.backlog import Backlog, LostRequest
from loadpath.drive.channels import Channel, HandshakeError
from loadpath.drive.connections import Connection, Pool
from loadpath.drive.flows import Flows, Outcome
from loadpath.drive.journal import Journal
from loadpath.drive.losses import Losses
from loadpath.drive.mix import Job
from loadpath.drive.operations import CompiledOperation
from loadpath.drive.records import SWITCHED, U4_MAX, Records, StepAt
from loadpath.drive.replies import ReplyLog
from loadpath.drive.sockets import Sockets
from loadpath.drive.sources import Source
from loadpath.drive.state import FlowRun
from loadpath.flow import Reply, Socket
from loadpath.recording.schema import Blocked, RequestError
from loadpath.wire.reply import FramingError, ReplyReader

RECEIVE_BYTES = 64 * 1024
FLOW_BODY_BYTES_MAX = 16 * 1024 * 1024
UNSURE = (408, 429)
"""Statuses below 500 by which a service does not say whether something is there."""

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
        sockets: Sockets,
        journal: Journal,
        keep_alive: bool = True,
        replies: ReplyLog | None = None,
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
        self._sockets = sockets
        sockets.on_request = self._next_request
        losses.begin = self._begin
        self._journal = journal
        self._keep_alive = keep_alive
        # Whoever wants every reply's digest wants each of them read.
        self._quick = keep_alive and replies is None
        self._replies = replies
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
        connection.quick = self._quick and not self._to_head[job[1]]
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
        connection.quick = self._quick and run.method != "HEAD" and run.line is None
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
        upgrade = run is not None and run.handshake is not None
        connection.reader = ReplyReader(
            to_head_request=to_head,
            keep_body_max=keep,
            upgrade=upgrade,
            hasher=None if self._replies is None else self._replies.hasher(),
        )
        connection.first_s = now
        connection.quick = False
        return connection.reader

    def _replied(self, connection: Connection, reader: ReplyReader, now: float) -> None:
        run = connection.flow
        if run is not None:
            if run.handshake is not None:
                self._answered(connection, run, run.handshake, reader, now)
                return
            if self._replies is not None:
                self._note(self._replies, connection, reader, run.payload, run.key, now)
            declared = run.generator is None  # nobody reads what it is sent
            body = reader.start.partition(b"\r\n\r\n")[2] if declared else reader.body
            reply = Reply(reader.status, body, reader.head)
            self.advance(connection, reply, now, size=reader.received, reusable=reader.reusable)
            return
        if self._replies is not None:
            job = connection.job
            assert isinstance(job[4], bytes)
            self._note(self._replies, connection, reader, job[4], job[3], now)
        self._records.done(connection, now, reader.status, size=reader.received, start=reader.start)
        self._source.completed(connection.job[0], now)
        self.finished(connection, reader.reusable)

    def _note(
        self,
        replies: ReplyLog,
        connection: Connection,
        reader: ReplyReader,
        payload: bytes,
        code: int,
        now: float,
    ) -> None:
        hasher = reader.hasher
        assert isinstance(hasher, blake2b)
        replies.note(
            connection.job[1],
            code,
            payload,
            connection.sent_s,
            now,
            reader.status,
            reader.head,
            hasher,
            reader.received - len(reader.head),
        )

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
        run = self._begin(job, blocked)
        if run is None:
            return False
        self._send_step(connection, run, blocked)
        return True

    def _begin(self, job: Job, blocked: int) -> FlowRun | None:
        """A flow at its first request; None: it made none, which is recorded."""
        run, outcome = self._flows.start(job)
        if outcome is Outcome.REQUEST:
            return run
        then = monotonic() + SPIN_GUARD_S
        if run.error is not None:
            self._records.never_began(run, run.error, blocked)
        else:
            self.skipped += 1
        self._source.completed(job[0], then)
        return None

    def advance(
        self, connection: Connection, reply: Reply, now: float, *, size: int, reusable: bool
    ) -> None:
        """A step of a flow has its reply: run the flow on, record the step, send the next."""
        run = connection.flow
        assert run is not None
        status = reply.status
        error = 0
        if status >= 400:
            if status >= 500 and self._losses.is_tried_again(run, RequestError.STATUS):
                self._records.failed_status(connection, now, status, size)
                connection.flow = None
                self._losses.try_again(run, now, replied=True)
                self.finished(connection, reusable)
                return
            run.unsure = run.unsure or status in UNSURE or status >= 500
            if not self._flows.renews(run, reply):
                error = self._records.step_error(run, reply)
        step, intended_s, key = run.step, run.intended_s, run.key
        outcome = self._flows.advance(run, reply)
        last = outcome is Outcome.ENDED or outcome is Outcome.RAISED
        if run.error is not None and not error:
            error = self._records.flow_error(run, run.error)
        if outcome is Outcome.ENDED:
            if run.attempts is not None:
                self._journal.ended(run, status, now)
            elif run.reading is not None and not run.unsure:
                self._journal.saw(run.reading, run.job[2], now, bool(run.returned))
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
        if outcome is Outcome.REQUEST and reusable and connection.outgoing is None:
            run.intended_s = now
            connection.fresh = False
            connection.retried = False
            self._send_step(connection, run, Blocked.NOT)
            return
        connection.flow = None
        if last:
            if run.line is not None:
                self._losses.end(run.job, run, now)
            else:
                self._source.completed(run.job[0], now)
        else:
            run.intended_s = now
            if outcome is Outcome.REQUEST:
                self._backlog.steps.append(run)
        self.finished(connection, reusable)
        if outcome is Outcome.SOCKET:
            self._sockets.take(run, now)

    # WebSockets

    def _answered(
        self,
        connection: Connection,
        run: FlowRun,
        channel: Channel,
        reader: ReplyReader,
        now: float,
    ) -> None:
        """The handshake of a WebSocket has its reply."""
        assert run.line is not None
        status, error = reader.status, 0
        if status == SWITCHED:
            try:
                socket = channel.open(reader.head, reader.rest, monotonic())
            except HandshakeError as wrong:
                self._not_a_socket(connection, reader, str(wrong), now)
                return
        else:
            socket = Socket(status, reader.body, reader.head)
            if status < 400:
                why = f"expected 101 Switching Protocols, got {status}"
                self._not_a_socket(connection, reader, why, now)
                return
            if not self._flows.renews(run, socket):
                error = self._records.step_error(run, socket)
        at = StepAt(run.job, run.step, run.intended_s, run.key, connection.number)
        row = (connection.sent_s, connection.first_s, connection.blocked)
        if status == SWITCHED:
            self._sockets.hold(connection, run, channel)
        outcome = Outcome.ENDED if error else self._flows.advance(run, socket)
        if run.error is not None:
            error = self._records.flow_error(run, run.error)
        last = outcome is Outcome.ENDED or outcome is Outcome.RAISED
        self._records.handshake(
            at, now, row, status=status, size=reader.received, last=last, error=error
        )
        run.intended_s = now
        if status != SWITCHED:
            connection.flow = None
            self.finished(connection, reader.reusable)
        self._sockets.go_on(run, outcome, now)

    def _not_a_socket(
        self, connection: Connection, reader: ReplyReader, why: str, now: float
    ) -> None:
        connection.reader = reader  # of which the row tells
        self._losses.fail(connection, RequestError.PROTOCOL, why, now)

    def _next_request(self, run: FlowRun) -> None:
        """A flow goes on with a request, and its last step left it no connection."""
        idle = self._pool.idle
        if idle:
            self._send_step(idle.popitem()[0], run, Blocked.NOT)
        else:
            self._backlog.steps.append(run)


def words(error: OSError) -> str:
    """What the system says went wrong."""
    return (error.strerror or str(error)).lower()

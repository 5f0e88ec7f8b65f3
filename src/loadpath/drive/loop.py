"""The event loop of one segment: arrivals when they are due, replies as they come.

What runs for every request is written out here, in one function each way; all that is rarer is in
the objects it calls.
"""

from __future__ import annotations

import gc
import math
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from loadpath.drive.agenda import Agenda
from loadpath.drive.backlog import Backlog
from loadpath.drive.connections import Pool
from loadpath.drive.dialer import Dialer
from loadpath.drive.exchanges import RECEIVE_BYTES, Exchanges, words
from loadpath.drive.heads import Heads
from loadpath.drive.losses import Losses
from loadpath.drive.plan import TimerMode
from loadpath.drive.records import Records
from loadpath.drive.sockets import Sockets
from loadpath.drive.sources import Source
from loadpath.flow import Reply
from loadpath.recording.schema import Blocked, RequestError

EVENTS_AT_ONCE = 32  # between two looks at what is due: 32 replies take some 0.2 ms
_COARSE_S = 0.02  # longer waits than this may leave the last milliseconds to a second, exact wait
_WAIT_MAX_S = 10.0

_IN = select.EPOLLIN
_OUT = select.EPOLLOUT


@contextmanager
def no_collection() -> Iterator[None]:
    """Within the block the cyclic collector is off: a pause would be a late arrival, and what the
    loop makes has no cycles. It collects once before, which takes long where there is much: so it
    is to be entered before it is settled when the schedule starts."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


class SegmentLoop:
    """Runs arrivals of `source` against `pool` until `ended_s`, then drains."""

    def __init__(
        self,
        *,
        timer: TimerMode,
        late_after_s: float,
        epoll: select.epoll,
        pool: Pool,
        source: Source,
        agenda: Agenda,
        backlog: Backlog,
        records: Records,
        losses: Losses,
        exchanges: Exchanges,
        sockets: Sockets,
        dialer: Dialer,
        control: dict[int, Callable[[], None]],
    ) -> None:
        self._exact = timer == "us"
        self._late_after_s = late_after_s
        self._epoll = epoll
        self._pool = pool
        self._source = source
        self._agenda = agenda
        self._backlog = backlog
        self._records = records
        self._losses = losses
        self._exchanges = exchanges
        self._sockets = sockets
        self._dialer = dialer
        self._control = control
        self._heads = Heads()
        self._drain_s = 0.0
        self._over = False
        self.late = 0
        self.ended_s = math.nan
        self.drained_s = math.nan

    def run(self, end_s: float, drain_s: float) -> None:
        """Run until `end_s` and the drain after it."""
        self._drain_s = drain_s
        self._agenda.at(end_s, self.stop)
        self._turn()

    def stop(self, now: float) -> None:
        """No further arrivals; replies are waited for until the drain is over."""
        if not math.isnan(self.ended_s):
            return
        self.ended_s = now
        self._source.stop()
        self._agenda.at(now + self._drain_s, self._give_up)
        self._see_whether_drained(now)

    def _turn(self) -> None:
        """Arrivals, timed things, connections, replies; and again."""
        source, agenda, backlog = self._source, self._agenda, self._backlog
        dialer = self._dialer
        now = monotonic()
        busy = False
        while not self._is_over():
            if source.next_due <= now:
                self._send_due(now)
            if agenda.next_at <= now:
                agenda.run(now)
                if self._is_over():
                    break
            if backlog.arrivals or backlog.steps or backlog.lost:
                dialer.dial(now)
            source.prepare(now)
            events = self._wait(busy, min(source.next_due, agenda.next_at))
            now = monotonic()
            if events:
                self._receive(events, now)
                busy = len(events) > 1
            else:
                busy = False
            if self.ended_s <= now:
                self._see_whether_drained(now)

    def _is_over(self) -> bool:
        return self._over

    def _wait(self, busy: bool, until: float) -> list[tuple[int, int]]:
        """Events, or none when `until` has come.

        The timeout of an epoll wait counts milliseconds, that of `select` microseconds; so the last
        of a wait is a select on the epoll descriptor itself.
        """
        poll = self._epoll.poll
        if busy:  # then there are probably more, and asking costs less than a timer
            events = poll(0, EVENTS_AT_ONCE)
            if events:
                return events
        left = min(until - monotonic(), _WAIT_MAX_S)
        if left <= 0:
            return poll(0, EVENTS_AT_ONCE)
        if not self._exact:
            return poll(left, EVENTS_AT_ONCE)
        if left > _COARSE_S:
            return poll(left - 0.002, EVENTS_AT_ONCE)
        if select.select((self._epoll,), (), (), left)[0]:
            return poll(0, EVENTS_AT_ONCE)
        return []

    def _send_due(self, now: float) -> None:
        """Send what is due, or let it wait for a connection."""
        source, idle = self._source, self._pool.idle
        start = self._exchanges.start
        late_before = now - self._late_after_s
        while source.next_due <= now:
            job = source.take()
            if job[2] < late_before:
                self.late += 1
                if not idle:
                    self._backlog.late.add(job[0])
            if idle:
                connection = idle.popitem()[0]
                blocked = Blocked.ENGINE if job[2] < late_before else Blocked.NOT
                if not start(connection, job, blocked):
                    idle[connection] = None
            else:
                self._backlog.arrivals.append(job)

    def _receive(self, events: list[tuple[int, int]], now: float) -> None:
        """Take replies that came whole and in one piece; leave all others to the exchanges."""
        by_fd = self._pool.by_fd
        heads, exchanges = self._heads, self._exchanges
        known = heads.known
        add = self._records.rows.add
        completed = self._source.completed
        arrivals, steps, idle = self._backlog.arrivals, self._backlog.steps, self._pool.idle
        for fd, event in events:
            connection = by_fd.get(fd)
            if connection is None:
                self._on_control(fd)
                continue
            if event != _IN or not connection.quick:
                self._on_event(fd, event, now)
                continue
            try:
                data = connection.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                self._losses.lost(connection, now, words(error))
                continue
            found = known.get(data[: heads.guess]) or heads.learn(data)
            if found is None or found[1] != len(data):
                exchanges.received(connection, data, now)
                continue
            status, size = found
            if connection.flow is not None:
                connection.first_s = now
                reply = Reply(status, data[heads.guess :], data[: heads.guess])
                exchanges.advance(connection, reply, now, size=size, reusable=True)
                continue
            flow, operation, due, key, _ = connection.job
            error_code = 0
            if status >= 400:
                error_code = self._records.status_error(operation, status, data)
            add(
                due,
                due,
                connection.sent_s,
                now,
                now,
                key,
                flow,
                size,
                connection.number,
                operation,
                status,
                0,
                True,
                connection.blocked,
                error_code,
            )
            completed(flow, now)
            connection.fresh = connection.retried = False
            if arrivals or steps:
                exchanges.serve(connection)
            else:
                connection.busy = connection.quick = False
                idle[connection] = None

    def _on_event(self, fd: int, event: int, now: float) -> None:
        connection = self._pool.by_fd[fd]
        if connection.channel is not None:
            self._sockets.on_event(connection, event, now)
            return
        if connection.connecting:
            self._dialer.on_event(connection, event, now)
            return
        if event & _OUT:
            self._exchanges.writable(connection, now)
        if event & ~_OUT and connection.sock is not None:
            self._exchanges.readable(connection, now)

    def _on_control(self, fd: int) -> None:
        heard = self._control.get(fd)
        if heard is not None:  # else a connection that was closed since
            heard()

    # The end

    def _see_whether_drained(self, now: float) -> None:
        pool, sockets = self._pool, self._sockets
        pausing = self._losses.pausing
        if not (pool.busy or self._backlog or self._dialer.resending or sockets.waiting or pausing):
            self._finish(now)

    def _give_up(self, now: float) -> None:
        """The drain is over: whatever has no reply is unfinished."""
        why = f"no reply when the segment was over, {self._drain_s:g} s after its last arrival"
        for connection in [each for each in self._pool.by_fd.values() if each.busy]:
            self._losses.fail(connection, RequestError.UNFINISHED, why, now)
        self._losses.give_up_pausing(why, now)
        self._sockets.give_up(why, now)
        self._dialer.give_up(now)
        self._losses.fail_waiting(RequestError.UNFINISHED, why, now, everything=True)
        self._finish(now)

    def _finish(self, now: float) -> None:
        self._over = True
        self.drained_s = now
        for connection in [each for each in self._pool.by_fd.values() if each.connecting]:
            self._pool.close(connection)

"""Opening connections for what waits: as many as are needed, and patiently when refused."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable

from loadpath.drive.agenda import Agenda
from loadpath.drive.backlog import Backlog, LostRequest
from loadpath.drive.connections import Connection, Pool
from loadpath.drive.losses import Losses
from loadpath.recording.schema import RequestError
from loadpath.spec.tls import tls_words

AT_ONCE = 4  # connections begun per turn of the loop: each takes some 40 µs


class Dialer:
    """Opens connections while something waits.

    A request is not tied to the connection opened for it: whichever comes free first takes it. A
    refused connection fails the first of what waits; and all of it when there is no connection at
    all, for each would be refused the same. Then the next attempt waits out the pool's back-off.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        agenda: Agenda,
        backlog: Backlog,
        losses: Losses,
        timeout_s: float,
        on_ready: Callable[[Connection, LostRequest | None], None],
    ) -> None:
        self._pool = pool
        self._agenda = agenda
        self._backlog = backlog
        self._losses = losses
        self._timeout_s = timeout_s
        self._on_ready = on_ready
        self._resends: dict[Connection, LostRequest] = {}

    @property
    def resending(self) -> int:
        """Requests whose second connection is being opened."""
        return len(self._resends)

    def dial(self, now: float) -> None:
        """Open connections for what waits, as far as the limit and the back-off allow."""
        pool, backlog = self._pool, self._backlog
        if now < pool.retry_at:
            return
        room = min(pool.room, AT_ONCE)
        if pool.failures:
            room = min(room, 1 - pool.connecting)
        while room > 0 and backlog.lost:
            lost = backlog.lost.popleft()
            if not self._open(now, lost):
                return
            room -= 1
        shared = pool.connecting - len(self._resends)
        for _ in range(min(room, len(backlog.arrivals) + len(backlog.steps) - shared)):
            if not self._open(now, None):
                return

    def on_event(self, connection: Connection, event: int, now: float) -> None:
        """A connection that was being opened stands, or was refused."""
        sock = connection.sock
        if sock is None:
            return
        if connection.stream is None:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._failed(connection, RequestError.CONNECT, os.strerror(code).lower(), now)
                return
            if not event & select.EPOLLOUT:
                return
        try:
            if not self._pool.go_on(connection):
                return
        except BlockingIOError:
            return
        except OSError as error:
            self._failed(connection, RequestError.TLS, tls_words(error), now)
            return
        self._pool.connected(connection)
        self._on_ready(connection, self._resends.pop(connection, None))

    def give_up(self, now: float) -> None:
        """The segment is over: close what is being opened, fail what was to be sent again."""
        why = "the segment was over"
        for connection in [each for each in self._pool.by_fd.values() if each.connecting]:
            self._pool.close(connection)
        lost = [*self._resends.values(), *self._backlog.lost]
        self._resends.clear()
        self._backlog.lost.clear()
        for each in lost:
            self._losses.fail_lost(each, RequestError.UNFINISHED, why, now)

    def _open(self, now: float, lost: LostRequest | None) -> bool:
        try:
            connection = self._pool.open()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            self._fail(lost, RequestError.CONNECT, why, now)
            return False
        if lost is not None:
            self._resends[connection] = lost
        self._agenda.at(now + self._timeout_s, lambda then: self._check(connection, then))
        return True

    def _check(self, connection: Connection, now: float) -> None:
        if connection.connecting and connection.sock is not None:
            if connection.stream is None:
                error, why = RequestError.CONNECT, f"not accepted in {self._timeout_s:g} s"
            else:
                error, why = RequestError.TLS, f"no end of the handshake in {self._timeout_s:g} s"
            self._failed(connection, error, why, now)

    def _failed(self, connection: Connection, error: RequestError, why: str, now: float) -> None:
        self._pool.close(connection)
        self._fail(self._resends.pop(connection, None), error, why, now)

    def _fail(self, lost: LostRequest | None, error: RequestError, why: str, now: float) -> None:
        if lost is not None:
            self._losses.fail_lost(lost, error, why, now)
        if lost is None or not self._pool.established:
            everything = not self._pool.established
            self._losses.fail_waiting(error, why, now, everything=everything)
        # Only so that the loop wakes up then; it dials whenever something waits.
        self._agenda.at(self._pool.back_off(now), lambda _: None)

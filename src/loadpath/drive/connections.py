"""Connections to the service: opened on demand up to a limit, kept, reused last in first out."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import ssl
from collections.abc import Callable
from typing import TypeAlias

from loadpath.drive.audit import ReadDelays
from loadpath.drive.channels import Channel
from loadpath.drive.mix import Job
from loadpath.drive.secure import SecureStream, Security
from loadpath.drive.state import FlowRun
from loadpath.errors import WouldNotRunError
from loadpath.wire.reply import ReplyReader

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]

BACK_OFF_FIRST_S = 0.001
BACK_OFF_MAX_S = 0.01  # a crashed service is seen to be back this soon

_READ = select.EPOLLIN
_WRITE = select.EPOLLOUT


class Connection:
    """One socket and the one request that is on it.

    `quick`: a whole reply in one piece may be taken without a reader. `fresh`: it never carried a
    reply. `stream` is there when it is secured. `check_at` is when its timeout is looked at next.
    With a `channel` it is held: an open WebSocket, none of the connections that requests share.
    """

    __slots__ = (
        "blocked",
        "busy",
        "channel",
        "check_at",
        "connecting",
        "fd",
        "first_s",
        "flow",
        "fresh",
        "job",
        "number",
        "outgoing",
        "quick",
        "reader",
        "recv",
        "retried",
        "send",
        "sent_s",
        "sock",
        "stream",
    )

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock: socket.socket | None = sock
        self.fd = sock.fileno()
        self.number = number
        self.send: Callable[[bytes | memoryview], int] = sock.send
        self.recv: Callable[[int], bytes] = sock.recv
        self.stream: SecureStream | None = None
        self.channel: Channel | None = None
        self.connecting = True
        self.busy = False
        self.quick = False
        self.fresh = True
        self.retried = False
        self.job: Job = (0, 0, 0.0, 0, None)
        self.flow: FlowRun | None = None
        self.sent_s = math.nan
        self.first_s = math.nan
        self.blocked = 0
        self.reader: ReplyReader | None = None
        self.outgoing: memoryview | None = None
        self.check_at = math.inf


class Pool:
    """Every open connection to one address. `idle` has those that are free, the latest used last.

    After a refused connection the next one is tried a little later (`retry_at`), one at a time,
    until one succeeds. With `security` a connection stands when its handshake is over; one that is
    opened after another was closed goes on from that one's session, as a returning user does.
    """

    def __init__(
        self,
        address: Address,
        epoll: select.epoll,
        limit: int,
        *,
        security: Security | None = None,
        delays: ReadDelays | None = None,
    ) -> None:
        self._family, self._address = address
        self._epoll = epoll
        self._security = security
        self._sessions: list[ssl.SSLSession] = []
        self._delays = delays
        self.handshakes = 0
        self.handshakes_resumed = 0
        self.limit = limit
        self.by_fd: dict[int, Connection] = {}
        self.idle: dict[Connection, None] = {}  # for LIFO, and leaving from the middle, in O(1)
        self.connecting = 0
        self.held = 0
        self.opened = 0
        self.failures = 0
        self.retry_at = -math.inf

    def set_limit(self, limit: int) -> None:
        """From now on so many connections may be open; idle ones that are too many are closed."""
        self.limit = limit
        while self.idle and len(self.by_fd) - self.held > limit:
            self.close(next(iter(self.idle)))

    @property
    def established(self) -> int:
        """Connections that are connected."""
        return len(self.by_fd) - self.connecting

    @property
    def busy(self) -> int:
        """Connections with a request on them."""
        return len(self.by_fd) - self.connecting - len(self.idle) - self.held

    @property
    def room(self) -> int:
        """How many more may be opened; WebSockets are beside the limit."""
        return self.limit - len(self.by_fd) + self.held

    def open(self) -> Connection:
        """Begin to connect. Raises `OSError` when that fails at once."""
        sock = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BlockingIOError):
                sock.connect(self._address)
            connection = Connection(sock, self.opened + 1)
            if self._delays is not None:
                connection.recv = self._delays.receiver(sock)
            self._epoll.register(connection.fd, _WRITE)
        except BaseException:
            sock.close()
            raise
        self.opened += 1
        self.by_fd[connection.fd] = connection
        self.connecting += 1
        return connection

    def go_on(self, connection: Connection) -> bool:
        """The socket is connected, or its handshake goes on; whether the connection stands.

        Raises `BlockingIOError` when nothing came and `OSError` when the handshake failed.
        """
        if self._security is None:
            return True
        stream = connection.stream
        if stream is None:
            assert connection.sock is not None
            session = self._sessions.pop() if self._sessions else None
            stream = SecureStream(connection.sock, connection.recv, self._security, session)
            connection.stream = stream
            self._epoll.modify(connection.fd, _READ)
            stream.begin()
            return False
        if not stream.shake_hands():
            return False
        connection.send, connection.recv = stream.send, stream.recv
        self.handshakes += 1
        self.handshakes_resumed += stream.resumed
        return True

    def connected(self, connection: Connection) -> None:
        """The connection stands: it may carry a request."""
        self.connecting -= 1
        self.failures = 0
        self.retry_at = -math.inf
        connection.connecting = False
        self._epoll.modify(connection.fd, _READ)

    def want_to_write(self, connection: Connection, wanted: bool) -> None:
        """Whether to be told when the connection takes more bytes."""
        self._epoll.modify(connection.fd, _READ | _WRITE if wanted else _READ)

    def hold(self, connection: Connection, channel: Channel) -> None:
        """The connection is a WebSocket from now on."""
        channel.fd, channel.number = connection.fd, connection.number
        connection.channel = channel
        connection.busy = connection.quick = False
        self.held += 1

    def listen(self, connection: Connection) -> None:
        """Be told of what a WebSocket waits for: bytes unless it is paused, room for its own."""
        channel = connection.channel
        assert channel is not None
        self._epoll.modify(
            connection.fd, (0 if channel.paused else _READ) | (_WRITE if channel.writing else 0)
        )

    def of_channel(self, channel: Channel) -> Connection | None:
        """The connection of a WebSocket; None: it is closed."""
        connection = self.by_fd.get(channel.fd)
        return connection if connection is not None and connection.channel is channel else None

    def close(self, connection: Connection) -> None:
        """Close and forget; closing twice is harmless."""
        sock = connection.sock
        if sock is None:
            return
        connection.sock = None
        if connection.connecting:
            self.connecting -= 1
        elif connection.channel is not None:
            self.held -= 1
        elif not connection.busy:
            self.idle.pop(connection, None)
        if connection.stream is not None and not connection.connecting:
            session = connection.stream.close()
            if session is not None and len(self._sessions) < self.limit:
                self._sessions.append(session)
        del self.by_fd[connection.fd]
        sock.close()  # which takes it out of the epoll set

    def forget_timeouts(self) -> None:
        """The agenda that was to look at the connections is gone."""
        for connection in self.by_fd.values():
            connection.check_at = math.inf

    def back_off(self, now: float) -> float:
        """A connection was refused: until when no other is tried."""
        wait_s = min(BACK_OFF_FIRST_S * 2**self.failures, BACK_OFF_MAX_S)
        self.failures = min(self.failures + 1, 16)
        self.retry_at = now + wait_s
        return self.retry_at


def resolve(host: str, port: int) -> Address:
    """The first address that a host name stands for; the engine connects to no other.

    Raises `WouldNotRunError` when there is none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise WouldNotRunError(f"the address of {host}:{port} cannot be found: {error}") from None
    family, _, _, _, address = found[0]
    return family, address  # type: ignore[return-value]

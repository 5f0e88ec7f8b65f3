"""One request at a time on a blocking socket: for probes and checks, where ease beats speed."""

from __future__ import annotations

import socket
from time import monotonic

import msgspec

from loadpath.drive.connections import Address
from loadpath.drive.failures import describe
from loadpath.drive.secure import Security
from loadpath.flow import Reply
from loadpath.recording.schema import RequestError
from loadpath.spec.tls import tls_words
from loadpath.wire.reply import FramingError, ReplyReader

_BODY_BYTES_MAX = 16 * 1024 * 1024
SWITCHED = 101


class NoReplyError(Exception):
    """No (whole) reply came; the message says why in a line fit to be shown."""


class SequentialReply(msgspec.Struct, frozen=True):
    """A reply and how it began, head included; `rest` is what came after a 101."""

    reply: Reply
    start: bytes
    rest: bytes = b""


class SequentialClient:
    """One connection, kept between requests and opened again when the service closed it."""

    def __init__(self, address: Address, security: Security | None = None) -> None:
        self._family, self._address = address
        self._security = security
        self._sock: socket.socket | None = None
        self._upgrade = False

    def exchange(
        self, payload: bytes, *, method: str, timeout_s: float, upgrade: bool = False
    ) -> SequentialReply:
        """Send a request and wait for its reply; `upgrade` takes a 101. Raises `NoReplyError`."""
        self._upgrade = upgrade
        deadline = monotonic() + timeout_s
        reused = self._sock is not None
        try:
            return self._exchange(payload, method, deadline, timeout_s)
        except _ClosedWithoutReplyError:
            self.close()
            if not reused:
                raise
        return self._exchange(payload, method, deadline, timeout_s)

    def taken_over(self) -> socket.socket:
        """The connection, which speaks another protocol now; the next request opens a new one."""
        assert self._sock is not None
        sock, self._sock = self._sock, None
        return sock

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _exchange(
        self, payload: bytes, method: str, deadline: float, timeout_s: float
    ) -> SequentialReply:
        reader = ReplyReader(
            to_head_request=method == "HEAD",
            keep_body_max=_BODY_BYTES_MAX,
            upgrade=self._upgrade,
        )
        try:
            sock = self._connect(deadline)
            sock.settimeout(_left(deadline))
            sock.sendall(payload)
            whole = False
            while not whole:
                sock.settimeout(_left(deadline))
                data = sock.recv(1 << 16)
                whole = reader.feed(data) if data else reader.end()
                if not data and not whole:
                    raise ConnectionResetError("closed")
        except TimeoutError:
            self.close()
            why = describe(RequestError.TIMEOUT, f"no whole reply in {timeout_s:g} s")
            raise NoReplyError(why) from None
        except FramingError as error:
            self.close()
            raise NoReplyError(describe(RequestError.PROTOCOL, str(error))) from None
        except OSError as error:
            self.close()
            if isinstance(error, ConnectionError) and not reader.received:
                why = describe(RequestError.RESET, "the connection was closed without a reply")
                raise _ClosedWithoutReplyError(why) from None
            why = (error.strerror or str(error)).lower()
            raise NoReplyError(describe(RequestError.RESET, why)) from None
        if not reader.reusable and reader.status != SWITCHED:
            self.close()
        reply = Reply(reader.status, reader.body, reader.head)
        return SequentialReply(reply, reader.start, reader.rest)

    def _connect(self, deadline: float) -> socket.socket:
        if self._sock is None:
            sock = socket.socket(self._family, socket.SOCK_STREAM)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(_left(deadline))
                sock.connect(self._address)
            except OSError as error:
                sock.close()
                why = "no answer" if isinstance(error, TimeoutError) else error.strerror
                raise NoReplyError(describe(RequestError.CONNECT, str(why).lower())) from None
            self._sock = self._secured(sock)
        return self._sock

    def _secured(self, sock: socket.socket) -> socket.socket:
        if self._security is None:
            return sock
        try:
            return self._security.context.wrap_socket(sock, server_hostname=self._security.name)
        except OSError as error:
            sock.close()
            why = "no end of the handshake" if isinstance(error, TimeoutError) else tls_words(error)
            raise NoReplyError(describe(RequestError.TLS, why)) from None


class _ClosedWithoutReplyError(NoReplyError):
    """The connection was closed before a byte of the reply came."""


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises `TimeoutError` when it has passed."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left

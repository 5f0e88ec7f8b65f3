"""TLS on one connection: looks to the loop like a socket, but for its handshake.

Records pass through memory, so that every read takes one system call however many records there
are, and a socket is read the same way with TLS and without.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable

import msgspec

from loadpath.spec import Tls
from loadpath.spec.tls import client_context

RECEIVE_BYTES = 64 * 1024
RECORD_BYTES_MAX = 16 * 1024
"""A record's content (RFC 8446, section 5.1): one read of so many bytes leaves nothing of it."""


class Security(msgspec.Struct, frozen=True):
    """How every connection of a plan is secured."""

    context: ssl.SSLContext
    name: str

    @classmethod
    def of(cls, tls: Tls | None) -> Security | None:
        """Raises `ConfigurationError` when the certificates to trust cannot be read."""
        return None if tls is None else cls(client_context(tls), tls.name)


class SecureStream:
    """TLS over a connected, non-blocking socket.

    `receive` takes the bytes of the socket, as `socket.recv` does, and raises the same.
    """

    __slots__ = (
        "_accepted",
        "_closed",
        "_incoming",
        "_left",
        "_outgoing",
        "_read",
        "_receive",
        "_sock",
        "_tls",
        "_write",
    )

    def __init__(
        self,
        sock: socket.socket,
        receive: Callable[[int], bytes],
        security: Security,
        session: ssl.SSLSession | None,
    ) -> None:
        self._sock = sock
        self._receive = receive
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = security.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=security.name, session=session
        )
        self._read = self._tls.read
        self._write = self._tls.write
        self._left: memoryview | None = None  # encrypted, and not yet taken by the kernel
        self._accepted = 0
        self._closed = False

    @property
    def resumed(self) -> bool:
        """Whether the handshake went on from an earlier session."""
        return bool(self._tls.session_reused)

    def begin(self) -> None:
        """Send the first words of the handshake. Raises `OSError`."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self._flush()

    def shake_hands(self) -> bool:
        """Go on with the handshake, now that something came; whether it is over.

        Raises `OSError` when it failed, and `BlockingIOError` when nothing came.
        """
        data = self._receive(RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError("closed in the handshake")
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError:
            with contextlib.suppress(OSError):
                self._flush()  # the alert that says why
            raise
        self._flush()
        return True

    def recv(self, size: int) -> bytes:
        """What came, decrypted; empty when the other side is done. Raises as `socket.recv`."""
        if self._closed:
            return b""
        data = self._receive(size)
        if not data:
            return b""
        incoming, read = self._incoming, self._read
        incoming.write(data)
        try:
            plain = read(RECORD_BYTES_MAX)
            if not incoming.pending:
                return plain
        except ssl.SSLWantReadError:  # a part of a record, or one that is not for us
            raise BlockingIOError from None
        except ssl.SSLZeroReturnError:
            self._closed = True
            return b""
        parts = [plain]
        while incoming.pending:
            try:
                plain = read(RECORD_BYTES_MAX)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                plain = b""
            if not plain:
                # The other side may keep the socket open until we answer its goodbye; so that the
                # loop comes back for the end of what it read now, the socket says it is at its end.
                self._closed = True
                with contextlib.suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RD)
                break
            parts.append(plain)
        return b"".join(parts)

    def send(self, payload: bytes | memoryview) -> int:
        """Bytes of `payload` that were taken; of what was not taken, offer the same again.

        Raises as `socket.send`.
        """
        left = self._left
        if left is not None:
            left = left[self._sock.send(left) :]
            self._left = left if len(left) else None
            return 0 if self._left is not None else self._accepted
        if self._closed:
            raise ConnectionResetError("closed by the other side")
        if len(payload) > RECORD_BYTES_MAX:
            payload = payload[:RECORD_BYTES_MAX]
        self._write(payload)
        data = self._outgoing.read()
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return len(payload)
        self._left = memoryview(data)[sent:]
        self._accepted = len(payload)
        return 0

    def close(self) -> ssl.SSLSession | None:
        """Say goodbye; the session that another connection may go on from, if there is one."""
        if self._left is None:
            with contextlib.suppress(OSError):
                self._tls.unwrap()
            with contextlib.suppress(OSError):
                self._flush()
        session = self._tls.session
        return session if session is not None and session.has_ticket else None

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._sock.send(data) != len(data):
            raise ConnectionResetError("the kernel took no more of the handshake")

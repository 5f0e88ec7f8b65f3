"""One end of a relayed connection: bytes that come in are handed to the other end, later read."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Protocol, TypeAlias, cast

from loadpath.tap.pieces import Read

Forward: TypeAlias = Callable[[bytes], None]
Later: TypeAlias = Callable[[Read, bytes, float], None]

_now = time.monotonic
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Owner(Protocol):
    """What a side tells of its connection, besides its bytes."""

    def made(self, side: Side) -> None:
        """It is open."""
        ...

    def ended(self, side: Side) -> None:
        """Its peer will send nothing more."""
        ...

    def lost(self, side: Side, error: Exception | None) -> None:
        """It is gone; `error` None when it was closed in order, or by us."""
        ...

    def blocked(self, side: Side, blocked: bool) -> None:
        """Its peer does not take what it is sent, or does so again."""
        ...


class Side(asyncio.Protocol):
    """The connection to the client, or the one to the server.

    `forward` takes every piece of bytes that comes in and passes it on; it is the one place that
    all bytes of a direction go through, and thus where a fault may stand that delays, drops or
    changes them. `read` is told the same piece, with the time at which it came, when `later` sees
    fit; None: nobody reads along. `byte_count` is how many came in.

    Sending goes straight to the kernel while it takes everything: uvloop itself would send at the
    end of its turn, and thus after other pieces were taken, or read.
    """

    __slots__ = (
        "_descriptor",
        "_paused",
        "at_end",
        "broken",
        "byte_count",
        "forward",
        "later",
        "owner",
        "read",
        "transport",
    )

    def __init__(self, owner: Owner, forward: Forward, later: Later) -> None:
        self.owner: Owner | None = owner
        self.forward = forward
        self.later = later
        self.read: Read | None = None
        self.byte_count = 0
        self.at_end = False
        self.broken = False
        self.transport: asyncio.Transport | None = None
        self._descriptor = -1
        self._paused = False

    # What the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses, though they do all that these do.
        self.transport = transport = cast(asyncio.Transport, transport)
        # One piece that the peer has not taken is enough to stop reading at the other end.
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        self._descriptor = sock.fileno()
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.owner is None:  # nobody waits for it any more
            self.reset()
        else:
            self.owner.made(self)

    def data_received(self, data: bytes) -> None:
        at_s = _now()
        self.forward(data)
        self.byte_count += len(data)
        if self.read is not None:
            self.later(self.read, data, at_s)

    def eof_received(self) -> bool:
        self.at_end = True
        if self.owner is not None:
            self.owner.ended(self)
        return True  # it may still be sent to

    def connection_lost(self, exc: Exception | None) -> None:
        owner, self.owner = self.owner, None
        self.transport = None
        if owner is not None:
            owner.lost(self, exc)

    def pause_writing(self) -> None:
        if self.owner is not None:
            self.owner.blocked(self, True)

    def resume_writing(self) -> None:
        if self.owner is not None:
            self.owner.blocked(self, False)

    # What may be done to it

    def send(self, data: bytes) -> None:
        """Send to its peer; dropped when the peer is known to be gone."""
        transport = self.transport
        if transport is None or self.broken or transport.is_closing():
            return
        if transport.get_write_buffer_size():
            transport.write(data)
            return
        try:
            sent = os.write(self._descriptor, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            # What the peer sent before it went may still be there to be read; its end comes after.
            self.broken = True
            if self.at_end and self.owner is not None:
                self.owner.lost(self, ConnectionResetError())
            return
        if sent < len(data):
            transport.write(data[sent:])

    def has_unsent(self) -> bool:
        """Whether some of what was sent waits for its peer to take more."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def send_end(self) -> None:
        """Tell its peer that nothing more will be sent, after what is still to be sent."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write_eof()

    def pause(self) -> None:
        """Stop taking what its peer sends: the peer will notice in the end."""
        if self.transport is not None and not (
            self._paused or self.at_end or self.transport.is_closing()
        ):
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Take again what its peer sends."""
        if self._paused:
            self._paused = False
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def close(self) -> None:
        """Close it, after what is still to be sent."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Close it at once so that its peer sees a reset (a Unix socket knows none: an end)."""
        if self.transport is None:
            return
        sock = self.transport.get_extra_info("socket")
        if not self.transport.is_closing() and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

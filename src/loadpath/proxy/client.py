"""A connection of somebody who asks: requests taken one at a time, answered in order."""

from __future__ import annotations

import asyncio
import re
from typing import cast

from loadpath.proxy.cache import Cache, Waiter

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CODED = re.compile(rb"\r\n(transfer-encoding|upgrade):", re.IGNORECASE)
HEAD_BYTES_MAX = 64 * 1024

_SAID = b"Loadpath's cache takes no chunked requests and no upgrades\n"
NOT_TAKEN = (
    b"HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_SAID), _SAID)
)


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop is one in all but name.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy:
            self._take()

    def _take(self) -> None:
        buffer = self._buffer
        end = buffer.find(_END)
        if end < 0:
            if len(buffer) > HEAD_BYTES_MAX:
                self._close()
            return
        end += 4
        whole = end
        if buffer[:4] != b"GET ":
            head = buffer[:end]
            length = _LENGTH.search(head)
            whole = end + int(length[1]) if length else end
        if len(buffer) < whole:
            return
        head = buffer[:end]
        if _CODED.search(head):
            self._send(NOT_TAKEN)
            self._close()
            return
        self._buffer = buffer[whole:]
        self._busy = True
        self._cache.answer(head, buffer[:whole], Waiter(self._send, self._over))

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _over(self, reusable: bool) -> None:
        self._busy = False
        if not reusable:
            self._close()
        elif self._buffer:
            self._take()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

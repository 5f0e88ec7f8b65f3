"""The socket between Loadpath and its guard: messages and descriptors, in order."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Link:
    """Loadpath's end. Messages are JSON objects after a 4-byte length (big-endian).

    `on_message` and `on_close` are called from the event loop, `on_close` once, at the other end's
    end.
    """

    def __init__(
        self,
        end: socket.socket,
        on_message: Callable[[Message], None],
        on_close: Callable[[], None],
    ) -> None:
        self.closed = False
        self._socket = end
        self._on_message = on_message
        self._on_close = on_close
        self._outgoing: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._incoming = bytearray()
        self._loop = asyncio.get_running_loop()
        end.setblocking(False)
        self._loop.add_reader(end, self._read)

    def send(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Queue a message and descriptors, which are closed here once they are sent."""
        payload = json.dumps(message).encode()
        if self.closed:
            _close_all(descriptors)
            return
        self._outgoing.append((struct.pack("!I", len(payload)) + payload, descriptors))
        if len(self._outgoing) == 1:
            self._write()

    def _write(self) -> None:
        while self._outgoing:
            data, descriptors = self._outgoing[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            try:
                sent = self._socket.sendmsg([data], rights if descriptors else [])
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._write)
                return
            except OSError:
                # The other end is gone; reading says so too, and is who acts on it.
                self._drop_outgoing()
                break
            _close_all(descriptors)
            if sent < len(data):
                self._outgoing[0] = (data[sent:], ())
            else:
                self._outgoing.popleft()
        self._loop.remove_writer(self._socket)

    def _drop_outgoing(self) -> None:
        for _, descriptors in self._outgoing:
            _close_all(descriptors)
        self._outgoing.clear()

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        self._incoming += data
        while len(self._incoming) >= 4:
            (length,) = struct.unpack_from("!I", self._incoming)
            if len(self._incoming) < 4 + length:
                return
            message = json.loads(bytes(self._incoming[4 : 4 + length]))
            del self._incoming[: 4 + length]
            self._on_message(message)

    def _close(self) -> None:
        self.closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._drop_outgoing()
        self._socket.close()
        self._on_close()


def _close_all(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)

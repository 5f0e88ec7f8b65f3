"""Connections to the service: one request at a time on each, kept and used again."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from loadpath.spec import Tls
from loadpath.spec.tls import client_context
from loadpath.wire.reply import FramingError, ReplyReader

IDEMPOTENT = (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE")


class Sink(Protocol):
    """Who wanted a reply. `began` at `lost`: some of it was passed on already."""

    def data(self, data: bytes) -> None:
        """The next bytes of it."""

    def done(self, *, reusable: bool) -> None:
        """It is whole; `reusable`: the connection stays open after it."""

    def lost(self) -> None:
        """It will not come, or not whole."""


class Origin(asyncio.Protocol):
    """One connection to the service."""

    def __init__(self, pool: Origins) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._reader: ReplyReader | None = None
        self._sink: Sink | None = None
        self._request = b""
        self._used = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop is one in all but name.
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes, sink: Sink) -> None:
        """Send a request; its reply goes to `sink`."""
        assert self._transport is not None
        self._request, self._sink = request, sink
        self._reader = ReplyReader(to_head_request=request[:5] == b"HEAD ")
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        reader, sink = self._reader, self._sink
        if reader is None or sink is None:
            self._close()
            return
        try:
            whole = reader.feed(data)
        except FramingError:
            self._over(whole=False)
            return
        sink.data(data)
        if whole:
            self._over(whole=True)

    def eof_received(self) -> bool:
        reader = self._reader
        self._over(whole=reader is not None and reader.end())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.gone(self)
        self._over(whole=False)

    def _over(self, *, whole: bool) -> None:
        reader, sink = self._reader, self._sink
        self._reader = self._sink = None
        if sink is None or reader is None:
            return
        if whole:
            self._used = True
            if reader.reusable:
                self._pool.free(self)
            else:
                self._close()
            sink.done(reusable=reader.reusable)
            return
        self._close()
        again = self._used and not reader.received
        if again and self._request.partition(b" ")[0] in IDEMPOTENT:
            # It was closed while it lay idle: that is nobody's failure.
            self._pool.ask(self._request, sink, fresh=True)
        else:
            sink.lost()

    def _close(self) -> None:
        self._pool.gone(self)
        if self._transport is not None:
            self._transport.close()


class Origins:
    """Every connection to the service. `failed` counts those that could not be opened.

    Raises `ConfigurationError` when the certificates to trust cannot be read.
    """

    def __init__(self, host: str, port: int, tls: Tls | None = None) -> None:
        self._host, self._port = host, port
        self._context = None if tls is None else client_context(tls)
        self._name = None if tls is None else tls.name
        self._idle: list[Origin] = []
        self._opening: set[asyncio.Task[None]] = set()
        self.failed = 0

    def ask(self, request: bytes, sink: Sink, *, fresh: bool = False) -> None:
        """Have a request answered, on an idle connection or a new one."""
        if self._idle and not fresh:
            self._idle.pop().ask(request, sink)
            return
        task = asyncio.get_running_loop().create_task(self._open(request, sink))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def free(self, origin: Origin) -> None:
        """It has nothing to do."""
        self._idle.append(origin)

    def gone(self, origin: Origin) -> None:
        """It is closed."""
        if origin in self._idle:
            self._idle.remove(origin)

    async def _open(self, request: bytes, sink: Sink) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, origin = await loop.create_connection(
                lambda: Origin(self),
                self._host,
                self._port,
                ssl=self._context,
                server_hostname=self._name,
            )
        except OSError:
            self.failed += 1
            sink.lost()
            return
        origin.ask(request, sink)

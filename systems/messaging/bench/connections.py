"""HTTP/1.1 at little cost to the client, for the benchmark: it shares the cores of the service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

__all__ = ["Caller", "Connection", "calling"]


def _body_of(buffer: bytes) -> bytes | None:
    """The body of an answer, once the buffer holds all of it; in chunks or with its length."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    fields = buffer[:head].lower()
    place = fields.find(b"content-length:")
    if place >= 0:
        length = int(fields[place + 15 :].split(b"\r\n", 1)[0])
        return buffer[head + 4 :] if len(buffer) >= head + 4 + length else None
    if not buffer.endswith(b"\r\n0\r\n\r\n"):
        return None
    parts: list[bytes] = []
    start = head + 4
    while True:
        line = buffer.index(b"\r\n", start)
        size = int(buffer[start:line], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(buffer[line + 2 : line + 2 + size])
        start = line + 4 + size


class Connection(asyncio.Protocol):
    """One request after the other; what an answer holds goes to `answered`."""

    def __init__(self, token: str = "") -> None:
        shown = f"Authorization: Bearer {token}\r\n" if token else ""
        self._fields = f" HTTP/1.1\r\nHost: x\r\n{shown}".encode()
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, method: str, path: str, body: bytes = b"") -> None:
        """Send a request."""
        assert self._transport is not None
        length = b"Content-Length: %d\r\n" % len(body) if method != "GET" else b""
        self._transport.write(
            b"%s %s%s%s\r\n%s" % (method.encode(), path.encode(), self._fields, length, body)
        )

    def data_received(self, data: bytes) -> None:
        """Wait until an answer is whole."""
        self._buffer = self._buffer + data if self._buffer else data
        body = _body_of(self._buffer)
        if body is not None:
            is_ok = self._buffer.startswith(b"HTTP/1.1 200")
            self._buffer = b""
            self.answered(is_ok, body)

    def answered(self, is_ok: bool, body: bytes) -> None:
        """An answer came; whether it is a 200."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()


class Caller(Connection):
    """Waits for each answer, which has to be 200."""

    _answer: asyncio.Future[bytes]

    async def call(self, method: str, path: str, body: Any = None) -> bytes:
        """The body of an answer. Raises `RuntimeError` when it is not a 200."""
        self._answer = asyncio.get_running_loop().create_future()
        self.ask(method, path, b"" if body is None else json.dumps(body).encode())
        try:
            return await self._answer
        except RuntimeError as error:
            raise RuntimeError(f"{method} {path}: {error}") from None

    def answered(self, is_ok: bool, body: bytes) -> None:
        """Give it to who waits."""
        if is_ok:
            self._answer.set_result(body)
        else:
            self._answer.set_exception(RuntimeError(body[:300].decode("utf-8", "replace")))

    def connection_lost(self, exc: Exception | None) -> None:
        """It was closed."""
        if hasattr(self, "_answer") and not self._answer.done():
            self._answer.set_exception(RuntimeError(f"the connection ended: {exc}"))


@asynccontextmanager
async def calling(port: int, token: str = "") -> AsyncIterator[Caller]:
    """A connection, closed at the end."""
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(lambda: Caller(token), "127.0.0.1", port)
    try:
        yield caller
    finally:
        caller.close()

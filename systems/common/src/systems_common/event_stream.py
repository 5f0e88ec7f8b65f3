"""A response of server-sent events that ends when its reader goes, or stops to read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

__all__ = ["EventStream", "Events"]

log = logging.getLogger(__name__)

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would gather what must go out at once.
    (b"x-accel-buffering", b"no"),
]


class Events(Protocol):
    """What a stream sends. It is closed once, whether anything was taken from it or not."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The chunks."""

    def aclose(self) -> Awaitable[None]:
        """Nobody takes any more."""


class EventStream:
    """An ASGI application that sends what `events` yields.

    A reader that takes nothing for `stuck_s` is left, with all that was kept for it. What the
    server has of its connection stays until the reader goes, or the server is made to end.
    """

    def __init__(
        self,
        events: Events,
        *,
        stuck_s: float = 5.0,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._events = events
        self._headers = [*_HEADERS, *headers]
        self._stuck_s = stuck_s

    def with_headers(self, *headers: tuple[bytes, bytes]) -> EventStream:
        """The same, with further headers."""
        return EventStream(
            self._events,
            stuck_s=self._stuck_s,
            headers=[*self._headers[len(_HEADERS) :], *headers],
        )

    async def aclose(self) -> None:
        """Send nothing, after all."""
        await self._events.aclose()

    async def __call__(
        self,
        scope: object,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Send until the events end or the reader is gone."""
        sending = asyncio.create_task(self._send(send))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
            await self._events.aclose()

    async def _send(self, send: Callable[[Any], Awaitable[None]]) -> None:
        body = {"type": "http.response.body"}
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            async for chunk in self._events:
                async with asyncio.timeout(self._stuck_s):
                    await send({**body, "body": chunk, "more_body": True})
            async with asyncio.timeout(self._stuck_s):
                await send({**body, "body": b"", "more_body": False})
        except TimeoutError:
            log.warning("a reader of live events takes nothing and is left")


async def _until_gone(receive: Callable[[], Awaitable[Any]]) -> None:
    with contextlib.suppress(OSError):
        while (await receive())["type"] != "http.disconnect":
            pass

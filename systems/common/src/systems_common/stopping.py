"""Hears that the process is to stop, before its server does.

A server tells the application of its end (`lifespan.shutdown`) only when the last request is
answered: a long poll may not be for half a minute, and a stream of events never is. And for a
WebSocket it does not wait at all: whatever is said to one after the server has heard of its end may
not be sent any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any

__all__ = ["Stopping", "hold_stop_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def _nothing() -> None:
    pass


class Stopping:
    """What is to be done before the server hears of a signal; both may be set at any time.

    `tell` is called in the event loop, and `drain`, which must end by itself, is waited for.
    """

    def __init__(self) -> None:
        self.tell: Callable[[], None] = lambda: None
        self.drain: Callable[[], Awaitable[None]] = _nothing

    async def __call__(self) -> None:
        """Do it."""
        self.tell()
        await self.drain()


@contextlib.contextmanager
def hold_stop_signals() -> Iterator[Stopping]:
    """Within the block SIGTERM and SIGINT reach their handlers only when all has been said.

    For that they are blocked in this thread and in those that it starts: enter it before any is
    started. A thread from before may take a signal; then all is said while the server stops, as far
    as it lets it. Outside of the main thread there are no signals, and nothing is held.
    """
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    watch = _Watch(stopping)
    try:
        yield stopping
    finally:
        watch.end()


class _Watch:
    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        self._is_ended = False
        self._is_told = False
        self._handlers: dict[int, Any] = {}
        for number in _SIGNALS:
            self._handlers[number] = signal.getsignal(number)
            if callable(self._handlers[number]):
                signal.signal(number, self._handle)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._thread = threading.Thread(target=self._wait, name="signals", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Leave the signals to whoever handled them before."""
        self._is_ended = True
        if self._thread.is_alive():
            signal.pthread_kill(self._thread.ident or 0, signal.SIGTERM)
            self._thread.join()
        for number, handler in self._handlers.items():
            if callable(handler):
                signal.signal(number, handler)
        self._unblock()

    def _wait(self) -> None:
        number = signal.sigwait(_SIGNALS)
        if not self._is_ended:
            asyncio.run_coroutine_threadsafe(self._stop(number), self._loop)

    async def _stop(self, number: int) -> None:
        self._is_told = True
        try:
            await self._stopping()
        finally:
            self._unblock()
            os.kill(os.getpid(), number)

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(_SIGNALS) - self._mask)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._is_told:
            self._is_told = True
            asyncio.run_coroutine_threadsafe(self._stopping(), self._loop)
        self._handlers[number](number, frame)

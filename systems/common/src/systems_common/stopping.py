"""Hears that the process is to stop, before the server waits for the requests in flight.

A server tells the application of its end (`lifespan.shutdown`) only when the last request is
answered: a long poll may not be for half a minute, and a stream of events never is.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

__all__ = ["told_to_stop"]


@contextlib.contextmanager
def told_to_stop(tell: Callable[[], None]) -> Iterator[None]:
    """Within the block `tell` is called, in the event loop, at SIGTERM and SIGINT.

    What handled the signal before still does. Outside of the main thread Python has no signals;
    there `tell` is called when the block ends, only.
    """
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        earlier = before[signal.Signals(number)]
        if callable(earlier):
            earlier(number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.getsignal(number)
            if callable(before[number]):
                signal.signal(number, handle)
    try:
        yield
    finally:
        for number, earlier in before.items():
            if callable(earlier):
                signal.signal(number, earlier)
        tell()

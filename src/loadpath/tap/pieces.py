"""What was passed on and is still to be read: pieces wait here until reading them delays nobody."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TypeAlias

from loadpath.tap.timer import Timer

QUIET_S = 0.005
PIECES_MAX = 32
LARGE_BYTES = 16 * 1024

Read: TypeAlias = Callable[[bytes, float], None]


class Pieces:
    """Pieces of all connections of the process, in the order in which they came.

    They are read when nothing has come for `QUIET_S`, when `PIECES_MAX` wait, with the first of
    `LARGE_BYTES`, and when somebody asks what was read. So at most half a megabyte waits, and
    reading holds up at most one exchange in sixteen. It takes half the CPU so: the code that reads
    is fetched into the caches once for all of them.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Read, bytes, float]] = []
        self._timer: Timer | None = None
        self._watched = False

    def add(self, read: Read, data: bytes, at_s: float) -> None:
        """Have `read` called with a piece that came at `at_s` on the monotonic clock."""
        waiting = self._waiting
        waiting.append((read, data, at_s))
        if len(waiting) >= PIECES_MAX or len(data) >= LARGE_BYTES:
            self.read_all()
        elif not self._watched:
            self._watch()

    def read_all(self) -> None:
        """Read what waits, now."""
        waiting, self._waiting = self._waiting, []
        for read, data, at_s in waiting:
            read(data, at_s)

    def close(self) -> None:
        """Read what waits, and let go of the timer."""
        self.read_all()
        if self._timer is not None:
            asyncio.get_running_loop().remove_reader(self._timer.descriptor)
            os.close(self._timer.descriptor)
            self._timer = None
            self._watched = False

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = Timer()
            asyncio.get_running_loop().add_reader(self._timer.descriptor, self._look)
        self._timer.start(QUIET_S)
        self._watched = True

    def _look(self) -> None:
        """Read if it is quiet; else look again later."""
        if self._timer is None or not self._timer.take():
            return
        self._watched = False
        if not self._waiting:
            return
        if time.monotonic() - self._waiting[-1][2] < QUIET_S:
            self._watch()
        else:
            self.read_all()

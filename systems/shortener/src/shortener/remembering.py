"""What the caches of targets have in common: reading once for all who wait, and unknown keys."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from shortener.targets import Target, Targets

__all__ = ["SingleFlight", "UnknownKeys"]


class SingleFlight:
    """Reads a key from a source once for all who ask meanwhile.

    `keep` is called with what was read, unless the key was forgotten while it was read: then the
    answer may be the old one, and who asks after the change gets a read of his own.
    """

    def __init__(self, source: Targets, keep: Callable[[str, Target | None], None]) -> None:
        self._source = source
        self._keep = keep
        self._flights: dict[str, asyncio.Future[Target | None]] = {}

    async def find(self, key: str) -> Target | None:
        """Read, or wait for the read that is under way. Raises what the source raises."""
        while (flight := self._flights.get(key)) is not None:
            try:
                return await asyncio.shield(flight)
            except asyncio.CancelledError:
                if not flight.cancelled() or _is_canceled():
                    raise
                # The one that read was canceled, not we: somebody else reads.
        # Who comes first reads in his own task: one more for each read would cost 15 µs.
        flight = asyncio.get_running_loop().create_future()
        self._flights[key] = flight
        try:
            target = await self._source.find(key)
        except asyncio.CancelledError:
            self._end(key, flight)
            flight.cancel()
            raise
        except Exception as error:
            self._end(key, flight)
            flight.set_exception(error)
            # When nobody waited it is not forgotten, as asyncio would log: it is raised here.
            flight.exception()
            raise
        if self._end(key, flight):
            self._keep(key, target)
        flight.set_result(target)
        return target

    def forget(self, key: str) -> None:
        """What is being read of this key may be old."""
        self._flights.pop(key, None)

    def forget_all(self) -> None:
        """What is being read may be old."""
        self._flights.clear()

    def _end(self, key: str, flight: asyncio.Future[Target | None]) -> bool:
        """End the flight; False when its key was forgotten meanwhile."""
        if self._flights.get(key) is not flight:
            return False
        del self._flights[key]
        return True


def _is_canceled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class UnknownKeys:
    """Keys without a link, remembered for a while and apart from those that have one.

    Apart, so that somebody who tries codes by the million pushes out only each other's. Only while
    changes are told: without being told of a new link, its code would stay unknown for that while.
    """

    def __init__(self, *, entries: int, ttl_s: float) -> None:
        self._entries = entries
        self._ttl_s = ttl_s
        self.told = False
        self._until_s: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        until_s = self._until_s.get(key)
        return until_s is not None and time.monotonic() < until_s

    def add(self, key: str) -> None:
        """Remember a key; the one remembered longest goes when there are too many."""
        if self.told:
            self._until_s[key] = time.monotonic() + self._ttl_s
            self._until_s.move_to_end(key)
            if len(self._until_s) > self._entries:
                self._until_s.popitem(last=False)

    def forget(self, key: str) -> None:
        """The key has a link now, or lost it."""
        self._until_s.pop(key, None)

    def changes_are_told(self, told: bool) -> None:
        """Begin anew; only when new links are told is anything remembered."""
        self.told = told
        self._until_s.clear()

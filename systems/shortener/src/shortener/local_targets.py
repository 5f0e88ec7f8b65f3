"""REDIRECT_CACHE=local: targets remembered in the process."""

from __future__ import annotations

import time
from collections import OrderedDict

from shortener.remembering import SingleFlight, UnknownKeys
from shortener.targets import Target, Targets

__all__ = ["LocalTargets"]


class LocalTargets:
    """A bounded dictionary, the least recently used out first; a key is read once for all."""

    def __init__(
        self, source: Targets, *, ttl_s: float, entries: int, unknown: UnknownKeys
    ) -> None:
        self._flights = SingleFlight(source, self._keep)
        self._ttl_s = ttl_s
        self._entries = entries
        self._unknown = unknown
        self._known: OrderedDict[str, tuple[Target, float]] = OrderedDict()

    def peek(self, key: str) -> Target | None:
        """The target when it was remembered less than the time to live ago."""
        entry = self._known.get(key)
        if entry is None or entry[1] < time.monotonic():
            return None
        self._known.move_to_end(key)
        return entry[0]

    async def find(self, key: str) -> Target | None:
        """Ask the source and remember the answer."""
        target = self.peek(key)
        if target is not None or key in self._unknown:
            return target
        return await self._flights.find(key)

    def forget(self, key: str) -> None:
        """Drop one entry."""
        self._flights.forget(key)
        self._unknown.forget(key)
        self._known.pop(key, None)

    def changes_are_told(self, told: bool) -> None:
        """Drop all entries when told; when not, links are led to as remembered for their time."""
        self._unknown.changes_are_told(told)
        if told:
            self._flights.forget_all()
            self._known.clear()

    def _keep(self, key: str, target: Target | None) -> None:
        if target is None:
            self._known.pop(key, None)
            self._unknown.add(key)
            return
        self._known[key] = (target, time.monotonic() + self._ttl_s)
        self._known.move_to_end(key)
        if len(self._known) > self._entries:
            self._known.popitem(last=False)

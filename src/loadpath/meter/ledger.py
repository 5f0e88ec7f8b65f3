"""CPU time per part of a deployment, without losing what ended in between.

Adding up the processes that are alive loses those that ended: their CPU time moves to
`children_cpu_s` of the parent that reaped them, which also receives that of processes too short to
be seen at all. The ledger credits each part with what its processes were seen to use, and with what
parents inherited beyond that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from loadpath.meter.proc import TICK_S

_CUT_S = 2 * TICK_S
"""What cutting user and system time to clock ticks can hide at most."""


class Entry(NamedTuple):
    """One process at one sample."""

    pid: int
    parent: int
    started_s: float
    part: str
    cpu_s: float
    children_cpu_s: float


class _Debt:
    """CPU time that was credited already and that a parent is about to inherit."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.parts: set[str] = set()
        self.ticks = 0


class Ledger:
    """Feed it every sample in order. `totals` is CPU seconds per part since the first one.

    Within a sample a parent must have been read before its children: then what a parent inherited
    is never newer than the absence of the child it is from.
    """

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self._last: dict[tuple[int, int], Entry] = {}
        self._debts: dict[tuple[int, int], _Debt] = {}
        self._last_at_s: float | None = None

    def add(self, at_s: float, entries: Iterable[Entry]) -> None:
        """Take one sample, made at the monotonic time `at_s`."""
        now = {_key(entry): entry for entry in entries}
        self._write_down_ended(now)
        for key, entry in now.items():
            before = self._last.get(key) or self._newborn(entry)
            self._credit(entry.part, entry.cpu_s - before.cpu_s)
            self._inherit(key, entry, entry.children_cpu_s - before.children_cpu_s)
        self._debts = {key: debt for key, debt in self._debts.items() if key in now}
        self._last = now
        self._last_at_s = at_s

    def _newborn(self, entry: Entry) -> Entry:
        """What a process had used at the sample before: nothing, unless it is older than that."""
        if self._last_at_s is None or entry.started_s < self._last_at_s - _CUT_S:
            return entry
        return entry._replace(cpu_s=0.0, children_cpu_s=0.0)

    def _write_down_ended(self, now: dict[tuple[int, int], Entry]) -> None:
        alive = {entry.pid: key for key, entry in now.items()}
        ended = [entry for key, entry in self._last.items() if key not in now]
        gone = {entry.pid: entry for entry in ended}
        for entry in ended:
            heir = entry.parent
            # A family that ended together leaves its time to the first ancestor still alive.
            for _ in ended:
                if heir in alive or heir not in gone:
                    break
                heir = gone[heir].parent
            if heir in alive:
                debt = self._debts.setdefault(alive[heir], _Debt())
                debt.cpu_s += entry.cpu_s + entry.children_cpu_s
                debt.parts.add(entry.part)
                debt.ticks = 0

    def _inherit(self, key: tuple[int, int], entry: Entry, inherited_s: float) -> None:
        debt = self._debts.get(key)
        if debt is None:
            self._credit(entry.part, inherited_s)
            return
        paid_s = min(inherited_s, debt.cpu_s)
        debt.cpu_s -= paid_s
        # The rest is what the ended ones used after they were last seen.
        of_part = next(iter(debt.parts)) if len(debt.parts) == 1 else entry.part
        self._credit(of_part, inherited_s - paid_s)
        debt.ticks += 1
        if debt.ticks >= 2:
            # A parent that ignores its children inherits nothing: forget it, but for the cut.
            debt.cpu_s = min(debt.cpu_s, _CUT_S)
            debt.parts.clear()

    def _credit(self, part: str, cpu_s: float) -> None:
        self.totals[part] = self.totals.get(part, 0.0) + max(cpu_s, 0.0)


def _key(entry: Entry) -> tuple[int, int]:
    """A process, told from a later one with the same id."""
    return entry.pid, round(entry.started_s / TICK_S)

"""Which threads become one station of a model: the processes and threads of each part, grouped.

A process whose work one thread does is that thread, an event loop. One that holds a global
interpreter lock is one thread at a time, however many it has. PostgreSQL has a process for each
connection. Of anything else, several threads work at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from loadpath.meter import ThreadUse, Usage
from loadpath.model.observations import Group, GroupKind

ONE_THREAD = 0.6
"""A thread that did this share of its process's work is what that process is."""

BUSY_SHARE = 0.05
"""A thread below this share of its process's work counts for no server."""

NEGLIGIBLE = 0.002
"""A process below this share of its part's work is left to the rest."""

OURS = frozenset({"loadpath", "taps"})

_INTERPRETED = re.compile(r"python|gunicorn|uvicorn|hypercorn|daphne|waitress|celery")


class Grouping(msgspec.Struct, frozen=True):
    """The groups of a deployment, and which of them each thread (pid, tid) belongs to."""

    groups: tuple[Group, ...]
    group_of: Mapping[tuple[int, int], str]

    def cores(self, usage: Usage) -> dict[str, float]:
        """CPU by group, in cores, of the groups of every part that was metered.

        A part's total counts ended threads as well; those that are alive say how it divides.
        """
        lived = self._sum((t, t.cpu_cores) for t in usage.threads)
        found = {}
        for group in self.groups:
            of_part = sum(lived.get(g.name, 0.0) for g in self.groups if g.part == group.part)
            share = lived.get(group.name, 0.0) / of_part if of_part > 0 else 0.0
            found[group.name] = usage.cpu_cores(group.part) * share
        return found

    def waiting(self, usage: Usage) -> dict[str, float]:
        """By group, how many of its threads stood ready without a core, on average."""
        known = ((t, t.wait_share) for t in usage.threads if t.wait_share == t.wait_share)
        found = self._sum(known)
        return {group.name: found.get(group.name, 0.0) for group in self.groups}

    def _sum(self, figures: Iterable[tuple[ThreadUse, float]]) -> dict[str, float]:
        found: dict[str, float] = {}
        for thread, figure in figures:
            name = self.group_of.get((thread.pid, thread.tid))
            if name is not None:
                found[name] = found.get(name, 0.0) + figure
        return found


def grouping(usages: Sequence[Usage]) -> Grouping:
    """The groups of all parts that used CPU in any of those windows of one deployment."""
    cpu_s: dict[tuple[str, int, int], float] = {}
    kinds: dict[int, str] = {}
    for usage in usages:
        for thread in usage.threads:
            key = (thread.part, thread.pid, thread.tid)
            cpu_s[key] = cpu_s.get(key, 0.0) + thread.cpu_s
        kinds |= {process.pid: process.kind for process in usage.processes}
    groups: dict[str, Group] = {}
    group_of: dict[tuple[int, int], str] = {}
    for part in dict.fromkeys(part for part, _, _ in cpu_s if part not in OURS):
        by_process: dict[int, dict[int, float]] = {}
        for (of, pid, tid), spent_s in cpu_s.items():
            if of == part:
                by_process.setdefault(pid, {})[tid] = spent_s
        of_part = sum(sum(threads.values()) for threads in by_process.values())
        for pid, threads in by_process.items():
            minor = sum(threads.values()) < NEGLIGIBLE * of_part
            split = _split(part, kinds.get(pid, ""), threads, minor=minor)
            for name, kind, servers, members in split:
                before = groups.get(name)
                more = servers + (before.servers if before else 0)
                groups[name] = Group(name=name, part=part, kind=kind, servers=more)
                group_of |= {(pid, tid): name for tid in members}
    return Grouping(tuple(groups.values()), group_of)


Split = tuple[str, GroupKind, int, Sequence[int]]
"""Name, kind, servers and threads of what becomes of one process."""


def _split(part: str, kind: str, threads: Mapping[int, float], *, minor: bool) -> list[Split]:
    every = list(threads)
    total = sum(threads.values())
    busiest = max(every, key=lambda tid: threads[tid])
    if part == "engine":
        return [("engine", "engine", 1, every)]
    if kind == "backend":
        return [(f"{part} backends", "backends", 1, every)]
    if minor or total == 0:
        return [(f"{part} rest", "rest", 1, every)]
    if threads[busiest] >= ONE_THREAD * total:
        others = [tid for tid in every if tid != busiest]
        rest: Split = (f"{part} rest", "rest", max(1, _busy(threads, others)), others)
        return [(f"{part} thread", "thread", 1, [busiest]), *([rest] if others else [])]
    if _INTERPRETED.search(kind):
        return [(f"{part} interpreter", "interpreter", 1, every)]
    return [(f"{part} threads", "threads", max(1, _busy(threads, every)), every)]


def _busy(threads: Mapping[int, float], among: Sequence[int]) -> int:
    total = sum(threads.values())
    return sum(threads[tid] >= BUSY_SHARE * total for tid in among)

"""Which processes belong to which part: each to the nearest of its ancestors that is a root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from loadpath.meter.proc import (
    ProcessReading,
    read_children,
    read_parents,
    read_process,
    read_thread_ids,
)

Parts = Mapping[str, Sequence[int]]


class Member(NamedTuple):
    """A process of a part, and its threads as they were a moment later."""

    part: str
    process: ProcessReading
    tids: list[int]


class _Known(NamedTuple):
    """A process as it was first seen; `part` as it was last."""

    started_s: float
    parent: int
    part: str


class Tree:
    """Walks the processes of all parts. It remembers them from walk to walk, so that a process
    whose parent died stays with its part, whoever is its parent from then on: Loadpath itself
    may be, which is the parent of all orphans among its descendants."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}

    def walk(self, parts: Parts) -> list[Member]:
        """Every process of the parts, a parent always before its children."""
        part_of = {pid: part for part, pids in parts.items() for pid in pids}
        roots = frozenset(part_of)
        parents: dict[int, list[int]] | None = None
        members: list[Member] = []
        seen: set[int] = set()
        queue = list(part_of)
        remembered = False
        while True:
            for pid in queue:  # it grows while it is walked
                if pid in seen:
                    continue
                seen.add(pid)
                process = read_process(pid)
                if process is None or not self._is_same(process, remembered):
                    continue
                tids = read_thread_ids(pid, process.threads)
                part = part_of[pid] if pid in roots else self._part_of(process, part_of[pid])
                part_of[pid] = part
                members.append(Member(part, process, tids))
                children = read_children(pid, tids)
                if children is None:
                    parents = parents or _by_parent(read_parents())
                    children = parents.get(pid, [])
                for child in children:
                    if child not in roots:
                        part_of.setdefault(child, part)
                        queue.append(child)
            if remembered:
                break
            remembered = True
            part_of.update((pid, k.part) for pid, k in self._known.items() if pid not in seen)
            queue = [pid for pid in self._known if pid not in seen]
        self._known = {m.process.pid: self._now_known(m) for m in members}
        return members

    def _of_before(self, process: ProcessReading) -> _Known | None:
        """What is remembered of a process; None when another one had its id."""
        known = self._known.get(process.pid)
        return known if known is not None and known.started_s == process.started_s else None

    def _is_same(self, process: ProcessReading, remembered: bool) -> bool:
        """Whether a remembered id still is the process that had it."""
        return not remembered or self._of_before(process) is not None

    def _part_of(self, process: ProcessReading, of_parent: str) -> str:
        """The part of a process found below one of part `of_parent`: its old one if it is there
        because its own parent ended."""
        known = self._of_before(process)
        return of_parent if known is None or known.parent == process.parent else known.part

    def _now_known(self, member: Member) -> _Known:
        process = member.process
        known = self._of_before(process)
        parent = process.parent if known is None else known.parent
        return _Known(process.started_s, parent, member.part)


def _by_parent(parents: Mapping[int, int]) -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    return children

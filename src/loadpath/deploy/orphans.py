"""The kernel hands the orphans of a killed guard to Loadpath, which ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from loadpath.deploy import processes
from loadpath.deploy.family import Family
from loadpath.deploy.leftovers import SharedMemory, remove_path, unmount

GRACE_S = 1.5
_TICK_S = 0.02


class Adoption:
    """This process is the parent of orphans while any guard of it wants that.

    Guards overlap and end in any order, so they are counted: the last one restores what was.
    """

    _lock = threading.Lock()
    _wanted_by = 0
    _before = False

    @classmethod
    def begin(cls) -> None:
        """Want it; every `begin` has its `end`."""
        with cls._lock:
            if cls._wanted_by == 0:
                cls._before = processes.adopt_orphans()
            cls._wanted_by += 1

    @classmethod
    def end(cls) -> None:
        """Want it no longer."""
        with cls._lock:
            cls._wanted_by -= 1
            if cls._wanted_by == 0:
                processes.adopt_orphans(cls._before)


def end_orphans(
    family: Family, memory: SharedMemory, paths: Iterable[Path], mounts: Iterable[Path] = ()
) -> None:
    """End every process of `family`, whose guard is gone, and remove what it leaves.

    Only processes that show to be of the family are ended: Loadpath may have children of its own.
    Blocks for `GRACE_S` seconds at most, and as long as SIGKILL takes.
    """
    family.root = os.getpid()
    ours = {spawned.pid for spawned in family.spawned.values()}
    began_s = time.monotonic()
    while owners := family.owners(processes.table(), guess=False):
        ours.update(owners)
        memory.note(owners)
        late = time.monotonic() - began_s > GRACE_S
        for pid in owners:
            if (entry := processes.look(pid)) is not None:
                processes.send(entry, signal.SIGCONT)
                processes.send(entry, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(_TICK_S)
        _reap(ours)
    _reap(ours)
    memory.remove(family.seen)
    for path in mounts:
        unmount(str(path))
    for path in paths:
        remove_path(str(path))


def _reap(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

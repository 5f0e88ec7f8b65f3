"""Ending what a killed guard had started: the kernel hands its orphans to Loadpath."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from loadpath.deploy import processes
from loadpath.deploy.family import Family
from loadpath.deploy.leftovers import SharedMemory, remove_path, unmount

GRACE_S = 1.5
_TICK_S = 0.02


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

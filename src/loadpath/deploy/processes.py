# ruff: noqa: PTH115, PTH123, PTH208
# os instead of pathlib: the guard process must start at once.
"""The kernel's table of processes: who descends from whom, and how to signal one safely.

Standard library only, and little of it: the guard process imports this and must start at once.
Linux reads /proc. Elsewhere `ps` is asked, which sees less: no orphans, no environments.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from typing import NamedTuple

_SET_DEATH_SIGNAL = 1
_SET_SUBREAPER = 36
_GET_SUBREAPER = 37


class Entry(NamedTuple):
    """One process. `started` (clock ticks since boot) tells it from a later one of its pid."""

    pid: int
    parent: int
    group: int
    session: int
    started: int
    ended: bool


def table() -> dict[int, Entry]:
    """Every process of this machine."""
    if not sys.platform.startswith("linux"):
        return _table_of_ps()
    entries = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (entry := look(int(name))) is not None:
            entries[entry.pid] = entry
    return entries


def look(pid: int) -> Entry | None:
    """The process of that pid as it is now; None when there is none."""
    if not sys.platform.startswith("linux"):
        return _table_of_ps().get(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            stat = file.read(1024)
    except OSError:
        return None
    # The name stands in parentheses and may itself hold spaces and parentheses.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return Entry(
        pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), fields[0] in b"ZXx"
    )


def _table_of_ps() -> dict[int, Entry]:
    """The same from `ps`, which itself is left out."""
    source, sink = os.pipe()
    argv = ["ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "stat="]
    ps = os.posix_spawnp("ps", argv, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, sink, 1)])
    os.close(sink)
    with open(source, encoding="ascii", errors="replace") as listing:
        rows = [line.split() for line in listing]
    os.waitpid(ps, 0)
    entries = {}
    for row in rows:
        pid, parent, group = map(int, row[:3])
        if pid != ps:
            entries[pid] = Entry(pid, parent, group, group, 0, row[3].startswith("Z"))
    return entries


def children_of(pid: int) -> list[int]:
    """The pids of a process's children, from one read where the kernel offers it."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return [entry.pid for entry in table().values() if entry.parent == pid]


def descendants(processes: dict[int, Entry], roots: Iterable[int]) -> list[Entry]:
    """All processes below `roots`, parents first, the roots themselves left out."""
    below: dict[int, list[Entry]] = {}
    for entry in processes.values():
        below.setdefault(entry.parent, []).append(entry)
    found: list[Entry] = []
    todo = list(roots)
    while todo:
        children = below.pop(todo.pop(), [])
        found += children
        todo += [child.pid for child in children]
    return found


def tree(roots: Iterable[int]) -> list[int]:
    """The pids of `roots` and everything below them that has not ended."""
    processes = table()
    roots = [pid for pid in roots if pid in processes]
    below = [entry for entry in descendants(processes, roots) if not entry.ended]
    return roots + [entry.pid for entry in below]


def send(entry: Entry, sig: int) -> bool:
    """Signal exactly that process, never a later one of the same pid. False: it was gone."""
    try:
        handle = os.pidfd_open(entry.pid) if hasattr(os, "pidfd_open") else None
        try:
            now = look(entry.pid)
            if now is None or now.started != entry.started:
                return False
            if handle is None:
                os.kill(entry.pid, sig)
            else:
                signal.pidfd_send_signal(handle, sig)
        finally:
            if handle is not None:
                os.close(handle)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def environment_of(pid: int) -> bytes | None:
    """The environment a process was started with; None when it may not be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return None


def program_of(pid: int) -> str | None:
    """The path of the program a process runs; None when it may not be read."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def name_of(pid: int) -> str:
    """The short name of a process, `?` when it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def die_with_parent(sig: int) -> None:
    """Have the kernel send this process `sig` when the thread that forked it ends."""
    _prctl(_SET_DEATH_SIGNAL, sig)


def adopt_orphans(wanted: bool = True) -> bool:
    """Become (or stop being) the parent of descendants that lose theirs; whether it was before."""
    before = ctypes.c_int(0)
    _prctl(_GET_SUBREAPER, ctypes.addressof(before))
    _prctl(_SET_SUBREAPER, int(wanted))
    return bool(before.value)


def _prctl(option: int, argument: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

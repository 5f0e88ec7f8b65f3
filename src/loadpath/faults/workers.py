"""Which processes of a service are its workers: pure but for one look at each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadpath.deploy.processes import Entry

_HELPERS = ("resource_tracker", "semaphore_tracker", "forkserver")
"""Processes that Python starts beside workers, by what stands in their command lines."""


def workers_of(entries: Sequence[Entry]) -> list[Entry]:
    """The processes of a service that have a parent among them and no child there, the one that
    has used the most CPU first. None for a service of a single process."""
    pids = {entry.pid for entry in entries}
    parents = {entry.parent for entry in entries}
    leaves = [e for e in entries if e.parent in pids and e.pid not in parents]
    working = [e for e in leaves if not any(word in _command(e.pid) for word in _HELPERS)]
    return sorted(working, key=lambda entry: _cpu_ticks(entry.pid), reverse=True)


def _command(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return text.replace(b"\0", b" ").decode("utf-8", "replace")


def _cpu_ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    fields = stat[stat.rindex(b")") + 2 :].split()
    return int(fields[11]) + int(fields[12])

"""What to call a process: its own name, or what kind of PostgreSQL process it is."""

from __future__ import annotations

import re

from loadpath.meter.proc import read_thread_name, read_title

_POSTGRES = frozenset({"postgres", "postmaster"})
_UNSETTLED = 20
"""A name may still change for so many samples; threads are looked at again after as many."""

_POSTGRES_KINDS = (
    "archiver",
    "autovacuum launcher",
    "autovacuum worker",
    "background worker",
    "background writer",
    "checkpointer",
    "io worker",
    "logger",
    "logical replication apply worker",
    "logical replication launcher",
    "parallel worker",
    "slotsync worker",
    "startup",
    "stats collector",
    "walreceiver",
    "walsender",
    "walsummarizer",
    "walwriter",
)
_POSTGRES_TITLE = re.compile(r"postgres: (?:[^ ]+: )?(.*)")


def process_name(comm: str, title: str) -> str:
    """`comm`, or for PostgreSQL the kind: `postmaster`, `walwriter`, `backend` …

    PostgreSQL's processes share one name and write what they are into their command line:
    `postgres: walwriter`, `postgres: user database host(port) idle`, after the cluster's name if it
    has one.
    """
    if comm not in _POSTGRES:
        return comm
    found = _POSTGRES_TITLE.match(title)
    if found is None:
        return "postmaster"
    for kind in _POSTGRES_KINDS:
        if found[1].startswith(kind):
            return kind
    return "backend"


class Names:
    """Names of processes and threads, read seldom: they change early in a life if at all.

    Call `forget_others` after every sample, so that only the living are remembered.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[int, int], tuple[str, int]] = {}
        self._now: dict[tuple[int, int], tuple[str, int]] = {}

    def of_process(self, pid: int, comm: str) -> str:
        """What to call a process whose own name is `comm`."""
        if comm not in _POSTGRES:
            return comm
        name, age = self._before.get((pid, 0), ("", 0))
        # A process of PostgreSQL says what it is only some time after it was forked.
        if name in {"", "postmaster"} and age < _UNSETTLED:
            name = process_name(comm, read_title(pid))
        self._now[pid, 0] = name, age + 1
        return name

    def of_thread(self, pid: int, tid: int) -> str:
        """What a thread is called; threads are often named after they started."""
        name, age = self._before.get((pid, tid), ("", 0))
        if age < 4 or age % _UNSETTLED == 0:
            name = read_thread_name(pid, tid) or name
        self._now[pid, tid] = name, age + 1
        return name

    def forget_others(self) -> None:
        """Keep what was asked for since the last call."""
        self._before, self._now = self._now, {}

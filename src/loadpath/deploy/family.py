"""Which child of the guard a process belongs to, also after its own parents have ended.

Standard library only: the guard process imports this.
"""

from __future__ import annotations

from typing import NamedTuple

from loadpath.deploy.processes import (
    Entry,
    descendants,
    environment_of,
    look,
    program_of,
)

PART_VARIABLE = "LOADPATH_PART"
"""Every process the guard spawns carries `<guard>.<child>` in it, and hands it to its children."""


class Spawned(NamedTuple):
    """A child of the guard. `stop_signal` asks it to end; `program` is the file it runs."""

    pid: int
    started: int
    program: str
    stop_signal: int


class Family:
    """Which child of the guard a process belongs to, also after its own parents have ended.

    `token` is the guard's; `root` the pid that orphans are handed to: the guard's, or Loadpath's
    own once the guard is gone. Child numbers begin at 1.
    """

    def __init__(self, token: str, root: int) -> None:
        self.token = token
        self.root = root
        self.spawned: dict[int, Spawned] = {}
        self.alive: dict[int, int] = {}
        self.seen: set[int] = set()
        self._known: dict[tuple[int, int], int] = {}

    def add(self, child: int, pid: int, program: str, stop_signal: int) -> None:
        """Note that the guard started `pid` as its child number `child`."""
        entry = look(pid)
        started = entry.started if entry is not None else 0
        self.spawned[child] = Spawned(pid, started, program, stop_signal)
        self.alive[pid] = child
        self.seen.add(pid)

    def owners(self, processes: dict[int, Entry], *, guess: bool = True) -> dict[int, int]:
        """Pid to child number, for everything below the root that has not ended.

        `guess` False leaves out an orphan that nothing ties to a child.
        """
        below = descendants(processes, (self.root,))
        owners: dict[int, int] = {}
        for entry in below:
            child = self._certain(entry) or owners.get(entry.parent)
            if child is None and guess and entry.parent == self.root:
                child = self._latest_before(entry)
            if child is not None:
                owners[entry.pid] = child
                self._known[entry.pid, entry.started] = child
                self.seen.add(entry.pid)
        return {
            entry.pid: owners[entry.pid]
            for entry in below
            if entry.pid in owners and not entry.ended
        }

    def owner(self, entry: Entry) -> int | None:
        """The child number that one child of the root belongs to."""
        return self._certain(entry) or self._latest_before(entry)

    def _certain(self, entry: Entry) -> int | None:
        child = self._known.get((entry.pid, entry.started))
        if child is None:
            child = self.alive.get(entry.pid)
        if child is None and entry.parent == self.root:
            child = self.claim(entry)
        return child

    def claim(self, entry: Entry) -> int | None:
        """The child number that an orphan shows to be its own, by what it carries."""
        environment = environment_of(entry.pid) or b""
        mark = f"{PART_VARIABLE}={self.token}.".encode()
        at = environment.find(mark)
        if at >= 0:
            number = environment[at + len(mark) :].split(b"\0", 1)[0]
            return int(number) if number.isdigit() else None
        for child, spawned in list(self.spawned.items()):
            if spawned.pid in (entry.session, entry.group):
                return child
        if environment.strip(b"\0"):
            return None
        # A PostgreSQL backend wipes its environment and leads a session of its own.
        program = program_of(entry.pid)
        same = [c for c, s in list(self.spawned.items()) if s.program == program]
        return same[-1] if same else None

    def _latest_before(self, entry: Entry) -> int | None:
        """The last child started before the orphan was: the likeliest when nothing else tells."""
        older = [c for c, s in list(self.spawned.items()) if s.started <= entry.started]
        return older[-1] if older else None

"""Whose processes answer at an address of this machine: the servers that the user runs himself.

A dependency given by URL is nobody's child, but when it runs here its CPU is part of what a request
costs. Its processes are only ever looked at: nothing in this module signals one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import msgspec

from loadpath.deploy.address import Address, addresses_of, is_this_machine
from loadpath.deploy.processes import Entry, look, name_of
from loadpath.deploy.sockets import LISTEN, Connection, holders_of, tcp_sockets

AGAIN_S = 1.0
"""So often at most the processes are looked for again when one of them has ended."""

FORWARDERS = frozenset({"docker-proxy", "rootlessport", "rootlesskit", "slirp4netns", "kubectl"})
"""These only pass bytes on to a server in a container, whose own processes they are not."""

_ANY = ("0.0.0.0", "::")


class Listeners(msgspec.Struct, frozen=True):
    """The processes that listen at an address; `unseen` says why some cannot be told, or is ""."""

    pids: tuple[int, ...]
    unseen: str = ""


def listeners_at(address: Address) -> Listeners:
    """Every process that holds a listening socket of that address, in the order of their pids.

    A forking server has several; those that only descend from one are not among them. None for an
    address that is not of this machine.
    """
    if not is_this_machine(address.host):
        return Listeners(())
    sockets = _listening(address)
    holders = holders_of(socket.inode for socket in sockets)
    pids = tuple(sorted({pid for held in holders.values() for pid in held}))
    if not sockets:
        return Listeners((), "no process of this machine listens there; in a container, perhaps")
    if any(socket.inode not in holders for socket in sockets):
        return Listeners(pids, "its processes belong to another user")
    if all(name_of(pid) in FORWARDERS for pid in pids):
        return Listeners(pids, f"{name_of(pids[0])} only passes on to it")
    return Listeners(pids)


def _listening(address: Address) -> list[Connection]:
    """Those of the address itself, else those of any address, as the kernel chooses them."""
    found = []
    every = [s for s in tcp_sockets() if s.state == LISTEN and s.local.port == address.port]
    for host in addresses_of(address.host):
        own = [s for s in every if s.local.host == host]
        found += own or [s for s in every if s.local.host in _ANY]
    return list(dict.fromkeys(found))


class GivenServers:
    """The processes of dependencies given by URL that run on this machine, by name.

    A process that serves two of them is the first one's.
    """

    def __init__(self, addresses: Mapping[str, Address]) -> None:
        self._addresses = dict(addresses)
        self._found: dict[str, Listeners] = {}
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self._looked_s = 0.0
        self._lock = threading.Lock()

    def look(self) -> None:
        """Look for them. Takes a while on a machine with thousands of open files."""
        with self._lock:
            self._look()

    def roots(self) -> dict[str, tuple[int, ...]]:
        """The pids that all processes of each descend from, as they were when last looked for, or
        now when one of those has ended since. May be called from any thread."""
        with self._lock:
            gone = any(not _lives(entry) for known in self._entries.values() for entry in known)
            if not self._found or (gone and time.monotonic() - self._looked_s >= AGAIN_S):
                self._look()
            return {
                name: tuple(entry.pid for entry in known if _lives(entry))
                for name, known in self._entries.items()
            }

    def unseen(self) -> dict[str, str]:
        """Why processes of some cannot be told, by name."""
        self.roots()
        with self._lock:
            return {name: found.unseen for name, found in self._found.items() if found.unseen}

    def _look(self) -> None:
        taken: set[int] = set()
        for name, address in self._addresses.items():
            self._found[name] = found = listeners_at(address)
            entries = (look(pid) for pid in found.pids if pid not in taken)
            self._entries[name] = tuple(e for e in entries if e is not None and not e.ended)
            taken.update(found.pids)
        self._looked_s = time.monotonic()


def _lives(entry: Entry) -> bool:
    now = look(entry.pid)
    return now is not None and now.started == entry.started and not now.ended

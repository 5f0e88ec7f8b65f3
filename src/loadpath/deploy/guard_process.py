"""The guard: a small process that starts everything for Loadpath and outlives it by seconds.

It leads its own session, adopts every orphan among its descendants, and watches a socket to
Loadpath. When Loadpath ends, whatever ended it, the guard continues what was stopped, asks
everything to end, kills what is left, removes the temporary folders, and ends itself.

Standard library only. Messages are JSON objects after a 4-byte length (big-endian); file
descriptors travel beside the message that names them.
"""

from __future__ import annotations

import array
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import time
import traceback
from typing import Any

from loadpath.deploy.family import Family
from loadpath.deploy.guard_child import HANDLED, Failure, start
from loadpath.deploy.leftovers import SharedMemory, remove_path, unmount
from loadpath.deploy.processes import (
    adopt_orphans,
    children_of,
    look,
    program_of,
    send,
    table,
)

GRACE_S = 1.5
"""How long everything may take to end by itself once Loadpath is gone."""
GIVE_UP_S = 20.0
"""After this the guard stops waiting for what even SIGKILL does not end."""
_TICK_S = 0.02


class _Ending:
    """One child, with all that belongs to it, on its way out."""

    def __init__(self, child: int, sig: int, deadline_s: float) -> None:
        self.child = child
        self.signal = sig
        self.deadline_s = deadline_s
        self.asked: set[int] = set()
        self.killed: set[int] = set()


class _Guard:
    def __init__(self, control: socket.socket, loadpath: int, token: str) -> None:
        self.control = control
        self.loadpath = loadpath
        self.family = Family(token, os.getpid())
        self.memory = SharedMemory()
        self.paths: dict[str, None] = {}
        self.mounts: dict[str, None] = {}
        self.endings: list[_Ending] = []
        self.buffer = bytearray()
        self.descriptors: list[int] = []
        self.finished = False

    # What is told to and heard from Loadpath

    def tell(self, message: dict[str, Any]) -> None:
        payload = json.dumps(message).encode()
        try:
            self.control.sendall(struct.pack("!I", len(payload)) + payload)
        except OSError:
            self.finished = True

    def hear(self) -> None:
        """Read what came and act on every whole message; the end of the stream ends the guard."""
        descriptors = array.array("i")
        try:
            data, ancillary, _, _ = self.control.recvmsg(
                1 << 16, socket.CMSG_SPACE(32 * descriptors.itemsize)
            )
        except OSError:
            data, ancillary = b"", []
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                whole = len(content) - len(content) % descriptors.itemsize
                descriptors.frombytes(content[:whole])
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
            self.descriptors.append(descriptor)
        if not data:
            self.finished = True
            return
        self.buffer += data
        while len(self.buffer) >= 4:
            (length,) = struct.unpack_from("!I", self.buffer)
            if len(self.buffer) < 4 + length:
                return
            message = json.loads(bytes(self.buffer[4 : 4 + length]))
            del self.buffer[: 4 + length]
            self.obey(message)

    def obey(self, message: dict[str, Any]) -> None:
        match message["do"]:
            case "spawn":
                self.spawn(message)
            case "signal":
                self.signal(message["child"], message["signal"])
            case "end":
                self.begin_ending(message["child"], message["signal"], message["timeout_s"])
            case "remove":
                self.paths[message["path"]] = None
            case "forget":
                self.paths.pop(message["path"], None)
            case "mount":
                self.mounts[message["path"]] = None
            case "note":
                self.note(message["child"])
            case "finish":
                self.finished = True

    # Children

    def spawn(self, order: dict[str, Any]) -> None:
        child: int = order["child"]
        given = [self.descriptors.pop(0) for _ in order["targets"]]
        started = start(order, given, self.family.token)
        for descriptor in given:
            os.close(descriptor)
        if isinstance(started, Failure):
            self.tell({"child": child, "failed": started})
            return
        program = program_of(started) or order["argv"][0]
        self.family.add(child, started, program, order["stop_signal"])
        self.tell({"child": child, "pid": started, "program": program})

    def signal(self, child: int, sig: int) -> None:
        """Signal a child that has not been reaped; one that has, has no pid any more."""
        pid = self.family.spawned[child].pid
        if self.family.alive.get(pid) == child:
            if sig == signal.SIGKILL:
                self.note(child)
            os.kill(pid, sig)

    def note(self, child: int) -> None:
        owners = self.family.owners(table())
        self.memory.note(pid for pid, owner in owners.items() if owner == child)

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.family.alive.pop(pid, None)
            if child is not None:
                self.tell({"child": child, "exited": os.waitstatus_to_exitcode(status)})

    # Endings

    def begin_ending(self, child: int, sig: int, timeout_s: float) -> None:
        self.endings.append(_Ending(child, sig, time.monotonic() + timeout_s))
        self.continue_endings()

    def ask_to_end(self, members: list[int], sig: int, asked: set[int]) -> None:
        """Continue all, then signal the groups of those that are our own children.

        Deeper ones are their parents' to end. `asked` are groups that were asked before: many a
        server takes a second signal to mean at once.
        """
        entries = [entry for pid in members if (entry := look(pid)) is not None]
        for entry in entries:
            send(entry, signal.SIGCONT)
        groups = {entry.group for entry in entries if entry.parent == os.getpid()}
        for group in groups - asked - {os.getpgrp()}:
            asked.add(group)
            try:
                os.killpg(group, sig)
            except (ProcessLookupError, PermissionError):
                continue

    def continue_endings(self) -> None:
        owners = self.family.owners(table())
        for ending in list(self.endings):
            members = [pid for pid, owner in owners.items() if owner == ending.child]
            if not members and self.family.spawned[ending.child].pid not in self.family.alive:
                # So that not even their pids are left when it is said that they are gone.
                self.reap()
                # One that was forked while the table was read is in the next.
                if ending.child in self.family.owners(table()).values():
                    continue
                self.endings.remove(ending)
                self.tell({"child": ending.child, "ended": len(ending.killed)})
            elif time.monotonic() >= ending.deadline_s:
                self.kill(members)
                ending.killed.update(members)
            else:
                # Those whose parent has ended without ending them come to us, and are asked then.
                self.ask_to_end(members, ending.signal, ending.asked)

    def kill(self, members: list[int]) -> None:
        self.memory.note(members)
        for pid in members:
            if (entry := look(pid)) is not None:
                send(entry, signal.SIGKILL)

    def end_everything(self) -> None:
        """End every descendant, then remove what they leave."""
        began_s = time.monotonic()
        asked: set[int] = set()
        self.reap()
        self.memory.note(self.family.owners(table()))
        while children_of(os.getpid()) and time.monotonic() - began_s < GIVE_UP_S:
            owners = self.family.owners(table())
            if time.monotonic() - began_s > GRACE_S:
                self.kill(list(owners))
            else:
                for number, child in self.family.spawned.items():
                    members = [pid for pid, owner in owners.items() if owner == number]
                    self.ask_to_end(members, child.stop_signal, asked)
            time.sleep(_TICK_S)
            self.reap()
        self.memory.remove(self.family.seen)
        for path in reversed(self.mounts):
            unmount(path)
        for path in reversed(self.paths):
            remove_path(path)

    # The loop

    def run(self) -> None:
        wake, waker = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        for sig in HANDLED:
            signal.signal(sig, _only_wake)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        parent = _watch(self.loadpath)
        if parent is not None:
            poll.register(parent, select.POLLIN)
        self.tell({"ready": True})
        while not self.finished:
            ready = poll.poll(_TICK_S * 1000 if self.endings else None)
            for descriptor, _ in ready:
                if descriptor == self.control.fileno():
                    self.hear()
                elif descriptor == wake:
                    self.finished |= any(n != signal.SIGCHLD for n in os.read(wake, 512))
                else:
                    self.finished = True
            self.reap()
            if self.endings:
                self.continue_endings()


def _only_wake(number: int, frame: object) -> None:
    """The wake-up descriptor tells the loop; there is nothing to do here."""


def _watch(pid: int) -> int | None:
    """A descriptor that becomes readable when that process ends, however it ends."""
    if os.getppid() != pid:
        raise ProcessLookupError(errno.ESRCH, "Loadpath ended before its guard began")
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def main() -> None:
    """`python -m loadpath.deploy.guard_process DESCRIPTOR PID TOKEN`, started by `guard.Guard`."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    guard = _Guard(control, int(sys.argv[2]), sys.argv[3])
    adopt_orphans()
    try:
        guard.run()
    except BaseException:
        guard.tell({"fault": traceback.format_exc()})
        raise
    finally:
        guard.end_everything()
        guard.tell({"finished": True})

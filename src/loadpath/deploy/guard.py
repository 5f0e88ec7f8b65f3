"""Loadpath's side of the guard: starting, signaling and ending processes through it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from loadpath.deploy import processes
from loadpath.deploy.family import Family
from loadpath.deploy.folders import new_name, temporary_root
from loadpath.deploy.guard_link import Link
from loadpath.deploy.leftovers import SharedMemory, remove_path, unmount
from loadpath.deploy.orphans import Adoption, end_orphans
from loadpath.errors import LoadpathError, WouldNotRunError

_START_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 30.0
_SOURCES = Path(__file__).resolve().parents[2]
# Without site-packages and the user's settings: it starts in a third of the time.
_BOOT = (
    sys.executable,
    "-I",
    "-S",
    "-c",
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from loadpath.deploy.guard_process import main; main()",
)


class GuardedChild:
    """A process that the guard started. `returncode` is None while it runs, −N after signal N."""

    def __init__(self, guard: Guard, number: int, name: str, pid: int) -> None:
        self.pid = pid
        self.name = name
        self.returncode: int | None = None
        self.number = number
        self._guard = guard
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        """Wait until it has ended; its return code."""
        return await asyncio.shield(self._exited)

    def signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended (its pid may be another process's by then)."""
        if self.returncode is None:
            self._guard.post({"do": "signal", "child": self.number, "signal": int(sig)})

    def exit_is(self, returncode: int) -> None:
        """Note that it has ended; called by its guard."""
        if self.returncode is None:
            self.returncode = returncode
            self._exited.set_result(returncode)


def exit_words(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode >= 0:
        return f"exited with {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


class Guard:
    """Starts processes that do not outlive Loadpath, whatever ends Loadpath. Async context manager.

    Leaving the context ends everything that was started in it. Raises `WouldNotRunError` from
    `spawn`, `end` and `raise_if_lost` when the guard process itself was killed; what it had started
    is ended by then.
    """

    def __init__(self) -> None:
        self.lost: WouldNotRunError | None = None
        self._token = secrets.token_hex(8)
        self._numbers = 0
        self._children: dict[int, GuardedChild] = {}
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._endings: dict[int, list[asyncio.Future[int]]] = {}
        self._paths: dict[Path, None] = {}
        self._mounts: dict[Path, None] = {}
        self._fault: str | None = None
        self._closing = False

    @property
    def pid(self) -> int:
        """The guard process."""
        return self._process.pid

    async def __aenter__(self) -> Guard:
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._memory = SharedMemory()
        self._temporary_root = temporary_root()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            # Popen returns once the program has begun, in milliseconds.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                [*_BOOT, str(_SOURCES), str(theirs.fileno()), str(os.getpid()), self._token],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        Adoption.begin()
        self._family = Family(self._token, self._process.pid)
        self._link = Link(ours, self._take, self._hang_up)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await asyncio.wait((self._ready, self._closed), return_when="FIRST_COMPLETED")
            self.raise_if_lost()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        fds: Mapping[int, int] | None = None,
        stdout: int | None = None,
        user: int | None = None,
        group: int | None = None,
        stop_signal: int = signal.SIGTERM,
        death_signal: int = signal.SIGKILL,
        cores: Sequence[int] | None = None,
    ) -> GuardedChild:
        """Start a program in a session of its own.

        `fds` maps descriptor numbers in the child to ours; `stdout` takes both of its outputs
        (None: nowhere). `env` and `cwd` None are this process's own. `user` and `group` are ids to
        become, for root. `stop_signal` is what asks it to end when Loadpath ends, `death_signal`
        what the kernel sends it when the guard is killed. `cores` are the numbers of those that
        it and all it starts may run on. Raises `OSError` when it cannot be started.
        """
        self.raise_if_lost()
        if self._closed.done():
            raise RuntimeError("the guard is closed: nothing can be started any more")
        self._numbers += 1
        number = self._numbers
        descriptors = {} if stdout is None else {1: stdout, 2: stdout}
        descriptors.update(fds or {})
        reply: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._replies[number] = reply
        message = {
            "do": "spawn",
            "child": number,
            "argv": [str(word) for word in argv],
            "env": dict(os.environ if env is None else env),
            "cwd": str(Path.cwd() if cwd is None else cwd),
            "targets": list(descriptors),
            "user": user,
            "group": user if group is None else group,
            "stop_signal": int(stop_signal),
            "death_signal": int(death_signal),
            "cores": None if cores is None else list(cores),
        }
        self.post(message, tuple(os.dup(descriptor) for descriptor in descriptors.values()))
        try:
            answer = await asyncio.shield(reply)
        except asyncio.CancelledError:
            reply.add_done_callback(lambda done: self._end_unwanted(number, done))
            raise
        if "failed" in answer:
            stage, code, text = answer["failed"]
            raise OSError(code, text, str(cwd) if stage == "directory" else str(argv[0]))
        child = self._children[number]
        child.name = name
        return child

    async def end(self, child: GuardedChild, *, timeout_s: float, sig: int = signal.SIGTERM) -> int:
        """End a child and everything that belongs to it; how many had to be killed.

        They are continued, asked with `sig` and, after `timeout_s` seconds, killed.
        """
        self.raise_if_lost()
        if self._closed.done():
            return 0
        ended: asyncio.Future[int] = self._loop.create_future()
        self._endings.setdefault(child.number, []).append(ended)
        self.post({"do": "end", "child": child.number, "signal": int(sig), "timeout_s": timeout_s})
        killed = await ended
        self.raise_if_lost()
        return killed

    def roots(self, child: GuardedChild) -> tuple[int, ...]:
        """The pids that everything of a child descends from: its own, and adopted orphans of it."""
        found = []
        for pid in processes.children_of(self.pid):
            known = self._family.alive.get(pid)
            if known is None and (entry := processes.look(pid)) is not None and not entry.ended:
                known = self._family.owner(entry)
            if known == child.number:
                found.append(pid)
        return tuple(found)

    def note_memory(self, child: GuardedChild) -> None:
        """Have the guard remember the shared memory of a child, to remove if it is killed."""
        self.post({"do": "note", "child": child.number})

    def make_folder(self, prefix: str = "loadpath-") -> Path:
        """A new private temporary folder on a disk, removed when Loadpath ends."""
        folder = self._temporary_root / new_name(prefix)
        # Told before it is made: Loadpath may be killed between the two.
        self.remove_at_end(folder)
        folder.mkdir(mode=0o700)
        return folder

    def remove_at_end(self, path: Path) -> None:
        """Have the guard remove a file or folder tree when Loadpath ends, whatever ends it.

        Raises `ValueError` for a path that is not a temporary one of somebody's own making.
        """
        path = path.absolute()
        here, home = Path.cwd(), Path.home()
        if path in (here, home, *here.parents, *home.parents) or path.is_mount():
            raise ValueError(f"{path} is no temporary folder: it will not be removed")
        self._paths[path] = None
        self.post({"do": "remove", "path": str(path)})

    async def remove_now(self, path: Path) -> None:
        """Remove a path before the end."""
        if await asyncio.to_thread(remove_path, str(path)):
            self._paths.pop(path, None)
            self.post({"do": "forget", "path": str(path)})

    def unmount_at_end(self, path: Path) -> None:
        """Have the guard unmount what is mounted there when Loadpath ends, whatever ends it.

        Told before it is mounted: Loadpath may be killed between the two.
        """
        self._mounts[path.absolute()] = None
        self.post({"do": "mount", "path": str(path.absolute())})

    def raise_if_lost(self) -> None:
        """Raise `WouldNotRunError` when the guard process has ended before its time."""
        if self.lost is not None:
            raise self.lost

    def post(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        """Send the guard a message, and descriptors, which are closed here."""
        self._link.send(message, descriptors)

    def _take(self, message: dict[str, Any]) -> None:
        number = message.get("child", 0)
        if "exited" in message:
            child = self._children[number]
            self._family.alive.pop(child.pid, None)
            child.exit_is(message["exited"])
        elif "ended" in message:
            for ended in self._endings.pop(number, []):
                if not ended.done():
                    ended.set_result(message["ended"])
        elif "pid" in message or "failed" in message:
            if "pid" in message:
                # Made here, not in spawn: the news of its end may be in the same read.
                pid = message["pid"]
                self._children[number] = GuardedChild(self, number, str(number), pid)
                self._family.add(number, pid, message["program"], signal.SIGTERM)
            self._replies.pop(number).set_result(message)
        elif "ready" in message and not self._ready.done():
            self._ready.set_result(None)
        elif "fault" in message:
            self._fault = message["fault"]

    def _end_unwanted(self, number: int, reply: asyncio.Future[dict[str, Any]]) -> None:
        """End a child whose spawn was cancelled before it was heard of."""
        if reply.exception() is None and number in self._children:
            message = {"do": "end", "child": number, "signal": int(signal.SIGTERM)}
            self.post({**message, "timeout_s": 1.0})

    # The end

    def _hang_up(self) -> None:
        """The guard is gone. Unless it was asked to go, end what it leaves to us."""
        self._closed.set_result(None)
        if not self._closing:
            self.lost = WouldNotRunError(
                f"the guard process (pid {self.pid}) was ended from outside; "
                "everything it had started has been ended too"
                + (f"\n{self._fault}" if self._fault else ""),
                advice="Run it again. Ending Loadpath itself ends all that it started.",
            )
            self._process.wait()
            end_orphans(self._family, self._memory, reversed(self._paths), reversed(self._mounts))
        for child in self._children.values():
            child.exit_is(-signal.SIGKILL)
        for ended in [future for futures in self._endings.values() for future in futures]:
            if not ended.done():
                ended.set_result(0)
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(self.lost or LoadpathError("the guard has ended"))

    async def _close(self) -> None:
        self._closing = True
        self.post({"do": "finish"})
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await self._closed
        except TimeoutError:
            self._process.kill()
            await self._closed
        finally:
            await asyncio.to_thread(self._process.wait)
            Adoption.end()
            for mount in reversed(self._mounts):
                unmount(str(mount))
            for path in self._paths:
                remove_path(str(path))

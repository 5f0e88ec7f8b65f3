"""One process of ours from outside: started, written to, read from, ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from loadpath.control.codec import CONTROL_FD, LENGTH_BYTES
from loadpath.errors import LoadpathError

END_TIMEOUT_S = 5.0


class Child(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def returncode(self) -> int | None:
        """None while it runs; −N when signal N ended it."""
        ...

    async def wait(self) -> int:
        """Wait until it has ended."""
        ...

    def signal(self, sig: int) -> None:
        """Send it a signal."""
        ...


class Spawn(Protocol):
    """Starts a process, as `Guard.spawn` of loadpath.deploy does."""

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        fds: Mapping[int, int] | None = None,
        stdout: int | None = None,
    ) -> Child:
        """Start `argv`; `fds` maps descriptors of the child to ours."""
        ...


class Link:
    """A process that runs `python -m MODULE` and takes messages at a socket until that is closed.

    Its output goes to `stderr_fd`. Reading and writing raise `LoadpathError` when it is gone.
    """

    def __init__(self, module: str, *, name: str, spawn: Spawn, stderr_fd: int | None) -> None:
        self.child: Child | None = None
        self._module = module
        self._name = name
        self._spawn = spawn
        self._stderr_fd = stderr_fd
        # Of the message whose length was read, should the reader be cancelled.
        self._size: int | None = None
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self.child is not None, f"the {self._name} has not been started"
        return self.child.pid

    @property
    def open(self) -> bool:
        """Whether it was started and not hung up on."""
        return self._writer is not None

    async def start(self) -> None:
        """Start it. What was begun is ended when this fails."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self.child = await self._spawn(
                    [sys.executable, "-m", self._module],
                    name=self._name,
                    fds={CONTROL_FD: theirs.fileno()},
                    stdout=self._stderr_fd,
                )
            ours.setblocking(False)
            self._reader, self._writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            await self.end()
            raise

    def write(self, content: bytes) -> None:
        """Send a message with its length before it."""
        if self._writer is None:
            raise LoadpathError(f"the {self._name} is not running")
        self._writer.write(content)

    async def read(self) -> bytes:
        """The next message, without its length. Raises `EOFError` when none will come.

        Called again after it was cancelled, it goes on where it was.
        """
        try:
            if self._size is None:
                self._size = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES))
            content = await self._reader.readexactly(self._size)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise EOFError from None
        self._size = None
        return content

    async def how_it_ended(self) -> str:
        """`exited with 1`, say, once nothing more is to be read."""
        assert self.child is not None
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                return exit_words(await self.child.wait())
        except TimeoutError:
            return "closed its control socket"

    def hang_up(self) -> None:
        """Close the socket, which ends the process whatever it is at."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def end(self) -> None:
        """Hang up, and kill the process when that does not end it."""
        writer = self._writer
        self.hang_up()
        if writer is not None:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        if self.child is None:
            return
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self.child.wait()
        except TimeoutError:
            self.child.signal(signal.SIGKILL)
            await self.child.wait()


def exit_words(code: int) -> str:
    """How a process ended, in words."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

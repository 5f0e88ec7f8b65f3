"""The cache as the rest of Loadpath sees it: a process of its own behind an async context."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from loadpath.errors import LoadpathError
from loadpath.proxy.plan import (
    ANSWERS,
    CONTROL_FD,
    LENGTH_BYTES,
    Answer,
    AskCounts,
    Begin,
    Begun,
    Command,
    Counts,
    Failed,
    Flush,
    Sample,
    Told,
    encode,
)
from loadpath.spec.keeping import KeepRule

SIZE_BYTES = 64 * 1024 * 1024
END_TIMEOUT_S = 5.0


class Child(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its process id."""
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


class Front:
    """A cache before the service at `host`:`port`, that keeps what `rules` say; without any it
    passes everything on. Leaving the context ends it, and every connection through it.

    Raises `LoadpathError` from any method when its process is gone.
    """

    def __init__(
        self,
        host: str,
        port: int,
        rules: Sequence[KeepRule],
        *,
        spawn: Spawn,
        size_bytes: int = SIZE_BYTES,
    ) -> None:
        self._begin = Begin(host, port, tuple(rules), size_bytes)
        self._spawn = spawn
        self._asking = asyncio.Lock()
        self._child: Child | None = None
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        """Its process, which is a part of its own."""
        assert self._child is not None, "the cache has not been started"
        return self._child.pid

    async def __aenter__(self) -> Front:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._child = await self._spawn(
                    [sys.executable, "-m", "loadpath.proxy"],
                    name="cache",
                    fds={CONTROL_FD: theirs.fileno()},
                )
            ours.setblocking(False)
            self._reader, self._writer = await asyncio.open_connection(sock=ours)
            answer = await self._ask(self._begin)
            if not isinstance(answer, Begun):
                raise LoadpathError(f"the cache answered {type(answer).__name__} to its start")
            self.port = answer.port
        except BaseException:
            ours.close()
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def counts(self) -> Counts:
        """What it has done since it began."""
        return await self._told(AskCounts())

    async def sample(self, every: int) -> Counts:
        """Compare every so-manieth hit with what the service says then; 0: none."""
        return await self._told(Sample(every))

    async def flush(self) -> Counts:
        """Have it forget all that it keeps."""
        return await self._told(Flush())

    async def _told(self, command: Command) -> Counts:
        answer = await self._ask(command)
        if not isinstance(answer, Told):
            raise LoadpathError(
                f"the cache answered {type(answer).__name__} to {type(command).__name__}"
            )
        return answer.counts

    async def _ask(self, command: Command) -> Answer:
        # Shielded: the answer to a cancelled command would be taken for that to the next one.
        answer = await asyncio.shield(asyncio.ensure_future(self._answered(command)))
        if isinstance(answer, Failed):
            raise LoadpathError(f"the cache before the service failed: {answer.message}")
        return answer

    async def _answered(self, command: Command) -> Answer:
        async with self._asking:
            if self._writer is None:
                raise LoadpathError("the cache before the service is not running")
            try:
                self._writer.write(encode(command))
                size = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES))
                return ANSWERS.decode(await self._reader.readexactly(size))
            except (asyncio.IncompleteReadError, ConnectionError):
                raise LoadpathError(
                    "the cache before the service ended by itself, and with it every connection "
                    "through it",
                    advice="Run it again.",
                ) from None

    async def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
            self._writer = None
        if self._child is None:
            return
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self._child.wait()
        except TimeoutError:
            self._child.signal(signal.SIGKILL)
            await self._child.wait()

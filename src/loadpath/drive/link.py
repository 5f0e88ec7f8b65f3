"""One engine process from outside: started, asked, answered, ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from loadpath import errors
from loadpath.drive import messages
from loadpath.drive.messages import (
    CONTROL_FD,
    Answer,
    Begin,
    Command,
    Counted,
    Drawn,
    Failed,
    Finished,
    HoldsChecked,
    LoggedIn,
    LogIn,
    LoginProgress,
    Probed,
    Progress,
    Ready,
    StopSegment,
)
from loadpath.drive.plan import EnginePlan, SegmentProgress
from loadpath.errors import ConfigurationError, LoadpathError

BEGIN_TIMEOUT_S = 60.0
END_TIMEOUT_S = 5.0

OnProgress = Callable[[SegmentProgress], None]
OnLogins = Callable[[int, int], None]
_A = TypeVar("_A", Ready, Finished, Probed, HoldsChecked, Counted, LoggedIn)


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
    """The process that drives a plan, or its part of one. One question is asked at a time.

    Raises `LoadpathError` from any method when the process is gone.
    """

    def __init__(
        self,
        plan: EnginePlan,
        spawn: Spawn,
        stderr_fd: int | None,
        on_logins: OnLogins | None = None,
    ) -> None:
        self._plan = plan
        self._on_logins = on_logins
        self._spawn = spawn
        self._stderr_fd = stderr_fd
        self._child: Child | None = None
        self._unanswered = 0
        self._size: int | None = (
            None  # of the message whose length was read, should we be cancelled
        )
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._child is not None, "the engine has not been started"
        return self._child.pid

    async def begin(self) -> None:
        """Start the process, tell it the plan, and let it log the identities in.

        Raises `ConfigurationError` when the plan cannot be driven, `WouldNotRunError` when an
        identity cannot log in.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._child = await self._spawn(
                    [sys.executable, "-m", "loadpath.drive"],
                    name="load engine",
                    fds={CONTROL_FD: theirs.fileno()},
                    stdout=self._stderr_fd,
                )
            ours.setblocking(False)
            self._reader, self._writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            await self.end()
            raise
        try:
            try:
                async with asyncio.timeout(BEGIN_TIMEOUT_S):
                    await self.ask(Begin(self._plan), Ready)
            except TimeoutError:
                raise LoadpathError(
                    f"the load engine did not begin within {BEGIN_TIMEOUT_S:g} s"
                ) from None
            if self._plan.workload.identities is not None:
                await self.ask(LogIn(), LoggedIn)
        except BaseException:
            await self.end()
            raise

    async def ask(
        self,
        command: Command,
        wanted: type[_A],
        on_progress: OnProgress | None = None,
        on_drawn: Callable[[], None] | None = None,
    ) -> _A:
        """Send a command and wait for its answer; raise what it says went wrong.

        When this is cancelled or a callback raises, the segment that runs is stopped.
        """
        self.send(command)
        self._unanswered += 1
        try:
            answer = await self._final_answer(on_progress, on_drawn)
        except BaseException:
            with contextlib.suppress(LoadpathError):
                self.send(StopSegment())
            raise
        if isinstance(answer, Failed):
            raise _as_error(answer)
        if isinstance(answer, wanted):
            return answer
        raise LoadpathError(
            f"the load engine answered {type(answer).__name__} to {type(command).__name__}"
        )

    async def _final_answer(
        self, on_progress: OnProgress | None, on_drawn: Callable[[], None] | None
    ) -> Answer:
        """The answer to the latest command, past those to commands that nobody waited for."""
        while True:
            answer = await self._receive()
            if isinstance(answer, Progress):
                if on_progress is not None and self._unanswered == 1:
                    on_progress(answer.progress)
            elif isinstance(answer, Drawn):
                if on_drawn is not None and self._unanswered == 1:
                    on_drawn()
            elif isinstance(answer, LoginProgress):
                if self._on_logins is not None:
                    self._on_logins(answer.done, answer.total)
            else:
                self._unanswered -= 1
                if self._unanswered == 0:
                    return answer

    def send(self, command: Command) -> None:
        """Send a command that has no answer, or whose answer is waited for elsewhere."""
        if self._writer is None:
            raise LoadpathError("the load engine is not running")
        self._writer.write(messages.encode(command))

    async def _receive(self) -> Answer:
        try:
            if self._size is None:
                self._size = int.from_bytes(await self._reader.readexactly(messages.LENGTH_BYTES))
            content = await self._reader.readexactly(self._size)
            self._size = None
            return messages.decode_answer(content)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise LoadpathError(f"the load engine {await self._how_it_ended()}") from None

    async def _how_it_ended(self) -> str:
        assert self._child is not None
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                code = await self._child.wait()
        except TimeoutError:
            return "closed its control socket"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"exited with {code}"

    def hang_up(self) -> None:
        """Close the control socket, which ends the process whatever it is at."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def end(self) -> None:
        """Hang up, and kill the process when that does not end it."""
        self.hang_up()
        if self._child is None:
            return
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self._child.wait()
        except TimeoutError:
            self._child.signal(signal.SIGKILL)
            await self._child.wait()


def _as_error(failed: Failed) -> LoadpathError:
    """What the engine process raised, raised again here."""
    kind = getattr(errors, failed.kind, None)
    if kind is ConfigurationError:
        return ConfigurationError(
            failed.message, file=failed.file, line=failed.line, advice=failed.advice
        )
    if isinstance(kind, type) and issubclass(kind, LoadpathError):
        return kind(failed.message, advice=failed.advice)
    return LoadpathError(f"the load engine failed: {failed.message}", advice=failed.advice)

"""The load engine as the rest of Loadpath sees it: a process of its own behind an async context."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from loadpath import errors
from loadpath.drive import messages
from loadpath.drive.messages import (
    CONTROL_FD,
    Answer,
    Begin,
    CheckHolds,
    Command,
    Failed,
    Finished,
    HoldsChecked,
    Probe,
    Probed,
    Progress,
    Ready,
    RunSegment,
    StopSegment,
)
from loadpath.drive.plan import (
    EnginePlan,
    HoldsResult,
    ProbeReply,
    Segment,
    SegmentProgress,
    SegmentResult,
)
from loadpath.errors import ConfigurationError, LoadpathError

BEGIN_TIMEOUT_S = 60.0
END_TIMEOUT_S = 5.0
HOLDS_BUDGET_S = 30.0

OnProgress = Callable[[SegmentProgress], None]
_A = TypeVar("_A", Ready, Finished, Probed, HoldsChecked)


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


class Engine:
    """A running load engine, bound to one plan. One command runs at a time.

    Raises `ConfigurationError` on entry when the plan cannot be driven, and `LoadpathError` from
    any method when the engine process is gone.
    """

    def __init__(self, plan: EnginePlan, *, spawn: Spawn, stderr_fd: int | None = None) -> None:
        self.plan = plan
        self._spawn = spawn
        self._stderr_fd = stderr_fd
        self._busy = asyncio.Lock()
        self._child: Child | None = None
        self._unanswered = 0
        self._size: int | None = (
            None  # of the message whose length was read, should we be cancelled
        )
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int:
        """The engine process."""
        assert self._child is not None, "the engine has not been started"
        return self._child.pid

    async def __aenter__(self) -> Engine:
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
            await self._end()
            raise
        try:
            async with asyncio.timeout(BEGIN_TIMEOUT_S):
                await self._ask(Begin(self.plan), Ready)
        except TimeoutError:
            await self._end()
            raise LoadpathError(
                f"the load engine did not begin within {BEGIN_TIMEOUT_S:g} s"
            ) from None
        except BaseException:
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

    async def run(self, segment: Segment, on_progress: OnProgress | None = None) -> SegmentResult:
        """Drive a segment to its end; its rows are in `segment.requests_path` then.

        `on_progress` is called every 250 ms. When this is cancelled or `on_progress` raises, the
        segment is stopped; what it recorded is there once the next command is answered.
        """
        answer = await self._ask(RunSegment(segment), Finished, on_progress)
        return answer.result

    def stop_segment(self) -> None:
        """End the arrivals of the running segment; `run` returns after the drain."""
        self._send(StopSegment())

    async def probe(self, operation_name: str, times: int) -> list[ProbeReply]:
        """Run one operation `times` times, one after the other, on a connection of its own."""
        return (await self._ask(Probe(operation_name, times), Probed)).replies

    async def check_holds(self, limit: int, *, budget_s: float = HOLDS_BUDGET_S) -> HoldsResult:
        """Check up to `limit` of each kind of what the service acknowledged to flows so far."""
        return (await self._ask(CheckHolds(limit, budget_s), HoldsChecked)).result

    async def _ask(
        self, command: Command, wanted: type[_A], on_progress: OnProgress | None = None
    ) -> _A:
        async with self._busy:
            self._send(command)
            self._unanswered += 1
            try:
                answer = await self._final_answer(on_progress)
            except BaseException:
                with contextlib.suppress(LoadpathError):
                    self.stop_segment()
                raise
        if isinstance(answer, Failed):
            raise _as_error(answer)
        if isinstance(answer, wanted):
            return answer
        raise LoadpathError(
            f"the load engine answered {type(answer).__name__} to {type(command).__name__}"
        )

    async def _final_answer(self, on_progress: OnProgress | None) -> Answer:
        """The answer to the latest command, past those to commands that nobody waited for."""
        while True:
            answer = await self._receive()
            if isinstance(answer, Progress):
                if on_progress is not None and self._unanswered == 1:
                    on_progress(answer.progress)
                continue
            self._unanswered -= 1
            if self._unanswered == 0:
                return answer

    def _send(self, command: Command) -> None:
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

    async def _end(self) -> None:
        """Close the control socket, which ends the process; kill it when that does not."""
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

"""One engine process from outside: started, asked, answered, ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from loadpath.control import link as control
from loadpath.control.failure import Failed, as_error
from loadpath.control.link import Spawn
from loadpath.drive.messages import (
    CODEC,
    Answer,
    Begin,
    Command,
    Counted,
    Drawn,
    Finished,
    HoldsChecked,
    LoggedIn,
    LogIn,
    LoginProgress,
    Probed,
    Progress,
    Ready,
    StopSegment,
    VariantsAsked,
)
from loadpath.drive.plan import EnginePlan, SegmentProgress
from loadpath.errors import LoadpathError

BEGIN_TIMEOUT_S = 60.0

OnProgress = Callable[[SegmentProgress], None]
OnLogins = Callable[[int, int], None]
_A = TypeVar("_A", Ready, Finished, Probed, HoldsChecked, Counted, VariantsAsked, LoggedIn)


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
        self._link = control.Link(
            "loadpath.drive", name="load engine", spawn=spawn, stderr_fd=stderr_fd
        )
        self._unanswered = 0

    @property
    def pid(self) -> int:
        """The process."""
        return self._link.pid

    async def begin(self) -> None:
        """Start the process, tell it the plan, and let it log the identities in.

        Raises `ConfigurationError` when the plan cannot be driven, `WouldNotRunError` when an
        identity cannot log in.
        """
        await self._link.start()
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
            raise as_error(answer, "load engine")
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
        self._link.write(CODEC.encode(command))

    async def _receive(self) -> Answer:
        try:
            return CODEC.answer(await self._link.read())
        except EOFError:
            raise LoadpathError(f"the load engine {await self._link.how_it_ended()}") from None

    def hang_up(self) -> None:
        """Close the control socket, which ends the process whatever it is at."""
        self._link.hang_up()

    async def end(self) -> None:
        """Hang up, and kill the process when that does not end it."""
        await self._link.end()

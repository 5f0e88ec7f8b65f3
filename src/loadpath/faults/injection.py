"""A fault on its way: begun, healed, and cleaned up after in any case."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from loadpath.deploy.processes import Entry
from loadpath.errors import LoadpathError
from loadpath.events import Warned
from loadpath.faults.fault import Fault, Hits
from loadpath.faults.stage import Stage
from loadpath.tap import OrderState

Undo: TypeAlias = Callable[[], Awaitable[None]]


class Injection:
    """One fault on one stage. Times are monotonic, nan before it has come to that.

    Faults keep here what they have done: `struck` are the processes they signaled, `gone` how many
    of them were seen to end, `orders` the numbers of their orders to the taps, `states` what
    became of those that were withdrawn; `restart` is the supervisor of a service that was ended,
    `accepts_s` when that took connections again, before it served.
    """

    def __init__(self, fault: Fault, stage: Stage) -> None:
        self.fault = fault
        self.stage = stage
        self.onset_s = math.nan
        self.healed_s = math.nan
        self.accepts_s = math.nan
        self.struck: list[Entry] = []
        self.gone = 0
        self.notes: list[str] = []
        self.orders: list[int] = []
        self.states: dict[int, OrderState] = {}
        self.restart: asyncio.Task[None] | None = None
        self.small: Path | None = None
        self.log_from = 0
        self._undo: list[tuple[str, Undo]] = []
        self._tasks: list[asyncio.Task[None]] = []

    # For whoever injects

    async def prepare(self) -> None:
        """Do what must be done before the control run. Raises `LoadpathError`."""
        try:
            await self.fault.prepare(self)
        except BaseException:
            await self.clean_up()
            raise

    async def onset(self) -> None:
        """Begin. When it fails half-way, what was begun is undone. Raises `LoadpathError`."""
        self.stage.injections.append(self)
        self.onset_s = time.monotonic()
        try:
            await self.fault.onset(self)
        except BaseException:
            await self.clean_up()
            raise

    async def heal(self) -> None:
        """End the fault; returns once everything could work again. Raises `LoadpathError`."""
        if math.isnan(self.healed_s) and not math.isnan(self.onset_s):
            await self.fault.heal(self)
            self.healed_s = time.monotonic()

    async def hits(self) -> Hits:
        """The proof that it hit something; `count` 0: it did not, and says nothing."""
        return await self.fault.hits(self)

    async def clean_up(self) -> None:
        """Undo whatever is not undone yet; always called, once more does nothing.

        What cannot be undone is told as a warning, and the rest is undone all the same.
        """
        await self.stop_meanwhile()
        while self._undo:
            what, undo = self._undo.pop()
            try:
                await undo()
            except (LoadpathError, OSError) as error:
                self.stage.emit(
                    Warned(
                        at_s=time.time(),
                        message=f"{self.fault.name}: could not {what}: {error}",
                        advice="It ends with the deployment.",
                    )
                )

    # For faults

    async def stop_meanwhile(self) -> None:
        """End what is done beside the load."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def undo(self, what: str, how: Undo) -> None:
        """Have `how` called when it heals or is given up, the last first. `what` reads "could not
        …"."""
        self._undo.append((what, how))

    def meanwhile(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have something done beside the load, until the clean-up."""
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task


@asynccontextmanager
async def inject(fault: Fault, stage: Stage) -> AsyncIterator[Injection]:
    """A fault that lasts as long as the context, unless `heal` ends it before; never longer."""
    injection = Injection(fault, stage)
    try:
        await injection.onset()
        yield injection
        await injection.heal()
    finally:
        # Not to be cut short by the interrupt that brought us here.
        await asyncio.shield(asyncio.ensure_future(injection.clean_up()))

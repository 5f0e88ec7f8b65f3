"""What all recordings of one command share: the guard, a scratch folder, the seeded data."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from loadpath.deploy import Guard, Snapshot, prepare_data
from loadpath.events import AnyEvent, EventSink, Warned
from loadpath.faults import Fault
from loadpath.recording import Run
from loadpath.spec import Setup


class Session:
    """The frame of one command. Open it with `open_session`.

    `run` receives the recordings; `audit` has engines measure their reading too; `faults` are those
    that the user named, none: as the plan says. The scratch folder dies with the guard, whatever
    ends Loadpath.
    """

    def __init__(
        self,
        guard: Guard,
        run: Run,
        scratch: Path,
        emit: EventSink,
        ends_s: float,
        *,
        audit: bool = False,
    ) -> None:
        self.audit = audit
        self.faults: tuple[Fault, ...] = ()
        self.guard = guard
        self.run = run
        self.scratch = scratch
        self._told: list[EventSink] = [emit]
        self._ends_s = ends_s
        self._kept_s = 0.0
        self._snapshots: dict[Path, Snapshot] = {}
        self._warned: set[str] = set()

    def emit(self, event: AnyEvent) -> None:
        """Tell the user, and every recording that is being made."""
        for tell in self._told:
            tell(event)

    def warn_once(self, message: str, advice: str) -> None:
        """Warn, unless it was said before: what holds for one arm mostly holds for all."""
        if message not in self._warned:
            self._warned.add(message)
            self.emit(Warned(at_s=time.time(), message=message, advice=advice))

    @contextmanager
    def telling(self, also: EventSink) -> Iterator[None]:
        """Tell `also` too, while the context lasts."""
        self._told.append(also)
        try:
            yield
        finally:
            self._told.remove(also)

    def left_s(self) -> float:
        """Seconds left of the user's budget, less what is kept; infinite without one."""
        return self._ends_s - self._kept_s - time.monotonic()

    def keep_for_others(self, seconds: float) -> None:
        """So much of the budget is for what comes after the question that is asked now."""
        self._kept_s = seconds

    async def snapshot(self, setup: Setup) -> Snapshot:
        """The seeded data that every arm of this service starts from; made on the first call.

        It is made with the knobs as they are in that first setup, so that arms which differ in a
        knob or in their workers still start from the same bytes.
        """
        key = setup.service.directory
        if key not in self._snapshots:
            self._snapshots[key] = await prepare_data(
                setup, guard=self.guard, emit=self.emit, folder=self.scratch
            )
        return self._snapshots[key]


@asynccontextmanager
async def open_scratch() -> AsyncIterator[tuple[Guard, Path]]:
    """Start the guard and a scratch folder that it removes, whatever ends Loadpath."""
    async with Guard() as guard:
        yield guard, guard.make_folder()


@asynccontextmanager
async def open_session(
    run: Run, emit: EventSink, budget_s: float = math.inf, *, audit: bool = False
) -> AsyncIterator[Session]:
    """A session that records into `run` and leaves out what no longer fits into `budget_s`."""
    ends_s = time.monotonic() + budget_s
    async with open_scratch() as (guard, scratch):
        yield Session(guard, run, scratch, emit, ends_s, audit=audit)

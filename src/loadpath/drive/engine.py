"""The load engine as the rest of Loadpath sees it: processes of its own behind an async context."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Iterable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TypeVar

import msgspec

from loadpath.control.link import Child, Spawn
from loadpath.drive.link import Link, OnLogins, OnProgress
from loadpath.drive.merge import (
    merge_segment,
    merge_tables,
    merged_effects,
    merged_holds,
    merged_progress,
    merged_result,
    own_paths,
    own_segment,
)
from loadpath.drive.messages import (
    AskVariants,
    CheckHolds,
    Counted,
    CountEffects,
    Finished,
    HoldsChecked,
    Probe,
    Probed,
    RunSegment,
    StartAt,
    StopSegment,
    VariantsAsked,
)
from loadpath.drive.plan import (
    LEAD_S,
    EffectsCounted,
    EffectsWanted,
    EnginePlan,
    Part,
    ProbeReply,
    Segment,
    SegmentProgress,
    SegmentResult,
    VariantsWanted,
)
from loadpath.recording.holds import HoldsRecord
from loadpath.recording.schema import EFFECTS

__all__ = ["Child", "Engine", "OnProgress", "Spawn"]

HOLDS_BUDGET_S = 30.0
_T = TypeVar("_T")


class Engine:
    """A running load engine, bound to one plan. One command runs at a time.

    The identities of the workload are logged in on entry, in each process; `on_logins` is told how
    many of how many are, every 250 ms.

    Raises `ConfigurationError` on entry when the plan cannot be driven, `WouldNotRunError` when an
    identity cannot log in, and `LoadpathError` from any method when an engine process is gone.
    """

    def __init__(
        self,
        plan: EnginePlan,
        *,
        spawn: Spawn,
        stderr_fd: int | None = None,
        on_logins: OnLogins | None = None,
    ) -> None:
        self.plan = plan
        self._on_logins = on_logins
        self._spawn = spawn
        self._stderr_fd = stderr_fd
        self._links: list[Link] = []
        self._busy = asyncio.Lock()
        self._unmerged: list[Path] = []

    @property
    def pid(self) -> int:
        """The first engine process."""
        return self._links[0].pid

    @property
    def pids(self) -> tuple[int, ...]:
        """Every engine process."""
        return tuple(link.pid for link in self._links)

    async def __aenter__(self) -> Engine:
        try:
            await self.grow(max(self.plan.processes, 1))
        except BaseException:
            await self._end()
            raise
        return self

    async def grow(self, processes: int) -> None:
        """Have so many processes from the next segment on, each with a connection at least.

        There are never fewer than before. Raises `ConfigurationError` when the plan cannot be
        driven.
        """
        async with self._busy:
            wanted = min(processes, self.plan.connection_limit)
            new = [
                Link(self.plan, self._spawn, self._stderr_fd, self._on_logins)
                for _ in range(wanted - len(self._links))
            ]
            self._links += new
            await _all(link.begin() for link in new)

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
        segment is stopped; what it recorded is there once the next command is answered, unless
        there are several processes: then it is gone.
        """
        async with self._busy:
            if len(self._links) > 1:
                return await self._run_together(segment, on_progress)
            answer = await self._links[0].ask(RunSegment(segment), Finished, on_progress)
            return answer.result

    def stop_segment(self) -> None:
        """End the arrivals of the running segment; `run` returns after the drain."""
        for link in self._links:
            link.send(StopSegment())

    async def probe(
        self, operation_name: str, times: int, *, pause_s: float = 0.0
    ) -> list[ProbeReply]:
        """Run one operation `times` times, one after the other, on a connection of its own.

        After each comes a pause, in which the engine is quiet.
        """
        async with self._busy:
            answer = await self._links[0].ask(Probe(operation_name, times, pause_s), Probed)
            return answer.replies

    async def ask_variants(self, wanted: VariantsWanted) -> int:
        """Ask requests that the first process sent in the last digested segment in other ways.

        How many were compared; what came of it is in `wanted.path`.
        """
        async with self._busy:
            return (await self._links[0].ask(AskVariants(wanted), VariantsAsked)).count

    async def check_holds(self, limit: int, *, budget_s: float = HOLDS_BUDGET_S) -> HoldsRecord:
        """Check up to `limit` of each kind of what the service acknowledged to flows so far."""
        async with self._busy:
            each = CheckHolds(math.ceil(limit / len(self._links)), budget_s)
            answers = await _all(link.ask(each, HoldsChecked) for link in self._links)
        return merged_holds([answer.result for answer in answers])

    async def count_effects(self, wanted: EffectsWanted) -> EffectsCounted:
        """Look how often the effects are there of what flows tried to write."""
        count = len(self._links)
        paths = [wanted.path.with_name(f"{wanted.path.name}.{i}") for i in range(count)]
        each = msgspec.structs.replace(wanted, limit=math.ceil(wanted.limit / count))
        async with self._busy:
            answers = await _all(
                link.ask(CountEffects(msgspec.structs.replace(each, path=path)), Counted)
                for link, path in zip(self._links, paths, strict=True)
            )
        await asyncio.to_thread(merge_tables, paths, wanted.path, EFFECTS)
        return merged_effects([answer.result for answer in answers])

    async def _run_together(
        self, segment: Segment, on_progress: OnProgress | None
    ) -> SegmentResult:
        """Every process draws the schedule and drives its part of it, from one moment on."""
        waiting = set(self._links)
        heard: dict[Link, SegmentProgress] = {}

        def drawn(link: Link) -> None:
            waiting.discard(link)
            if not waiting:
                at_s = monotonic() + LEAD_S
                for each in self._links:
                    each.send(StartAt(at_s))

        def progressed(link: Link, progress: SegmentProgress) -> None:
            heard[link] = progress
            if (
                on_progress is not None
                and link is self._links[0]
                and len(heard) == len(self._links)
            ):
                on_progress(merged_progress(list(heard.values())))

        def drive(index: int) -> Awaitable[Finished]:
            link = self._links[index]
            own = own_segment(segment, index)
            return link.ask(
                RunSegment(own, Part(index, len(self._links))),
                Finished,
                lambda progress: progressed(link, progress),
                lambda: drawn(link),
            )

        try:
            answers = await _all(drive(index) for index in range(len(self._links)))
            await asyncio.to_thread(merge_segment, segment, len(self._links))
        except BaseException:
            self._unmerged += own_paths(
                segment, len(self._links)
            )  # which may not have been written yet
            raise
        return merged_result([answer.result for answer in answers])

    async def _end(self) -> None:
        for link in self._links:
            link.hang_up()
        await asyncio.gather(*(link.end() for link in self._links))
        for path in self._unmerged:
            path.unlink(missing_ok=True)


async def _all(asked: Iterable[Awaitable[_T]]) -> list[_T]:
    """Every answer; when one fails, the others are not waited for and it is raised."""
    tasks = [asyncio.ensure_future(each) for each in asked]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise

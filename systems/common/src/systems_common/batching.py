"""Group commit for anything: what arrives while a call is under way goes out with the next call.

At a low rate every item is a call of its own, at once. As the rate rises calls carry more items,
so the cost of a call is shared, without a timer and without a delay that somebody has to choose.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Batcher", "OverloadedError"]

K = TypeVar("K")
V = TypeVar("V")


class OverloadedError(Exception):
    """More items wait than the batcher may hold."""


class Batcher(Generic[K, V]):
    """Collects items and hands them to `call` in groups; each item gets its own result.

    `call` gets at most `size_max` items and returns as many results in the same order; what it
    raises is raised to each of them. At most `calls_max` calls are under way at once, and at most
    `waiting_max` items wait for one.
    """

    def __init__(
        self,
        call: Callable[[list[K]], Awaitable[Sequence[V]]],
        *,
        size_max: int,
        calls_max: int,
        waiting_max: int = 100_000,
    ) -> None:
        self._call = call
        self._size_max = size_max
        self._calls_max = calls_max
        self._waiting_max = waiting_max
        self._waiting: deque[tuple[K, asyncio.Future[V]]] = deque()
        self._flush_is_due = False
        self._calls: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def submit(self, item: K) -> asyncio.Future[V]:
        """Take an item; the future is its result. Raises `OverloadedError` when too many wait."""
        if len(self._waiting) >= self._waiting_max:
            raise OverloadedError(f"{self._waiting_max} items wait already")
        future: asyncio.Future[V] = self._loop.create_future()
        self._waiting.append((item, future))
        if not self._flush_is_due and len(self._calls) < self._calls_max:
            # Not now but at the end of this turn of the loop, so that all requests that became
            # readable together share the call.
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        return future

    async def drain(self) -> None:
        """Wait until nothing waits and no call is under way."""
        while self._waiting or self._calls:
            if self._calls:
                await asyncio.wait(self._calls)
            else:
                await asyncio.sleep(0)

    def _flush(self) -> None:
        self._flush_is_due = False
        waiting = self._waiting
        while waiting and len(self._calls) < self._calls_max:
            if len(waiting) <= self._size_max:
                group = list(waiting)
                waiting.clear()
            else:
                group = [waiting.popleft() for _ in range(self._size_max)]
            task = self._loop.create_task(self._run(group))
            self._calls.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if self._waiting and not self._flush_is_due:
            self._flush()

    async def _run(self, group: list[tuple[K, asyncio.Future[V]]]) -> None:
        try:
            results = await self._call([item for item, _ in group])
            if len(results) != len(group):
                raise RuntimeError(f"{len(group)} items went in, {len(results)} results came out")
        except asyncio.CancelledError:
            for _, future in group:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised to each who waits
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)

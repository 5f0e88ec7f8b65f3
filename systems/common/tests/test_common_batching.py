"""Group commit: who shares a call, who gets which result, and what happens when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from systems_common.batching import Batcher, OverloadedError


class Calls:
    """Records groups and answers each item with its double, once it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.groups: list[list[int]] = []
        self.under_way = 0
        self.most_under_way = 0
        self.let_go = asyncio.Event()
        if not held:
            self.let_go.set()

    async def __call__(self, items: list[int]) -> list[int]:
        self.groups.append(items)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.let_go.wait()
        self.under_way -= 1
        return [2 * item for item in items]


def run(test: Callable[[], Awaitable[Any]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await test()

    asyncio.run(bounded())


def test_one_item_alone_goes_at_once() -> None:
    async def test() -> None:
        calls = Calls()
        batcher = Batcher(calls, size_max=10, calls_max=1)
        assert [await batcher.submit(n) for n in (1, 2)] == [2, 4]
        assert calls.groups == [[1], [2]]

    run(test)


def test_what_arrives_meanwhile_shares_the_next_call() -> None:
    async def test() -> None:
        calls = Calls(held=True)
        batcher = Batcher(calls, size_max=4, calls_max=1)
        first = batcher.submit(0)
        await asyncio.sleep(0.01)
        rest = [batcher.submit(n) for n in range(1, 7)]
        calls.let_go.set()
        assert await asyncio.gather(first, *rest) == [2 * n for n in range(7)]
        assert calls.groups == [[0], [1, 2, 3, 4], [5, 6]]
        assert calls.most_under_way == 1

    run(test)


def test_no_more_calls_than_allowed_are_under_way() -> None:
    async def test() -> None:
        calls = Calls(held=True)
        batcher = Batcher(calls, size_max=1, calls_max=3)
        futures = [batcher.submit(n) for n in range(9)]
        await asyncio.sleep(0.01)
        assert calls.under_way == 3
        calls.let_go.set()
        await asyncio.gather(*futures)
        assert calls.most_under_way == 3

    run(test)


def test_a_failure_is_told_to_its_group_only() -> None:
    async def test() -> None:
        async def call(items: list[int]) -> list[int]:
            if 1 in items:
                raise ValueError("one")
            return items

        batcher = Batcher(call, size_max=2, calls_max=1)
        results = await asyncio.gather(
            *(batcher.submit(n) for n in range(4)), return_exceptions=True
        )
        assert [str(result) for result in results] == ["one", "one", "2", "3"]

    run(test)


def test_a_call_that_answers_too_few_is_an_error() -> None:
    async def test() -> None:
        async def call(items: list[int]) -> list[int]:
            return items[1:]

        with pytest.raises(RuntimeError, match="2 items went in, 1 results came out"):
            batcher = Batcher(call, size_max=2, calls_max=1)
            await asyncio.gather(batcher.submit(1), batcher.submit(2))

    run(test)


def test_who_stopped_waiting_does_not_disturb_the_others() -> None:
    async def test() -> None:
        calls = Calls(held=True)
        batcher = Batcher(calls, size_max=5, calls_max=1)
        gone, stays = batcher.submit(1), batcher.submit(2)
        await asyncio.sleep(0)
        gone.cancel()
        calls.let_go.set()
        assert await stays == 4

    run(test)


def test_more_than_may_wait_is_refused() -> None:
    async def test() -> None:
        batcher = Batcher(Calls(held=True), size_max=1, calls_max=1, waiting_max=2)
        futures = [batcher.submit(n) for n in (1, 2)]
        with pytest.raises(OverloadedError):
            batcher.submit(3)
        for future in futures:
            future.cancel()

    run(test)


def test_drain_waits_for_everything() -> None:
    async def test() -> None:
        calls = Calls()
        batcher = Batcher(calls, size_max=2, calls_max=1)
        futures = [batcher.submit(n) for n in range(7)]
        await batcher.drain()
        assert all(future.done() for future in futures)

    run(test)

"""The cache in the process: what it keeps, for how long, and what it must not keep."""

from __future__ import annotations

import asyncio
import time

import pytest
from shortener.targets import LocalTargets, Target


def target(number: int) -> Target:
    return Target(number, f"https://example.com/{number}", None, None, False, True)


class Source:
    """Answers from a dictionary, once it is let go."""

    def __init__(self) -> None:
        self.links = {f"c{n}": target(n) for n in range(100)}
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def peek(self, code: str) -> Target | None:
        return None

    async def find(self, code: str) -> Target | None:
        self.asked.append(code)
        found = self.links.get(code)
        await self.gate.wait()
        return found

    def forget(self, code: str) -> None: ...

    def forget_all(self) -> None: ...


def test_the_least_recently_used_target_goes_first() -> None:
    async def test() -> None:
        cache = LocalTargets(Source(), ttl_s=60, entries=3)
        for code in ("c1", "c2", "c3"):
            await cache.find(code)
        assert cache.peek("c1") == target(1)
        await cache.find("c4")
        assert [cache.peek(f"c{n}") for n in (1, 2, 3, 4)] == [
            target(1),
            None,
            target(3),
            target(4),
        ]

    asyncio.run(test())


def test_a_target_is_remembered_for_its_time_to_live(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    cache = LocalTargets(Source(), ttl_s=60, entries=3)
    asyncio.run(cache.find("c1"))
    now_s += 59.9
    assert cache.peek("c1") == target(1)
    now_s += 0.2
    assert cache.peek("c1") is None


def test_what_changed_while_it_was_read_is_not_remembered() -> None:
    async def test() -> None:
        source = Source()
        cache = LocalTargets(source, ttl_s=60, entries=3)
        source.gate.clear()
        reading = asyncio.create_task(cache.find("c1"))
        await asyncio.sleep(0)
        source.links["c1"] = target(7)
        cache.forget("c1")
        source.gate.set()
        await reading
        assert cache.peek("c1") is None
        await cache.find("c1")
        assert cache.peek("c1") == target(7)
        cache.forget_all()
        assert cache.peek("c1") is None

    asyncio.run(test())


def test_an_unknown_code_is_asked_for_again() -> None:
    async def test() -> None:
        source = Source()
        cache = LocalTargets(source, ttl_s=60, entries=3)
        assert await cache.find("new") is None
        source.links["new"] = target(8)
        assert await cache.find("new") == target(8)

    asyncio.run(test())

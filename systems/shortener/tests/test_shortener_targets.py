"""The cache in the process: what it keeps, for how long, and what it must not keep."""

from __future__ import annotations

import asyncio
import time

import pytest
from shortener.local_targets import LocalTargets
from shortener.remembering import UnknownKeys
from shortener.targets import Target
from shortener.valkey_targets import Remembered, is_due


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

    def changes_are_told(self, told: bool) -> None: ...


def local(source: Source, *, told: bool = True) -> LocalTargets:
    cache = LocalTargets(source, ttl_s=60, entries=3, unknown=UnknownKeys(entries=5, ttl_s=10))
    cache.changes_are_told(told)
    return cache


def test_the_least_recently_used_target_goes_first() -> None:
    async def test() -> None:
        cache = local(Source())
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
    cache = local(Source())
    asyncio.run(cache.find("c1"))
    now_s += 59.9
    assert cache.peek("c1") == target(1)
    now_s += 0.2
    assert cache.peek("c1") is None


def test_what_changed_while_it_was_read_is_not_remembered() -> None:
    async def test() -> None:
        source = Source()
        cache = local(source)
        source.gate.clear()
        reading = asyncio.create_task(cache.find("c1"))
        while not source.asked:
            await asyncio.sleep(0)
        source.links["c1"] = target(7)
        cache.forget("c1")
        source.gate.set()
        await reading
        assert cache.peek("c1") is None
        await cache.find("c1")
        assert cache.peek("c1") == target(7)
        cache.changes_are_told(True)
        assert cache.peek("c1") is None

    asyncio.run(test())


def test_an_unknown_code_is_asked_for_once_until_it_is_told_of() -> None:
    async def test() -> None:
        source = Source()
        cache = local(source)
        assert [await cache.find("new") for _ in range(3)] == [None] * 3
        assert source.asked == ["new"]
        source.links["new"] = target(8)
        cache.forget("new")
        assert await cache.find("new") == target(8)

    asyncio.run(test())


def test_an_unknown_code_is_asked_for_again_where_changes_are_not_told() -> None:
    async def test() -> None:
        source = Source()
        cache = local(source, told=False)
        assert await cache.find("new") is None
        source.links["new"] = target(8)
        assert await cache.find("new") == target(8)
        # What was remembered before stays: it may be all there is while the database is away.
        cache.changes_are_told(False)
        assert cache.peek("new") == target(8)

    asyncio.run(test())


def test_an_unknown_code_is_asked_for_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        nonlocal now_s
        source = Source()
        cache = local(source)
        for wait_s, asked in ((0, 1), (9.9, 1), (0.2, 2)):
            now_s += wait_s
            await cache.find("new")
            assert len(source.asked) == asked

    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    asyncio.run(test())


def test_trying_codes_by_the_thousand_pushes_out_no_link() -> None:
    async def test() -> None:
        source = Source()
        cache = local(source)
        for number in (1, 2, 3):
            await cache.find(f"c{number}")
        for number in range(1_000):
            await cache.find(f"no{number}")
        assert [cache.peek(f"c{number}") for number in (1, 2, 3)] == [target(n) for n in (1, 2, 3)]
        asked = len(source.asked)
        for number in range(1_000):
            await cache.find(f"no{number}")
        # Only the last few are remembered, and those were pushed out in turn.
        assert len(source.asked) == asked + 1_000

    asyncio.run(test())


def test_a_hundred_who_ask_at_once_are_one_read() -> None:
    async def test() -> None:
        source = Source()
        cache = local(source)
        source.gate.clear()
        asking = [asyncio.create_task(cache.find("c1")) for _ in range(100)]
        await asyncio.sleep(0)
        asking[0].cancel()
        await asyncio.sleep(0)
        asking[50].cancel()
        while len(source.asked) < 2:
            await asyncio.sleep(0)
        source.gate.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert [isinstance(answers[n], asyncio.CancelledError) for n in (0, 50)] == [True, True]
        assert [answer for n, answer in enumerate(answers) if n not in (0, 50)] == [target(1)] * 98
        # Who was to read went away, so another one did.
        assert source.asked == ["c1", "c1"]

    asyncio.run(test())


def test_a_read_that_fails_fails_for_all_and_is_tried_again() -> None:
    class Failing(Source):
        async def find(self, code: str) -> Target | None:
            await super().find(code)
            raise ConnectionError(code)

    async def test() -> None:
        source = Failing()
        cache = local(source)
        for reads in (1, 2):
            source.gate.clear()
            asking = [asyncio.create_task(cache.find("c1")) for _ in range(5)]
            await asyncio.sleep(0)
            source.gate.set()
            answers = await asyncio.gather(*asking, return_exceptions=True)
            assert [type(answer) for answer in answers] == [ConnectionError] * 5
            assert len(source.asked) == reads

    asyncio.run(test())


def test_who_asks_after_a_change_does_not_get_the_read_from_before_it() -> None:
    async def test() -> None:
        source = Source()
        cache = local(source)
        source.gate.clear()
        before = asyncio.create_task(cache.find("c1"))
        while not source.asked:
            await asyncio.sleep(0)
        source.links["c1"] = target(7)
        cache.forget("c1")
        after = asyncio.create_task(cache.find("c1"))
        await asyncio.sleep(0)
        source.gate.set()
        assert (await before, await after) == (target(1), target(7))
        assert cache.peek("c1") == target(7)

    asyncio.run(test())


def test_the_chance_of_an_early_read_grows_towards_the_end() -> None:
    found = Remembered(target(1), expires_s=1_000.0, read_s=0.010)
    # e^-5: five reading times before the end one of 148 reads anew.
    assert is_due(found, 1_000.0 - 0.050, 0.0067)
    assert not is_due(found, 1_000.0 - 0.050, 0.0068)
    assert not is_due(found, 999.0, 0.0001)
    assert is_due(found, 1_000.0, 1.0)

"""What a process hears of: what its streams need, and of everybody when they need too much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from social.live import hub as hub_module
from social.live.connections import Connection
from social.live.streams import Stream, stream_of
from social.live.telling import EVERY_STATUS, IN_PUBLIC_SUBJECT, of_account, of_author, of_tag
from social.service import open_service
from social.settings import read_settings
from social.testing import Social


def encode(stream: Stream, event: str, payload: bytes) -> bytes:
    return f"{stream.name} {event}".encode()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10.0):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_process_hears_only_of_what_its_streams_need(
    social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_AUTHORS_MAX", 3)
    monkeypatch.setattr(hub_module, "_TIDY_AFTER_S", 0.05)
    settings = read_settings({**social.settings, "ROLES": "streaming"})
    user, *others = (social.user() for _ in range(5))
    for other in others[:2]:
        user.post(f"/accounts/{other.id}/follow")

    async def scenario() -> None:
        async with open_service(settings) as service:
            hub = service.hub
            token = await service.tokens.find(user.token)
            assert token is not None
            await until(lambda: hub.is_open)
            connection = Connection(token, encode)
            hub.attach(connection)
            assert hub.subjects == set()
            await hub.watch(connection, stream_of("public"))
            await hub.watch(connection, stream_of("hashtag", tag="Cats"))
            assert hub.subjects == {IN_PUBLIC_SUBJECT, of_tag("cats")}
            hub.unwatch(connection, stream_of("public"))
            hub.unwatch(connection, stream_of("hashtag", tag="cats"))
            await hub.watch(connection, stream_of("user"))
            mine = {of_account(user.number), of_author(user.number)}
            mine |= {of_author(one.number) for one in others[:2]}
            await until(lambda: hub.subjects == mine)

            # One more than it takes a subject each for.
            await asyncio.to_thread(user.post, f"/accounts/{others[2].id}/follow")
            await until(lambda: hub.subjects == {of_account(user.number), EVERY_STATUS})
            for one in others:
                await asyncio.to_thread(one.write, "hello")
            taken: list[bytes] = []
            while len(taken) < 3:
                taken += await connection.outbox.take(10.0) or []
            assert taken == [b"user update"] * 3

            await asyncio.to_thread(user.post, f"/accounts/{others[2].id}/unfollow")
            await until(lambda: hub.subjects == mine)
            await asyncio.to_thread(others[0].write, "hello again")
            assert await connection.outbox.take(10.0) == [b"user update"]
            hub.detach(connection)
            await until(lambda: hub.subjects == set())

    asyncio.run(scenario())

"""The client of the benchmark: members of one room, who send and who poll.

It speaks the Matrix client-server API and nothing else, so the same code drives every homeserver.
It is one process on the cores of the service, so an answer to a poll is searched, not decoded.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgspec
from connections import Connection, calling
from systems_common.testing import cpu_s

__all__ = [
    "Heard",
    "Member",
    "Room",
    "log_in",
    "open_polls",
    "open_room",
    "send_all",
    "while_all_poll",
]

CLIENT = "/_matrix/client/v3"
_PASSWORD = "password-of-the-bench"
# The most that both homeservers give: whoever polls slowly is not to lose messages.
_FILTER = {"room": {"timeline": {"limit": 100}}}
_SENT = re.compile(rb'"body":"([0-9.]+)"')
_TOGETHER = 8
_WARM_S = 1.0
_DRAINED_S = 60.0
_txns = itertools.count()


class Member(msgspec.Struct):
    """A signed-in device. `since` is where its polls are."""

    user_id: str
    token: str
    filter_id: str = ""
    since: str = ""


class Room(msgspec.Struct, frozen=True):
    """A room and everybody in it."""

    room_id: str
    members: list[Member]


class Heard(msgspec.Struct, frozen=True):
    """What `while_all_poll` found. Delays are sorted, from just before a send to each receipt.

    `received_per_s`: messages that an average member received in the time of the sends, in which
    the homeserver used so many `cores`.
    """

    sent_per_s: float
    received_per_s: float
    cores: float
    delays_s: list[float]

    def delay_s(self, quantile: float) -> float:
        """A quantile of the delays."""
        return self.delays_s[min(len(self.delays_s) - 1, int(len(self.delays_s) * quantile))]


async def _signed_in(port: int, path: str, body: Any) -> Member:
    async with calling(port) as caller:
        given = json.loads(await caller.call("POST", CLIENT + path, body))
    member = Member(given["user_id"], given["access_token"])
    async with calling(port, member.token) as caller:
        path = f"{CLIENT}/user/{quote(member.user_id)}/filter"
        member.filter_id = json.loads(await caller.call("POST", path, _FILTER))["filter_id"]
    return member


async def _catch_up(port: int, member: Member) -> None:
    """Sync without waiting, first from nothing."""
    async with calling(port, member.token) as caller:
        path = f"{CLIENT}/sync?timeout=0&filter={member.filter_id}"
        since = f"&since={member.since}" if member.since else ""
        member.since = json.loads(await caller.call("GET", path + since))["next_batch"]


async def open_room(port: int, count: int) -> Room:
    """So many new users, all in one new public room, each synced."""
    together = asyncio.Semaphore(_TOGETHER)

    async def join(number: int) -> Member:
        name = f"member{number}"
        auth = {"type": "m.login.dummy"}
        body = {"username": name, "password": _PASSWORD, "auth": auth}
        async with together:
            member = await _signed_in(port, "/register", body)
            if number:
                async with calling(port, member.token) as caller:
                    await caller.call("POST", f"{CLIENT}/join/{quote(room_id)}", {})
        return member

    first = await join(0)
    async with calling(port, first.token) as caller:
        body = {"preset": "public_chat", "room_version": "10"}
        room_id = str(
            json.loads(await caller.call("POST", f"{CLIENT}/createRoom", body))["room_id"]
        )
    members = [first, *await asyncio.gather(*(join(number) for number in range(1, count)))]
    await catch_up(port, members)
    return Room(room_id, members)


async def catch_up(port: int, members: Sequence[Member]) -> None:
    """Sync everybody, a few at a time."""
    together = asyncio.Semaphore(_TOGETHER)

    async def one(member: Member) -> None:
        async with together:
            await _catch_up(port, member)

    await asyncio.gather(*(one(member) for member in members))


async def log_in(port: int, members: Sequence[Member], devices: int) -> list[Member]:
    """So many more devices of each, each synced twice: first from nothing."""
    together = asyncio.Semaphore(_TOGETHER)

    async def one(member: Member) -> Member:
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": member.user_id},
            "password": _PASSWORD,
        }
        async with together:
            return await _signed_in(port, "/login", body)

    made = await asyncio.gather(*(one(member) for member in members for _ in range(devices)))
    await catch_up(port, made)
    await catch_up(port, made)
    return made


async def send_all(
    port: int, room: Room, senders: int, seconds: float, rate_per_s: float | None = None
) -> int:
    """Send, each sender one message after the other; how many were acknowledged.

    As fast as it goes, or at `rate_per_s` in all. A body is when it was sent.
    """
    end_s = time.monotonic() + seconds
    sent = 0

    async def run(number: int, member: Member) -> None:
        nonlocal sent
        due_s = time.monotonic() + (number / rate_per_s if rate_per_s else 0)
        head = f"{CLIENT}/rooms/{quote(room.room_id)}/send/m.room.message/"
        async with calling(port, member.token) as caller:
            while (now_s := time.monotonic()) < end_s:
                if rate_per_s:
                    await asyncio.sleep(max(0.0, due_s - now_s))
                    due_s += senders / rate_per_s
                body = {"msgtype": "m.text", "body": repr(time.monotonic())}
                await caller.call("PUT", f"{head}{next(_txns)}", body)
                sent += 1

    await asyncio.gather(*(run(n, room.members[n]) for n in range(senders)))
    return sent


class Poller(Connection):
    """One member who polls for as long as the connection is open."""

    def __init__(self, member: Member, delays_s: list[float], began_s: list[float]) -> None:
        super().__init__(member.token)
        self._member = member
        self._delays_s = delays_s
        self._began_s = began_s
        self.refused: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        super().connection_made(transport)
        self._ask()

    def _ask(self) -> None:
        member = self._member
        path = f"{CLIENT}/sync?timeout=60000&filter={member.filter_id}&since={member.since}"
        self.ask("GET", path)

    def answered(self, is_ok: bool, body: bytes) -> None:
        """Note what was received, and ask again."""
        now_s = time.monotonic()
        if not is_ok:
            self.refused = body
            self.close()
            return
        start = body.find(b'"next_batch":"') + 14
        self._member.since = body[start : body.find(b'"', start)].decode()
        for text in _SENT.findall(body):
            # What was sent before is not of this measurement.
            if (sent_s := float(text)) >= self._began_s[0]:
                self._delays_s.append(now_s - sent_s)
        self._ask()


@asynccontextmanager
async def open_polls(
    port: int, members: Sequence[Member], delays_s: list[float], began_s: list[float]
) -> AsyncIterator[None]:
    """Everybody polls. Raises `RuntimeError` at the end when a poll was refused."""
    loop = asyncio.get_running_loop()
    pollers = []
    try:
        for member in members:
            poller = Poller(member, delays_s, began_s)
            await loop.create_connection(lambda one=poller: one, "127.0.0.1", port)  # type: ignore[misc]
            pollers.append(poller)
        yield
    finally:
        for poller in pollers:
            poller.close()
    for poller in pollers:
        if poller.refused is not None:
            raise RuntimeError(f"a poll was refused: {poller.refused[:300]!r}")


async def while_all_poll(
    port: int,
    pids: Sequence[int],
    room: Room,
    senders: int,
    seconds: float,
    rate_per_s: float | None,
) -> Heard:
    """Send while every member polls, until each has received every message.

    `pids` are the processes of the homeserver. Raises `RuntimeError` when messages were not told
    to everybody, or were told twice.
    """
    delays_s: list[float] = []
    began_s = [float("inf")]
    await catch_up(port, room.members)
    async with open_polls(port, room.members, delays_s, began_s):
        await send_all(port, room, senders, _WARM_S, rate_per_s)
        cpu_before_s = cpu_s(pids)
        began_s[0] = time.monotonic()
        sent = await send_all(port, room, senders, seconds, rate_per_s)
        took_s = time.monotonic() - began_s[0]
        cores = (cpu_s(pids) - cpu_before_s) / took_s
        received = len(delays_s)
        wanted = sent * len(room.members)
        deadline_s = time.monotonic() + _DRAINED_S
        while len(delays_s) < wanted and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        # What is told twice may come later than what was missed.
        await asyncio.sleep(0.2)
    if len(delays_s) != wanted:
        raise RuntimeError(f"{len(delays_s)} receipts of {wanted}: messages were lost or doubled")
    received_per_s = received / len(room.members) / took_s
    return Heard(sent / took_s, received_per_s, cores, sorted(delays_s))

"""Tells the processes that wait that something was committed. Only a hint: see `tail`.

nats: a subject for each room and user, so that a process hears only what its connections need.
notify: PostgreSQL's notifications, which every process hears all of. poll: nothing is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from systems_common.broker import Broker

__all__ = ["NatsWake", "QuietWake", "Wake"]

log = logging.getLogger(__name__)

_RETRY_S = 0.5


class Wake(Protocol):
    """What tells others, and listens for what they tell."""

    def moved(self, room_no: int) -> None:
        """A room has something new, and it is committed."""

    def touched(self, user_no: int) -> None:
        """Something of a user's own changed, and it is committed."""

    def typed(self, room_no: int) -> None:
        """Who types in a room changed."""

    def watch(self, kind: str, no: int) -> None:
        """Listen for a "room" or a "user"."""

    def unwatch(self, kind: str, no: int) -> None:
        """Listen no more."""

    @property
    def hears(self) -> bool:
        """Whether what others tell is heard now."""

    async def run(self) -> None:
        """Work until cancelled."""


class QuietWake:
    """For WAKE=notify, where the database tells, and WAKE=poll, where nobody does."""

    def __init__(self, heard: Callable[[bool], None], *, hears: bool) -> None:
        self._heard = heard
        self._hears = hears
        self.typing_told: Callable[[int], None] = lambda room_no: heard(True)

    def moved(self, room_no: int) -> None:
        """Nothing to do: the database told with the commit, or nobody listens."""

    def touched(self, user_no: int) -> None:
        """As `moved`."""

    def typed(self, room_no: int) -> None:
        """Tell of typing, which no transaction tells of."""
        self.typing_told(room_no)

    def watch(self, kind: str, no: int) -> None:
        """Everything is heard already."""

    def unwatch(self, kind: str, no: int) -> None:
        """Everything is heard anyway."""

    @property
    def hears(self) -> bool:
        """Whether the database tells."""
        return self._hears

    async def run(self) -> None:
        """Nothing runs."""


class NatsWake:
    """A subject for each room and user. What is told in a turn of the loop goes out together."""

    def __init__(self, broker: Broker, heard: Callable[[bool], None]) -> None:
        self._broker = broker
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._told: dict[str, bytes] = {}
        self._wanted: set[str] = set()
        self._subscriptions: dict[str, Subscription] = {}
        self._changed = asyncio.Event()
        self._publishing: asyncio.Task[None] | None = None

    def moved(self, room_no: int) -> None:
        """Publish to the room's subject."""
        self._tell(f"messaging.room.{room_no}", b"")

    def touched(self, user_no: int) -> None:
        """Publish to the user's subject."""
        self._tell(f"messaging.user.{user_no}", b"")

    def typed(self, room_no: int) -> None:
        """Publish to the room's subject that it is about typing."""
        self._tell(f"messaging.room.{room_no}", b"t")

    def _tell(self, subject: str, payload: bytes) -> None:
        if not self._broker.is_ready:
            # This process at least can be told directly; the others look by themselves.
            self._heard(bool(payload))
            return
        self._told[subject] = self._told.get(subject, b"") or payload
        if self._publishing is None:
            self._publishing = self._loop.create_task(self._publish())

    async def _publish(self) -> None:
        while self._told:
            told, self._told = self._told, {}
            try:
                for subject, payload in told.items():
                    await self._broker.client.publish(subject, payload)
            except (nats.errors.Error, OSError) as error:
                log.info("not told of a change", extra={"error": repr(error)})
                self._heard(True)
        self._publishing = None

    def watch(self, kind: str, no: int) -> None:
        """Subscribe, soon; afterwards everybody looks once, for what was told in between."""
        self._wanted.add(f"messaging.{kind}.{no}")
        self._changed.set()

    def unwatch(self, kind: str, no: int) -> None:
        """Unsubscribe, soon."""
        self._wanted.discard(f"messaging.{kind}.{no}")
        self._changed.set()

    @property
    def hears(self) -> bool:
        """Whether NATS is there."""
        return self._broker.is_ready

    async def run(self) -> None:
        """Keep the subscriptions as they are wanted, until cancelled."""
        self._broker.on_ready.append(self._changed.set)
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._settle()
            except (nats.errors.Error, OSError, TimeoutError) as error:
                log.info("not subscribed", extra={"error": repr(error)})
                await asyncio.sleep(_RETRY_S)
                self._changed.set()

    async def _settle(self) -> None:
        client = self._broker.client
        if not client.is_connected:
            return
        for subject in [s for s in self._subscriptions if s not in self._wanted]:
            await self._subscriptions.pop(subject).unsubscribe()
        for subject in [s for s in self._wanted if s not in self._subscriptions]:
            self._subscriptions[subject] = await client.subscribe(subject, cb=self._on_message)
        # Behind this the server knows of them; what came before it is looked for.
        await client.flush(timeout=2)
        self._heard(True)

    async def _on_message(self, message: Msg) -> None:
        self._heard(bool(message.data))

"""NATS JetStream: a connection that comes and goes, and publishing that waits for the
acknowledgement.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

__all__ = ["Broker", "BrokerUnavailableError"]

log = logging.getLogger(__name__)

_RECONNECT_WAIT_S = 0.25
_PREPARE_RETRY_S = 0.5
_DISTRUST_MIN_S = 0.25
_DISTRUST_MAX_S = 30.0


class BrokerUnavailableError(Exception):
    """The broker is not connected, did not acknowledge in time, or refused the message."""


class _Reply(msgspec.Struct):
    """What JetStream answers to a publish; only the members that are looked at."""

    seq: int = 0
    error: dict[str, object] | None = None


_decode_reply = msgspec.json.Decoder(_Reply).decode


class Broker:
    """A connection to NATS that reconnects for ever and never blocks the start of a service.

    `prepare` makes the streams and consumers that the service needs; it runs after every connect,
    because a broker that lost its disk lost them too. Until it has succeeded the broker is not
    ready, and publishing fails at once.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        prepare: Callable[[JetStreamContext], Awaitable[None]],
        ack_timeout_s: float = 1.0,
    ) -> None:
        self.client = Client()
        self._url = url
        self._name = name
        self._prepare = prepare
        self._ack_timeout_s = ack_timeout_s
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._inbox = ""
        self._numbers = itertools.count()
        self._unacknowledged: dict[str, asyncio.Future[bytes]] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._regaining: asyncio.Task[None] | None = None
        self._distrust_s = _DISTRUST_MIN_S
        self.on_ready: list[Callable[[], None]] = []
        self.on_lost: list[Callable[[], None]] = []

    @property
    def is_ready(self) -> bool:
        """Whether it is connected and prepared, and answers since it last failed to."""
        return self._ready.is_set() and self._regaining is None

    async def open(self, *, wait_s: float = 2.0) -> None:
        """Start to connect, and wait at most `wait_s` for it; it goes on in the background."""
        self._connecting = self._loop.create_task(self._connect())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._ready.wait()

    async def close(self) -> None:
        """Send what is buffered and disconnect."""
        self._ready.clear()
        for task in (self._connecting, self._preparing, self._regaining):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._fail_unacknowledged("the broker connection was closed")
        if self.client.is_connected:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await self.client.flush(timeout=1)
        # Never connected is closed already, and the library's close would wait for its tasks.
        if not self.client.is_closed:
            await self.client.close()

    async def ping(self) -> None:
        """Wait for the broker's answer. Raises `BrokerUnavailableError`."""
        if not self._ready.is_set():
            raise BrokerUnavailableError("not connected")
        try:
            await self.client.flush(timeout=1)
        except (nats.errors.Error, TimeoutError) as error:
            raise BrokerUnavailableError(str(error) or type(error).__name__) from error

    async def publish(self, subject: str, payload: bytes) -> None:
        """Publish to a stream and wait until it is stored.

        Raises `BrokerUnavailableError`; the message may then have been stored all the same.
        """
        if not self.is_ready:
            raise BrokerUnavailableError("not connected")
        # The library's own publish costs 26 µs where this costs 10: it asks through a request
        # that is cleaned up by a timer of its own, and decodes the answer into a class.
        reply_to = f"{self._inbox}.{next(self._numbers)}"
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._unacknowledged[reply_to] = future
        alarm = self._loop.call_later(self._ack_timeout_s, self._expire, reply_to)
        try:
            await self.client.publish(subject, payload, reply_to)
            reply = await future
        except (nats.errors.Error, OSError) as error:
            raise BrokerUnavailableError(str(error) or type(error).__name__) from error
        finally:
            alarm.cancel()
            self._unacknowledged.pop(reply_to, None)
        try:
            answer = _decode_reply(reply)
        except msgspec.DecodeError as error:
            # An empty reply is the server's "no responders": there is no such stream.
            raise BrokerUnavailableError("no stream takes this subject") from error
        if answer.error is not None or answer.seq == 0:
            raise BrokerUnavailableError(f"the stream refused the message: {answer.error}")
        self._distrust_s = _DISTRUST_MIN_S

    def _expire(self, reply_to: str) -> None:
        future = self._unacknowledged.get(reply_to)
        if future is not None and not future.done():
            # A broker that hangs would hold up every request for the whole time-out. One question
            # at a time, which no request waits for, finds out when it is there again.
            if self._regaining is None:
                self._regaining = self._loop.create_task(self._regain())
            future.set_exception(
                BrokerUnavailableError(f"no acknowledgement within {self._ack_timeout_s:g} s")
            )

    async def _regain(self) -> None:
        """Ask until the broker answers. Each time it then fails again it is left alone for longer,
        until it has acknowledged something."""
        wait_s = self._distrust_s
        self._distrust_s = min(2 * wait_s, _DISTRUST_MAX_S)
        log.warning("the broker does not acknowledge, and is left alone until it answers")
        try:
            while True:
                await asyncio.sleep(wait_s)
                try:
                    await self._prepare(self.client.jetstream(timeout=self._ack_timeout_s))
                    return
                except (nats.errors.Error, TimeoutError, OSError) as error:
                    log.info("broker error", extra={"error": str(error) or repr(error)})
        finally:
            self._regaining = None

    async def _connect(self) -> None:
        await self.client.connect(
            self._url,
            name=self._name,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_WAIT_S,  # type: ignore[arg-type]
            connect_timeout=2,
            ping_interval=10,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_connect,
        )
        await self._on_connect()

    async def _on_connect(self) -> None:
        if self._preparing is None or self._preparing.done():
            self._preparing = self._loop.create_task(self._make_ready())

    async def _make_ready(self) -> None:
        while True:
            try:
                if not self._inbox:
                    inbox = self.client.new_inbox()
                    await self.client.subscribe(f"{inbox}.*", cb=self._on_reply)
                    self._inbox = inbox
                await self._prepare(self.client.jetstream(timeout=2.0))
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.warning("broker is not ready", extra={"error": str(error) or repr(error)})
                await asyncio.sleep(_PREPARE_RETRY_S)
                continue
            if self.client.is_connected:
                self._ready.set()
                for tell in self.on_ready:
                    tell()
                return
            await asyncio.sleep(_PREPARE_RETRY_S)

    async def _on_disconnect(self) -> None:
        if self._ready.is_set():
            log.warning("broker disconnected")
        self._ready.clear()
        self._fail_unacknowledged("the broker disconnected")
        for tell in self.on_lost:
            tell()

    async def _on_error(self, error: Exception) -> None:
        log.info("broker error", extra={"error": str(error) or repr(error)})

    async def _on_reply(self, message: Msg) -> None:
        future = self._unacknowledged.get(message.subject)
        if future is not None and not future.done():
            future.set_result(message.data)

    def _fail_unacknowledged(self, reason: str) -> None:
        for future in self._unacknowledged.values():
            if not future.done():
                future.set_exception(BrokerUnavailableError(reason))

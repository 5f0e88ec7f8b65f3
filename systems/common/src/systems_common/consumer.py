"""A durable JetStream consumer that acknowledges messages once they have been dealt with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
import nats
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from systems_common.broker import Broker

__all__ = ["PullConsumer"]

log = logging.getLogger(__name__)


class PullConsumer:
    """Takes messages of a durable consumer in batches and acknowledges them once dealt with.

    `handle` gets the payloads of a batch and returns when their effect is durable. When it raises,
    the batch comes again half a second later, here or in another process. When the process dies
    it comes again after the consumer's `ack_wait`. So handling a message twice must change nothing.

    A batch is closed when it holds `batch_max` messages or its first has waited `linger_s`. The
    next one is fetched while it is dealt with, so at most twice `batch_max` messages are in hand.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        stream: str,
        durable: str,
        handle: Callable[[list[bytes]], Awaitable[None]],
        batch_max: int = 200,
        linger_s: float = 0.2,
    ) -> None:
        self._broker = broker
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._handle = handle
        self._batch_max = batch_max
        self._linger_s = linger_s
        self._arrived: list[Msg] = []
        self._wakened = asyncio.Event()
        self._asked_for = 0
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._stop = asyncio.Event()
        broker.on_ready.append(self._ask_anew)

    _PULL_LIFE_S = 10.0
    _LOOK_AGAIN_S = 0.25
    _RETRY_S = 0.5

    async def run(self) -> None:
        """Deal with messages until `stop`; a broker that is away is waited for."""
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            await self._ask()
            if not self._arrived:
                patience_s = self._PULL_LIFE_S + 1.0 if self._asked_for else self._LOOK_AGAIN_S
                if not await self._wakened_within(patience_s):
                    # Not even the end of the pull was told, so the pull is not known any more.
                    self._asked_for = 0
                continue
            closes_s = loop.time() + self._linger_s
            while (
                not self._stop.is_set()
                and self._asked_for > 0
                and (remaining_s := closes_s - loop.time()) > 0
            ):
                # A transaction costs much the same for one message as for fifty.
                await self._wakened_within(remaining_s)
            batch, self._arrived = self._arrived, []
            await self._ask()
            await self._deal(batch)

    def stop(self) -> None:
        """Let `run` end after the batch in hand; what was only delivered comes again elsewhere."""
        self._stop.set()
        self._wakened.set()

    def _ask_anew(self) -> None:
        # A pull dies with its connection, so after a reconnect nothing would ever arrive.
        self._asked_for = 0
        self._wakened.set()

    async def _wakened_within(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._wakened.wait()
        except TimeoutError:
            return False
        finally:
            self._wakened.clear()
        return True

    async def _ask(self) -> None:
        if self._asked_for > 0 or self._stop.is_set() or not self._broker.is_ready:
            return
        client = self._broker.client
        request = msgspec.json.encode(
            {"batch": self._batch_max, "expires": int(self._PULL_LIFE_S * 1e9)}
        )
        try:
            if self._subscription is None:
                self._inbox = client.new_inbox()
                self._subscription = await client.subscribe(self._inbox, cb=self._on_message)
            await client.publish(self._subject, request, self._inbox)
        except nats.errors.Error as error:
            log.info("cannot ask for messages", extra={"error": str(error) or repr(error)})
        else:
            self._asked_for = self._batch_max

    async def _on_message(self, message: Msg) -> None:
        if not message.reply:
            # A status without a message: the pull expired or was ended by the server.
            self._asked_for = 0
            self._wakened.set()
            return
        self._asked_for -= 1
        self._arrived.append(message)
        if self._asked_for <= 0 or len(self._arrived) == 1:
            self._wakened.set()

    async def _deal(self, batch: list[Msg]) -> None:
        answer = b"+ACK"
        try:
            await self._handle([message.data for message in batch])
        except Exception:
            log.warning("a batch was not dealt with; it comes again", exc_info=True)
            answer = b'-NAK {"delay": %d}' % int(self._RETRY_S * 1e9)
        try:
            for message in batch:
                await self._broker.client.publish(message.reply, answer)
        except nats.errors.Error as error:
            log.info("cannot acknowledge", extra={"error": str(error) or repr(error)})

"""The broker connection and the consumer against a real NATS that comes, goes and hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig, StreamInfo
from systems_common.broker import Broker, BrokerUnavailableError
from systems_common.consumer import PullConsumer
from systems_common.testing import EmbeddedServer

ACK_TIMEOUT_S = 0.6
FAST_S = ACK_TIMEOUT_S / 2
"""What waits for no acknowledgement ends sooner, on a busy machine too."""


async def prepare(js: JetStreamContext) -> None:
    await js.add_stream(
        StreamConfig(name="S", subjects=["s.>"], retention=RetentionPolicy.WORK_QUEUE)
    )
    await js.add_consumer(
        "S", ConsumerConfig(durable_name="d", ack_policy=AckPolicy.EXPLICIT, ack_wait=0.5)
    )


def with_broker(url: str, test: Callable[[Broker], Awaitable[Any]], *, wait_s: float = 5.0) -> None:
    async def run() -> None:
        broker = Broker(url, name="test", prepare=prepare, ack_timeout_s=ACK_TIMEOUT_S)
        await broker.open(wait_s=wait_s)
        try:
            async with asyncio.timeout(20):
                await test(broker)
        finally:
            await broker.close()

    asyncio.run(run())


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


async def stored(broker: Broker) -> int:
    info: StreamInfo = await broker.client.jetstream().stream_info("S")
    return int(info.state.messages)


def test_a_published_message_is_stored(broker_server: EmbeddedServer) -> None:
    async def test(broker: Broker) -> None:
        await asyncio.gather(*(broker.publish("s.a", b"x") for _ in range(50)))
        assert await stored(broker) == 50
        await broker.ping()

    with_broker(broker_server.url, test)


def test_a_subject_that_no_stream_takes_is_an_error(broker_server: EmbeddedServer) -> None:
    async def test(broker: Broker) -> None:
        with pytest.raises(BrokerUnavailableError, match="no stream"):
            await broker.publish("elsewhere", b"x")

    with_broker(broker_server.url, test)


def test_a_refused_message_is_an_error(broker_server: EmbeddedServer) -> None:
    async def test(broker: Broker) -> None:
        js = broker.client.jetstream()
        await js.update_stream(
            StreamConfig(
                name="S",
                subjects=["s.>"],
                retention=RetentionPolicy.WORK_QUEUE,
                max_msg_size=10,
            )
        )
        with pytest.raises(BrokerUnavailableError, match="refused"):
            await broker.publish("s.a", b"x" * 11)

    with_broker(broker_server.url, test)


def test_a_broker_that_starts_later_is_found(broker_server: EmbeddedServer) -> None:
    broker_server.kill()

    async def test(broker: Broker) -> None:
        assert not broker.is_ready
        with pytest.raises(BrokerUnavailableError):
            await broker.publish("s.a", b"x")
        await asyncio.to_thread(broker_server.start)
        await until(lambda: broker.is_ready)
        await broker.publish("s.a", b"x")

    with_broker(broker_server.url, test, wait_s=0.1)


def test_a_killed_broker_fails_fast_and_is_used_again(broker_server: EmbeddedServer) -> None:
    async def test(broker: Broker) -> None:
        await broker.publish("s.a", b"x")
        broker_server.kill()
        await until(lambda: not broker.is_ready)
        began = time.monotonic()
        with pytest.raises(BrokerUnavailableError):
            await broker.publish("s.a", b"x")
        assert time.monotonic() - began < FAST_S
        await asyncio.to_thread(broker_server.start)
        await until(lambda: broker.is_ready)
        await broker.publish("s.a", b"x")
        assert await stored(broker) >= 2

    with_broker(broker_server.url, test)


def is_stopped(pid: int) -> bool:
    """Whether every thread of it is."""
    states = [
        task.read_text("ascii").rpartition(")")[2].split()[0]
        for task in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return set(states) == {"T"}


def test_a_hanging_broker_is_waited_for_once(broker_server: EmbeddedServer) -> None:
    async def test(broker: Broker) -> None:
        os.kill(broker_server.pid, signal.SIGSTOP)
        try:
            # A thread that runs on another core goes on until it is told.
            await until(lambda: is_stopped(broker_server.pid))
            with pytest.raises(BrokerUnavailableError, match="no acknowledgement within"):
                await broker.publish("s.a", b"x")
            began = time.monotonic()
            with pytest.raises(BrokerUnavailableError):
                await broker.publish("s.a", b"x")
            assert time.monotonic() - began < FAST_S
        finally:
            os.kill(broker_server.pid, signal.SIGCONT)
        await until(lambda: broker.is_ready)
        await broker.publish("s.a", b"x")

    with_broker(broker_server.url, test)


class Handler:
    """Keeps what it was given; fails the first `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[bytes]] = []
        self.failures = failures

    @property
    def payloads(self) -> list[bytes]:
        return [payload for batch in self.batches for payload in batch]

    async def __call__(self, payloads: list[bytes]) -> None:
        if self.failures:
            self.failures -= 1
            raise ValueError("not now")
        self.batches.append(payloads)


def consuming(
    broker: Broker, handler: Handler, **options: Any
) -> tuple[PullConsumer, asyncio.Task[None]]:
    consumer = PullConsumer(broker, stream="S", durable="d", handle=handler, **options)
    return consumer, asyncio.create_task(consumer.run())


def test_messages_are_dealt_with_in_batches_then_gone(broker_server: EmbeddedServer) -> None:
    async def test(broker: Broker) -> None:
        handler = Handler()
        wanted = {str(n).encode() for n in range(120)}
        consumer, task = consuming(broker, handler, batch_max=50, linger_s=0.1)
        await asyncio.gather(*(broker.publish("s.a", payload) for payload in wanted))
        await until(lambda: len(handler.payloads) == 120)
        assert set(handler.payloads) == wanted
        assert len(handler.batches) < 20
        consumer.stop()
        await task
        await broker.ping()
        assert await stored(broker) == 0

    with_broker(broker_server.url, test)


def test_a_batch_that_failed_comes_again(broker_server: EmbeddedServer) -> None:
    async def test(broker: Broker) -> None:
        handler = Handler(failures=2)
        consumer, task = consuming(broker, handler, linger_s=0.05)
        await broker.publish("s.a", b"again")
        await until(lambda: handler.payloads == [b"again"])
        consumer.stop()
        await task
        await broker.ping()
        assert await stored(broker) == 0

    with_broker(broker_server.url, test)


def test_two_consumers_share_the_work(broker_server: EmbeddedServer) -> None:
    async def test(broker: Broker) -> None:
        handlers = [Handler(), Handler()]
        running = [consuming(broker, one, batch_max=5, linger_s=0.01) for one in handlers]
        for number in range(100):
            await broker.publish("s.a", b"%d" % number)
        await until(lambda: sum(len(one.payloads) for one in handlers) == 100)
        assert all(one.payloads for one in handlers)
        for consumer, task in running:
            consumer.stop()
            await task

    with_broker(broker_server.url, test)


def test_a_consumer_goes_on_after_the_broker_was_killed(broker_server: EmbeddedServer) -> None:
    async def test(broker: Broker) -> None:
        handler = Handler()
        consumer, task = consuming(broker, handler, linger_s=0.05)
        await broker.publish("s.a", b"before")
        await until(lambda: b"before" in handler.payloads)
        broker_server.kill()
        await until(lambda: not broker.is_ready)
        await asyncio.to_thread(broker_server.start)
        await until(lambda: broker.is_ready)
        await broker.publish("s.a", b"after")
        await until(lambda: b"after" in handler.payloads)
        consumer.stop()
        await task

    with_broker(broker_server.url, test)

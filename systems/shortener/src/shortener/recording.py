"""How a redirect records its visit: at once in the database, or through JetStream in batches.

In both modes the visit is durable before the redirect is answered.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from typing import Protocol

import msgspec
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from systems_common.batching import Batcher
from systems_common.broker import Broker, BrokerUnavailableError
from systems_common.database import Database, DatabaseUnavailableError

from shortener.visits import Visit, store_one, store_visits

__all__ = [
    "DURABLE",
    "STREAM",
    "SUBJECT",
    "BatchRecorder",
    "Recorder",
    "SyncRecorder",
    "prepare_stream",
    "store_batch",
]

log = logging.getLogger(__name__)

STREAM = "SHORTENER_VISITS"
SUBJECT = "shortener.visits"
DURABLE = "writer"
_STREAM_BYTES_MAX = 256 * 1024 * 1024
_MESSAGE_VISITS_MAX = 200
_PUBLISHES_MAX = 2
_VISITS_A_STATEMENT = 500
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Visit]).decode


class Recorder(Protocol):
    """Records visits; a visit is durable when what `record` returns has been awaited."""

    def record(self, visit: Visit) -> Awaitable[object]:
        """Raises `DatabaseUnavailableError` or `OverloadedError` when it cannot be recorded."""
        ...

    async def drain(self) -> None:
        """Wait until all visits given so far are durable."""
        ...


class SyncRecorder:
    """One statement a visit, committed before the redirect is answered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, visit: Visit) -> Awaitable[object]:
        """Store the visit."""
        return store_one(self._database, visit)

    async def drain(self) -> None:
        """Nothing waits here."""


class BatchRecorder:
    """JetStream stores the visit; a consumer moves it to the database within a second.

    Visits that arrive together travel in one message, so the cost of a message and of its
    acknowledgement is shared. Without an acknowledgement the visit goes to the database instead.
    It may then arrive twice, which its id makes harmless.
    """

    def __init__(self, broker: Broker, database: Database) -> None:
        self._broker = broker
        self._database = database
        self._batcher = Batcher[Visit, None](
            self._publish, size_max=_MESSAGE_VISITS_MAX, calls_max=_PUBLISHES_MAX
        )

    def record(self, visit: Visit) -> Awaitable[object]:
        """Publish the visit with those that arrive at the same time."""
        return self._batcher.submit(visit)

    async def drain(self) -> None:
        """Wait for the acknowledgements."""
        await self._batcher.drain()

    async def _publish(self, visits: list[Visit]) -> Sequence[None]:
        try:
            await self._broker.publish(SUBJECT, _encode(visits))
        except BrokerUnavailableError as error:
            log.info("visits go to the database", extra={"error": str(error), "n": len(visits)})
            await store_visits(self._database, visits)
        return [None] * len(visits)


async def prepare_stream(js: JetStreamContext, *, replicas: int, ack_wait_s: float) -> None:
    """Make the stream and its consumer, or bring those there are up to date."""
    stream = StreamConfig(
        name=STREAM,
        subjects=[SUBJECT],
        # A message is gone once acknowledged; one that finds the stream full is refused, and the
        # redirect then stores its visit itself, rather than an old visit being dropped.
        retention=RetentionPolicy.WORK_QUEUE,
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        max_bytes=_STREAM_BYTES_MAX,
        num_replicas=replicas,
    )
    try:
        await js.add_stream(stream)
    except nats.js.errors.BadRequestError:
        await js.update_stream(stream)
    await js.add_consumer(
        STREAM,
        ConsumerConfig(
            durable_name=DURABLE,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait_s,
            max_ack_pending=20_000,
            max_deliver=-1,
        ),
    )


async def store_batch(database: Database, payloads: list[bytes]) -> None:
    """Store the visits of a batch of messages.

    Raises `DatabaseUnavailableError`, and the batch comes again. A message that can never be
    stored is logged whole and left out, because it would hold up all others for ever.
    """
    visits: list[Visit] = []
    for payload in payloads:
        try:
            visits += _decode(payload)
        except msgspec.DecodeError as error:
            log.error(
                "a message holds no visits and is left out",
                extra={"error": str(error), "payload": payload.hex()},
            )
    # Making a statement of thousands would hold up the redirects of this process meanwhile.
    for start in range(0, len(visits), _VISITS_A_STATEMENT):
        await _store_or_split(database, visits[start : start + _VISITS_A_STATEMENT])


async def _store_or_split(database: Database, visits: list[Visit]) -> None:
    try:
        await store_visits(database, visits)
    except DatabaseUnavailableError:
        raise
    except Exception as error:
        if len(visits) == 1:
            log.exception(
                "a visit cannot be stored and is left out",
                extra={"visit": msgspec.to_builtins(visits[0]), "error": str(error)},
            )
            return
        middle = len(visits) // 2
        await _store_or_split(database, visits[:middle])
        await _store_or_split(database, visits[middle:])

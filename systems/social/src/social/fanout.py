"""Fan-out on write: new statuses put into the homes of the followers of who wrote them.

A status commits together with a row in `fanout`, which goes when the fan-out is done. The message
through JetStream is what makes it quick, the row is what makes it certain: a sweep finds rows that
have stood for a while, whatever became of their message. Doing it twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

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
from systems_common.batching import Batcher, OverloadedError
from systems_common.broker import Broker, BrokerUnavailableError
from systems_common.contention import tried_again
from systems_common.database import Database, DatabaseUnavailableError, transaction
from systems_common.ids import first_id_at

from social.homes import Homes, HomesUnavailableError
from social.live.telling import TOLD_COLUMNS, Teller
from social.planning import any_of
from social.visibility import AT_HOME

__all__ = [
    "DURABLE",
    "STREAM",
    "Fanout",
    "followers_sql",
    "prepare_stream",
    "pull_from_now_on",
]

log = logging.getLogger(__name__)

STREAM = "SOCIAL_FANOUT"
SUBJECT = "social.fanout"
DURABLE = "fanout"
_STREAM_BYTES_MAX = 64 * 1024 * 1024
_FOLLOWERS_A_READ = 5_000
_STATUSES_A_READ = 200
_SWEEP_EVERY_S = 1.0
_SWEPT_AFTER_S = 3.0
_MARK_TIMEOUT_S = 60.0

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode

_FOLLOWERS = f"""
SELECT s.id, f.account_id, f.follow_id
FROM (SELECT s.id, s.account_id, s.visibility, s.reblog_of_id, s.in_reply_to_account_id
      FROM status AS s JOIN fanout ON status_id = s.id JOIN account AS a ON a.id = s.account_id
      WHERE s.id = {any_of("$1")} AND s.id >= $2 AND {{who}} ORDER BY s.id) AS s
CROSS JOIN LATERAL (
    SELECT f.account_id, f.id AS follow_id FROM follow AS f
    WHERE f.target_id = s.account_id AND f.id > CASE WHEN s.id = $2 THEN $3::bigint ELSE -1 END
      AND {AT_HOME}
    ORDER BY f.id LIMIT {_FOLLOWERS_A_READ}) AS f
ORDER BY s.id, f.follow_id LIMIT {_FOLLOWERS_A_READ}"""

_CROSSING = f"""
SELECT a.id FROM account AS a
WHERE a.id = ANY(SELECT account_id FROM status WHERE id = {any_of("$1")}) AND NOT a.pulled
  AND (SELECT count(*) FROM (SELECT FROM follow WHERE target_id = a.id LIMIT $2 + 1) AS many) > $2
"""

_MARK_SOME = f"""
WITH part AS (
    SELECT account_id, id, pulled FROM follow WHERE target_id = $1 AND id > $2
    ORDER BY id LIMIT {_FOLLOWERS_A_READ}),
marked AS (
    UPDATE follow AS f SET pulled = true FROM part
    WHERE f.account_id = part.account_id AND f.target_id = $1 AND NOT part.pulled)
SELECT max(id) FROM part"""


# Whoever strikes a status off tells of it, so it is told at most once, and not before it stands in
# the homes: who opens a stream and then reads the home misses nothing.
_DONE = f"""
WITH done AS (DELETE FROM fanout WHERE status_id = {any_of("$1")} RETURNING status_id)
SELECT {TOLD_COLUMNS} FROM done JOIN status AS s ON s.id = done.status_id ORDER BY s.id"""


def followers_sql(*, hybrid: bool) -> str:
    """SQL for the next followers of the statuses $1, behind the follow $3 of the status $2.

    An index leads there, so the last follower is read as fast as the first. What stands in `fanout`
    no more was done by somebody else meanwhile.
    """
    return _FOLLOWERS.format(who="NOT a.pulled" if hybrid else "true")


class Fanout:
    """Hands statuses over to be fanned out, and fans them out."""

    def __init__(
        self,
        database: Database,
        homes: Homes,
        broker: Broker | None,
        teller: Teller,
        *,
        hybrid: bool,
        threshold: int,
    ) -> None:
        self._database = database
        self._homes = homes
        self._hybrid = hybrid
        self._threshold = threshold
        self._broker = broker
        self._teller = teller
        self._followers_sql = followers_sql(hybrid=hybrid)
        self._messages = Batcher[int, None](self._publish, size_max=500, calls_max=2)
        self._in_hand: set[int] = set()

    async def hand_over(self, status: int) -> None:
        """See to it that a status that has just been committed is fanned out.

        Never raises for what is not there: the row in `fanout` stands, and the sweep finds it.
        """
        try:
            if self._broker is None:
                await self.do([status])
            else:
                await self._messages.submit(status)
        except (
            BrokerUnavailableError,
            HomesUnavailableError,
            DatabaseUnavailableError,
            OverloadedError,
        ) as error:
            log.info("a status is fanned out later", extra={"error": str(error)})

    async def drain(self) -> None:
        """Wait for the acknowledgements."""
        await self._messages.drain()

    async def _publish(self, statuses: list[int]) -> Sequence[None]:
        assert self._broker is not None
        await self._broker.publish(SUBJECT, _encode(statuses))
        return [None] * len(statuses)

    async def handle(self, payloads: list[bytes]) -> None:
        """Fan out what a batch of messages names. Raises, and the batch comes again."""
        statuses: list[int] = []
        for payload in payloads:
            try:
                statuses += _decode(payload)
            except msgspec.DecodeError:
                log.error("a message names no statuses", extra={"payload": payload.hex()})
        await self.do(statuses)

    async def do(self, statuses: Sequence[int]) -> None:
        """Put statuses into every home they belong to, then strike them off.

        Raises `DatabaseUnavailableError` or `HomesUnavailableError`; they then still stand in
        `fanout`.
        """
        for start in range(0, len(statuses), _STATUSES_A_READ):
            part = list(statuses[start : start + _STATUSES_A_READ])
            self._in_hand.update(part)
            try:
                if self._hybrid:
                    for row in await self._database.fetch(_CROSSING, part, self._threshold):
                        await pull_from_now_on(self._database, row[0])
                await self._add(part)
                self._teller.statuses("update", await self._database.fetch(_DONE, part))
            finally:
                self._in_hand.difference_update(part)

    async def _add(self, statuses: list[int]) -> None:
        after = (0, -1)
        while True:
            rows = await self._database.fetch(self._followers_sql, statuses, *after)
            entries: dict[int, list[int]] = {}
            for status, follower, _ in rows:
                entries.setdefault(follower, []).append(status)
            if entries:
                await self._homes.add(entries)
            if len(rows) < _FOLLOWERS_A_READ:
                return
            after = (rows[-1][0], rows[-1][2])

    async def sweep(self) -> None:
        """Until cancelled: do what was left over, statuses and homes to be forgotten."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            try:
                await self.sweep_once(_SWEPT_AFTER_S)
            except (DatabaseUnavailableError, HomesUnavailableError) as error:
                log.info("nothing was swept", extra={"error": str(error)})

    async def sweep_once(self, older_than_s: float) -> None:
        """Do what has been left over for so long. Raises as `do` does."""
        before = first_id_at(int((time.time() - older_than_s) * 1000))
        rows = await self._database.fetch(
            "SELECT status_id FROM fanout WHERE status_id < $1 ORDER BY 1 LIMIT 1000", before
        )
        # What takes long is not left over; doing it twice at once would make it take longer.
        left = [row[0] for row in rows if row[0] not in self._in_hand]
        if left:
            log.info("statuses left over are fanned out", extra={"n": len(left)})
            await self.do(left)
        stale = await self._database.fetch(
            "SELECT account_id, change_id FROM stale_home WHERE change_id < $1 LIMIT 1000", before
        )
        if stale:
            await self._forget([row[0] for row in stale], [row[1] for row in stale])

    async def homes_changed(self, change: int, *accounts: int) -> None:
        """Delete the homes that a committed change made wrong; what fails is left to the sweep."""
        try:
            await self._forget(list(accounts), [change] * len(accounts))
        except (HomesUnavailableError, DatabaseUnavailableError) as error:
            log.info("homes are forgotten later", extra={"error": str(error)})

    async def _forget(self, accounts: list[int], changes: list[int]) -> None:
        await self._homes.forget(accounts)
        # A later change wrote its own number into the row, and deletes the home once more.
        await self._database.fetch(
            """DELETE FROM stale_home AS h USING unnest($1::bigint[], $2::bigint[]) AS x (a, c)
               WHERE h.account_id = x.a AND h.change_id = x.c""",
            accounts,
            changes,
        )


async def pull_from_now_on(database: Database, account: int) -> None:
    """Merge the statuses of this account into homes at read from now on.

    A follow that is marked before its account only has some statuses brought twice, so most are
    marked in small parts, and nobody who wants to follow has to wait for a million of them.
    """
    after: int | None = -1
    while after is not None:
        after = await _mark_some(database, account, after)
    await _mark_rest(database, account)
    log.info("an account is pulled from now on", extra={"account": account})


@tried_again
async def _mark_some(database: Database, account: int, after: int) -> int | None:
    async with transaction(database) as connection:
        last: int | None = await connection.fetchval(_MARK_SOME, account, after)
    return last


@tried_again
async def _mark_rest(database: Database, account: int) -> None:
    """Whoever follows holds the account's row in share mode meanwhile (relationships.py), so every
    follow is either seen here or made after this has committed, with the mark."""
    async with transaction(database) as connection:
        await connection.execute("UPDATE account SET pulled = true WHERE id = $1", account)
        await connection.execute(
            "UPDATE follow SET pulled = true WHERE target_id = $1 AND NOT pulled",
            account,
            timeout=_MARK_TIMEOUT_S,
        )


async def prepare_stream(js: JetStreamContext, *, replicas: int, ack_wait_s: float) -> None:
    """Make the stream and its consumer, or bring those there are up to date."""
    stream = StreamConfig(
        name=STREAM,
        subjects=[SUBJECT],
        # A message that finds the stream full is refused; the sweep does its work later.
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

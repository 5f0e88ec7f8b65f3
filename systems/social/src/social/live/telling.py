"""Says over NATS what has just been committed, so that streams show it.

A message says what happened and an id; what it was is read where it is shown, for who looks at it.
It is told once and not kept: a stream that may have missed something ends (hub.py), and who comes
back reads the timeline. Subjects:

`social.live.status.{author}.public` or `….rest`: statuses, by whether they stand in the public
timeline; `social.live.tag.{name}`: public statuses with a hashtag; `social.live.account.{id}`: what
concerns one account alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import nats.errors
from systems_common.broker import Broker
from systems_common.database import Database, DatabaseUnavailableError

from social.planning import any_of
from social.visibility import IN_PUBLIC

__all__ = [
    "EVERY_STATUS",
    "IN_PUBLIC_SUBJECT",
    "TOLD_COLUMNS",
    "Notice",
    "Teller",
    "Told",
    "decode_told",
    "of_account",
    "of_author",
    "of_tag",
]

log = logging.getLogger(__name__)

_PREFIX = "social.live"
EVERY_STATUS = f"{_PREFIX}.status.>"
IN_PUBLIC_SUBJECT = f"{_PREFIX}.status.*.public"
_WAITING_MAX = 20_000

TOLD_COLUMNS = f"""s.id, s.account_id, {IN_PUBLIC},
    CASE WHEN s.visibility = 0 THEN s.tags ELSE '{{}}' END"""
"""What has to be known of a status `s` to tell of it."""

_READ = f"SELECT {TOLD_COLUMNS} FROM status AS s WHERE s.id = {any_of('$1')} AND s.visibility < 3"

Notice = tuple[int, int]
"""An account and the id of a notification of its own."""


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What happened, and to what; of some kinds there is nothing more to say."""

    kind: str
    id: int = 0


_encode = msgspec.msgpack.Encoder().encode
decode_told = msgspec.msgpack.Decoder(Told).decode


def of_author(account: int) -> str:
    """The subject of all that this account does to its statuses."""
    return f"{_PREFIX}.status.{account}.*"


def of_account(account: int) -> str:
    """The subject of what concerns this account alone."""
    return f"{_PREFIX}.account.{account}"


def of_tag(name: str) -> str:
    """The subject of a hashtag, which has only letters, digits and underscores."""
    return f"{_PREFIX}.tag.{name}"


class Teller:
    """Publishes what the callers have committed, in their order. Nobody waits for it."""

    def __init__(self, broker: Broker | None, database: Database) -> None:
        self._broker = broker
        self._database = database
        self._waiting: list[tuple[str, bytes]] = []
        self._publishing: asyncio.Task[None] | None = None

    async def read_and_tell(self, kind: str, statuses: Sequence[int]) -> None:
        """Tell of statuses that were not read for it; direct ones have no place in a timeline.

        Never raises for a database that is away: what is told of has been done.
        """
        if self._broker is None:
            return
        try:
            self.statuses(kind, await self._database.fetch(_READ, list(statuses)))
        except DatabaseUnavailableError as error:
            log.info("streams are not told", extra={"error": str(error)})

    def statuses(self, kind: str, rows: Iterable[Any]) -> None:
        """Tell what became of statuses; `rows` have `TOLD_COLUMNS`."""
        for identifier, author, in_public, tags in rows:
            told = Told(kind, identifier)
            part = "public" if in_public else "rest"
            self._tell(f"{_PREFIX}.status.{author}.{part}", told)
            for tag in tags:
                self._tell(of_tag(tag), told)

    def notices(self, notices: Iterable[Notice]) -> None:
        """Tell of notifications."""
        for account, identifier in notices:
            self.account(account, "notification", identifier)

    def conversations(self, pairs: Iterable[Notice]) -> None:
        """Tell accounts of a conversation of their own."""
        for account, identifier in pairs:
            self.account(account, "conversation", identifier)

    def account(self, account: int, kind: str, identifier: int = 0) -> None:
        """Tell what concerns one account alone."""
        self._tell(of_account(account), Told(kind, identifier))

    async def drain(self) -> None:
        """Wait until all is handed to the connection."""
        if self._publishing is not None:
            await self._publishing

    def _tell(self, subject: str, told: Told) -> None:
        if self._broker is None:
            return
        if len(self._waiting) >= _WAITING_MAX:
            log.warning("more happens than can be told; some is left out")
            return
        self._waiting.append((subject, _encode(told)))
        if self._publishing is None:
            self._publishing = asyncio.get_running_loop().create_task(self._publish())

    async def _publish(self) -> None:
        assert self._broker is not None
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                for subject, payload in waiting:
                    # While it reconnects the client keeps some, and sends it afterwards.
                    await self._broker.client.publish(subject, payload)
        except (nats.errors.Error, OSError) as error:
            log.info("streams are not told", extra={"error": str(error) or repr(error)})
        finally:
            self._publishing = None

"""One tap: it listens, joins each client to a connection of its own to the target, and counts."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from loadpath.tap.door import BACKLOG, Door
from loadpath.tap.link import SENT_WHILE_NOBODY_READ, Link
from loadpath.tap.ordered import Ordered
from loadpath.tap.pieces import Pieces
from loadpath.tap.plan import Place, Tap, TapState
from loadpath.tap.readers import Reader
from loadpath.tap.side import Side
from loadpath.tap.standing import Standing
from loadpath.wire import Exchange

_OUR_OWN = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)


class Sink(Protocol):
    """Where what the taps see is recorded."""

    def take(self, tap: int, connection: int, finished: list[Exchange]) -> None:
        """Exchanges of one connection came to their end."""
        ...

    def gone(self, link: Link) -> None:
        """A connection is over."""
        ...

    def became_unread(self, tap: int, reason: str) -> None:
        """A connection is not read any more."""
        ...

    def fault(self, what: str) -> None:
        """Something went wrong in the tap itself."""
        ...


class Listener:
    """A tap that listens. `index` tells it from the others; `next_number` numbers connections."""

    def __init__(
        self,
        tap: Tap,
        index: int,
        *,
        reader: Reader | None,
        sink: Sink,
        pieces: Pieces,
        next_number: Callable[[], int],
        reading: bool = True,
    ) -> None:
        self.tap = tap
        self.index = index
        self.links: set[Link] = set()
        self.reader = reader
        self.shaping = None if reader is None else reader.shaping()
        self.place = tap.listen
        self.connection_count = 0
        self._not_connected_count = 0
        self._sink = sink
        self._pieces = pieces
        self._next_number = next_number
        self._reading = reading
        self._exchange_count = 0
        self._sent_bytes = 0
        self._received_bytes = 0
        self._unread: Counter[str] = Counter()
        self._connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._door: Door | None = None
        self._ordered: Ordered | None = None

    async def open(self) -> Place:
        """Listen; where. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        where = self.tap.listen
        if where.path is not None:
            self._server = await loop.create_unix_server(self._accept, where.path, backlog=BACKLOG)
        else:
            self._door = Door(where.host, where.port, self._accept)
            await self._door.open()
            self.place = Place(where.host, self._door.port)
        return self.place

    def close(self) -> None:
        """Listen no more and end every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
            if self.place.path is not None:
                with contextlib.suppress(FileNotFoundError):
                    Path(self.place.path).unlink()
        if self._ordered is not None:
            self._ordered.close()
        if self._door is not None:
            self._door.close()
        for task in self._connecting:
            task.cancel()
        for link in list(self.links):
            link.end()

    def read(self, reading: bool) -> None:
        """Read along from now on, or no more. Only connections opened from now on can be read."""
        self._reading = reading
        if not reading:
            for link in self.links:
                link.stop_reading(SENT_WHILE_NOBODY_READ)

    def state(self) -> TapState:
        """What it has seen so far."""
        links = self.links
        return TapState(
            name=self.tap.name,
            kind=self.tap.kind,
            target=str(self.tap.target),
            address=str(self.place),
            connection_count=self.connection_count,
            open_count=len(links),
            not_connected_count=self._not_connected_count,
            exchange_count=self._exchange_count + sum(x.exchange_count for x in links),
            sent_bytes=self._sent_bytes + sum(x.client.byte_count for x in links),
            received_bytes=self._received_bytes + sum(x.server.byte_count for x in links),
            unread=dict(self._unread),
        )

    # What it is ordered to do to what passes

    async def order(self, standing: Standing) -> None:
        """Do what an order says from now on. Raises `LoadpathError` when it cannot be done here."""
        if self._ordered is None:
            self._ordered = Ordered(self, self.tap.kind, self._door)
        await self._ordered.add(standing)

    async def withdraw(self, standing: Standing) -> None:
        """Do it no more; without orders, bytes take their straight way again."""
        if self._ordered is not None:
            await self._ordered.remove(standing)
            if not self._ordered.standing:
                self._ordered = None

    # What its links tell

    def opened(self, link: Link) -> None:
        """Connect a client to the target, unless an order keeps it out."""
        if self._ordered is None or self._ordered.enters(link):
            self.connect(link)

    def connect(self, link: Link) -> None:
        """Connect a client to the target."""
        task = asyncio.get_running_loop().create_task(self._connect(link))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def take(self, link: Link, finished: list[Exchange]) -> None:
        """Record what a link has read."""
        self._sink.take(self.index, link.number, finished)

    def became_unread(self, link: Link, reason: str) -> None:
        """Count a connection that is not read to its end."""
        self._unread[reason] += 1
        self._sink.became_unread(self.index, reason)

    def gone(self, link: Link) -> None:
        """Close a link's books."""
        self.links.discard(link)
        self._exchange_count += link.exchange_count
        self._sent_bytes += link.client.byte_count
        self._received_bytes += link.server.byte_count
        self._sink.gone(link)

    def _accept(self) -> Side:
        conversation, unread = None, None
        if self.reader is None:
            unread = f"nobody reads {self.tap.kind}"
        elif not self._reading:
            unread = SENT_WHILE_NOBODY_READ
        else:
            asked = self.tap.keep_parameters, self.tap.digest_replies
            if any(asked) and self.reader.attentive is not None:
                conversation = self.reader.attentive(*asked)
            else:
                conversation = self.reader.conversation()
        link = Link(self.index, self._next_number(), self, self._pieces, conversation, unread)
        self.connection_count += 1
        self.links.add(link)
        if unread is not None:
            self.became_unread(link, unread)
        return link.client

    async def _connect(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        target = self.tap.target
        try:
            if target.path is not None:
                await loop.create_unix_connection(lambda: link.server, target.path)
            else:
                await loop.create_connection(lambda: link.server, target.host, target.port)
        except OSError as error:
            self._not_connected_count += 1
            if error.errno in _OUR_OWN:
                why = os.strerror(error.errno)
                self._sink.fault(f"{self.tap.name}: no connection to {target} could be made: {why}")
            link.not_connected()

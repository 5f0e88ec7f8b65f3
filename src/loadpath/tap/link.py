"""A relayed connection: the client's and the one to the server, and the conversation on them."""

from __future__ import annotations

import math
import time
from typing import Protocol

from loadpath.tap.chain import Chain
from loadpath.tap.gates import Gate
from loadpath.tap.orders import Direction
from loadpath.tap.pieces import Pieces
from loadpath.tap.side import Side
from loadpath.wire import Conversation, Exchange

SENT_WHILE_NOBODY_READ = "it was open while nobody read along (a window without reading)"
READER_FAULT = "its reader failed: {error} (a fault of Loadpath; the bytes went on)"


class Keeper(Protocol):
    """Who is told what a link finds."""

    def opened(self, link: Link) -> None:
        """The client is connected; now the server must be."""
        ...

    def take(self, link: Link, finished: list[Exchange]) -> None:
        """Exchanges have come to their end; the list is emptied afterwards."""
        ...

    def became_unread(self, link: Link, reason: str) -> None:
        """Nobody understands the connection any more, for that reason."""
        ...

    def gone(self, link: Link) -> None:
        """Both of its connections are over."""
        ...


class Link:
    """One connection of the service through a tap. `number` counts them; times are monotonic.

    `left_s` is when the client ended it in order, be the server slow to do so as well; nan: it has
    not. `ending` says how it came to its end: `client closed`, `client reset`, `server closed`,
    `server reset`, `not connected` (the server took no connection), `fault` (an order to the tap
    ended it), `loadpath` (the tap was closed); empty while it is open. What one end does is passed
    on to the other: bytes, their end, a reset. A connection that the server refuses has been
    accepted by then, so the client sees a reset.
    """

    __slots__ = (
        "_chains",
        "_early",
        "_early_end",
        "_keeper",
        "_passed_end",
        "_pieces",
        "client",
        "closed_s",
        "connected_s",
        "conversation",
        "ending",
        "exchange_count",
        "left_s",
        "number",
        "opened_s",
        "server",
        "tap",
        "unfinished_count",
        "unread",
    )

    def __init__(
        self,
        tap: int,
        number: int,
        keeper: Keeper,
        pieces: Pieces,
        conversation: Conversation | None,
        unread: str | None = None,
    ) -> None:
        self.tap = tap
        self.number = number
        self.conversation = conversation
        self.unread = unread
        self.opened_s = time.monotonic()
        self.connected_s = math.nan
        self.closed_s = math.nan
        self.left_s = math.nan
        self.ending = ""
        self.exchange_count = 0
        self.unfinished_count = 0
        self._keeper = keeper
        self._pieces = pieces
        self._early: list[bytes] = []
        self._early_end = False
        self._passed_end: Side | None = None
        self._chains: dict[Side, Chain] = {}
        self.client = Side(self, self._hold, pieces.add)
        self.server = Side(self, self.client.send, pieces.add)
        if conversation is not None:
            self.client.read = self._read_sent
            self.server.read = self._read_received

    # Its life

    def made(self, side: Side) -> None:
        """Called by a side: first the client's, then the server's."""
        if side is self.client:
            self._keeper.opened(self)
            return
        self.connected_s = time.monotonic()
        chain = self._chains.get(self.client)
        self.client.forward = self.server.send if chain is None else chain.feed
        for data in self._early:
            self.client.forward(data)
        self._early.clear()
        if self._early_end:
            self._end_came(self.client)
        elif not self.server.has_unsent() and not (chain is not None and chain.holding):
            self.client.resume()

    def not_connected(self) -> None:
        """The server took no connection; the client is told by a reset."""
        self._end("not connected")
        self.client.reset()
        self._settle()

    def ended(self, side: Side) -> None:
        """Called by a side: its peer will send nothing more, but may still be sent to."""
        if side.broken:
            self.lost(side, ConnectionResetError())
            return
        self._end_began(side)
        if side is self.client:
            self.left_s = time.monotonic()
        if side is self.client and math.isnan(self.connected_s):
            self._early_end = True
        else:
            self._end_came(side)

    def lost(self, side: Side, error: Exception | None) -> None:
        """Called by a side: its connection is gone, and the other one goes the same way."""
        self._end(f"{self._name(side)} {'closed' if error is None else 'reset'}")
        for each in (side, self._other(side)):
            if error is None:
                each.close()
            else:
                each.reset()
        self._settle()

    def blocked(self, side: Side, blocked: bool) -> None:
        """Called by a side: its peer takes nothing for now, so nothing is read at the other."""
        other = self._other(side)
        if blocked:
            other.pause()
        elif not ((chain := self._chains.get(other)) is not None and chain.holding):
            other.resume()

    def sever(self, reset: bool) -> None:
        """End both as a fault does; not `reset`: in order, after what is still to be sent."""
        self._end("fault")
        for side in (self.client, self.server):
            if reset:
                side.reset()
            else:
                side.close()
        if reset:
            self._settle()

    def chain(self, direction: Direction) -> Chain:
        """What stands in a direction, to put gates into."""
        side = self.client if direction == "requests" else self.server
        chain = self._chains.get(side)
        if chain is None:
            chain = self._chains[side] = Chain(self, side)
            chain.link(self._other(side).send, lambda: self._pass_end(side))
            if not (side is self.client and math.isnan(self.connected_s)):
                side.forward = chain.feed
        return chain

    def unchain(self, gate: Gate) -> None:
        """Take a gate out, wherever it stands; the last one leaves the bytes their straight way."""
        for side, chain in list(self._chains.items()):
            chain.remove(gate)
            if not chain.gates:
                del self._chains[side]
                if side.forward == chain.feed:
                    side.forward = self._other(side).send

    def read_up(self) -> Conversation | None:
        """The conversation, with all that has passed read; None: nobody understands it."""
        self._pieces.read_all()
        return self.conversation

    def hear_apart(self, apart: bool) -> None:
        """Read what `heard` is told instead of what the server sends, or that again."""
        read = self.conversation is not None and not apart
        self.server.read = self._read_received if read else None

    def heard(self, data: bytes) -> None:
        """The client is told this."""
        if self.conversation is not None:
            self._pieces.add(self._read_received, data, time.monotonic())

    def end(self) -> None:
        """Close both, as the tap does when it is closed itself."""
        self._end("loadpath")
        self.client.reset()
        self.server.reset()
        self._settle()

    def stop_reading(self, reason: str) -> None:
        """Read no more; the bytes go on."""
        self.client.read = self.server.read = None
        self.conversation = None
        if self.unread is None:
            self.unread = reason
            self._keeper.became_unread(self, reason)

    # Its bytes, before the server has taken the connection

    def _hold(self, data: bytes) -> None:
        self._early.append(data)
        self.client.pause()

    # Its bytes, read

    def _read_sent(self, data: bytes, at_s: float) -> None:
        conversation = self.conversation
        if conversation is None:
            return
        try:
            conversation.sent(data, at_s)
            if conversation.finished:
                self._take(conversation)
        except Exception as error:  # noqa: BLE001  counted and told; the bytes must go on
            self._reader_failed(error)
            return
        if conversation.unread is not None:
            self.stop_reading(conversation.unread)

    def _read_received(self, data: bytes, at_s: float) -> None:
        conversation = self.conversation
        if conversation is None:
            return
        try:
            conversation.received(data, at_s)
            if conversation.finished:
                self._take(conversation)
        except Exception as error:  # noqa: BLE001  counted and told; the bytes must go on
            self._reader_failed(error)
            return
        if conversation.unread is not None:
            self.stop_reading(conversation.unread)

    def _take(self, conversation: Conversation) -> None:
        finished = conversation.finished
        self.exchange_count += len(finished)
        if conversation.unread is not None or self._settled():
            self.unfinished_count += sum(not exchange.ended for exchange in finished)
        self._keeper.take(self, finished)
        finished.clear()

    def _reader_failed(self, error: Exception) -> None:
        self.stop_reading(READER_FAULT.format(error=f"{type(error).__name__}: {error}"))

    # Its end

    def _end_came(self, side: Side) -> None:
        chain = self._chains.get(side)
        if chain is None:
            self._pass_end(side)
        else:
            chain.end()

    def _pass_end(self, side: Side) -> None:
        """Tell the other one that this one has ended; close both once each has been told."""
        if self._passed_end is None or self._passed_end is side:
            self._passed_end = side
            self._other(side).send_end()
        else:
            self.client.close()
            self.server.close()

    def _end_began(self, side: Side) -> None:
        """Remember who closed first, should the other close in order too."""
        if not self.ending:
            self.ending = f"{self._name(side)} closed"

    def _end(self, ending: str) -> None:
        if not self._settled() and (not self.ending or ending.endswith("reset")):
            self.ending = ending

    def _settled(self) -> bool:
        return not math.isnan(self.closed_s)

    def _settle(self) -> None:
        """Close the books, once."""
        if self._settled():
            return
        self._pieces.read_all()
        self.closed_s = time.monotonic()
        if self.conversation is not None:
            self._close_conversation(self.conversation)
        for chain in self._chains.values():
            chain.discard()
        self._chains.clear()
        for side in (self.client, self.server):  # no cycles for the collector to find
            side.read = None
            side.forward = _drop
            if side.transport is None:
                side.owner = None
        self.conversation = None
        self._early.clear()
        self._keeper.gone(self)

    def _close_conversation(self, conversation: Conversation) -> None:
        try:
            conversation.closed(self.closed_s)
        except Exception as error:  # noqa: BLE001  counted and told
            self._reader_failed(error)
            return
        if conversation.finished:
            self._take(conversation)

    def _other(self, side: Side) -> Side:
        return self.server if side is self.client else self.client

    def _name(self, side: Side) -> str:
        return "client" if side is self.client else "server"


def _drop(data: bytes) -> None:
    """Where bytes go that come when nobody is left to take them."""

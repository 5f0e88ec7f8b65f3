"""A connection that is read in line: a core between two gates, and how it comes to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from loadpath.tap.gates import Gate, TimedGate
from loadpath.tap.inline.core import Core, Taking, Wire
from loadpath.tap.inline.http import HttpCore
from loadpath.tap.inline.matches import matches
from loadpath.tap.inline.nats import NatsCore
from loadpath.tap.inline.postgres import PostgresCore
from loadpath.tap.inline.redis import RedisCore
from loadpath.tap.orders import UnitOrder
from loadpath.tap.standing import Standing
from loadpath.wire import Conversation
from loadpath.wire.postgres import PostgresConversation
from loadpath.wire.unreadable import UnreadableError

if TYPE_CHECKING:
    from loadpath.tap.link import Link

CORES: dict[str, Callable[[Wire], Core]] = {
    "postgres": PostgresCore,
    "valkey": RedisCore,
    "nats": NatsCore,
    "http": HttpCore,
}
"""Which kinds of dependency can be read in line."""

Units: TypeAlias = Callable[[], list[Standing]]
"""The orders about units that stand at the tap."""

NOT_READ = "nobody has read it from its beginning"


class _Taken:
    """A unit that was taken by an order."""

    __slots__ = ("_standing", "order")

    def __init__(self, standing: Standing, order: UnitOrder) -> None:
        self.order = order
        self._standing = standing

    def missed(self) -> None:
        self._standing.unhit()


class InLine:
    """A connection read in line. `units` are the orders; without any it takes itself out, as soon
    as nothing is under way, and tells `left`. A `Wire` to its core.

    Its conversation is told what the client says and hears: what a fault takes away or puts there
    is so in the recording too.
    """

    def __init__(self, link: Link, kind: str, units: Units, left: Callable[[], object]) -> None:
        self.link = link
        self._left = left
        self._kind = kind
        self._units = units
        self._core: Core | None = None
        self._closed = False
        self._requests = _Requests(self, link)
        self._replies = _Replies(self, link)
        link.chain("requests").add(self._requests)
        link.chain("replies").add(self._replies)
        link.hear_apart(True)

    def begin(self) -> None:
        """The connection has just been made."""
        self._core = CORES[self._kind](self)

    # What the gates tell

    def sent(self, data: bytes) -> None:
        """The client sent this."""
        if self._closed:
            return
        if self._core is None:
            self._join()
        if self._core is None:
            self._requests.pass_on(data)
            return
        try:
            self._core.requests(data)
        except UnreadableError as error:
            self._give_up(str(error))
        self.leave_if_done()

    def received(self, data: bytes) -> None:
        """The server sent this."""
        if self._closed:
            return
        if self._core is None:
            self._say(data)
            return
        try:
            self._core.replies(data)
        except UnreadableError as error:
            self._give_up(str(error))
        self.leave_if_done()

    def ended(self, gate: Gate) -> None:
        """One end has said all: nothing that was begun there will be whole."""
        if self._core is not None and not self._closed:
            if gate is self._requests:
                self._requests.pass_on(self._core.unsent())
            else:
                self._say(self._core.unsaid())

    def leave_if_done(self) -> None:
        """Take it out of the way when no order needs it any more."""
        if self._units() or self._closed or self.link.client.transport is None:
            return
        if self._core is None or self._core.idle:
            self._leave()

    def _join(self) -> None:
        """Begin to read a connection that was open, if nothing is under way on it."""
        conversation = self.link.read_up()
        if conversation is None:
            self._give_up(self.link.unread or NOT_READ)
        elif conversation.idle:
            self._core = _joined(self, self._kind, conversation)

    def _give_up(self, reason: str) -> None:
        for standing in self._units():
            standing.uncovered[reason] += 1
        if self._core is not None:
            self._requests.pass_on(self._core.unsent())
            self._say(self._core.unsaid())
        self._leave()

    def _leave(self) -> None:
        self._closed = True
        self._requests.through = self._replies.through = True
        for gate in (self._requests, self._replies):
            self.link.unchain(gate)
        self.link.hear_apart(False)
        self._left()

    def _say(self, data: bytes) -> None:
        if data:
            self._replies.out(data)
            self.link.heard(data)

    # What the core does

    def to_server(self, data: bytes) -> None:
        if data and not self._closed:
            self._requests.pass_on(data)

    def to_client(self, data: bytes) -> None:
        if not self._closed:
            self._say(data)

    def wait(self, delay_s: float) -> None:
        self._requests.wait(delay_s)

    def close(self) -> None:
        self._closed = True
        self.link.sever(reset=False)

    def choose(self, verb: str, text: str, *, answered: bool = True) -> Taking | None:
        for standing in self._units():
            order = standing.order
            assert isinstance(order, UnitOrder), "only orders about units are asked"
            if matches(order, self._kind, verb, text, answered=answered) and standing.taken():
                return _Taken(standing, order)
        return None


class _Requests(TimedGate):
    """Where requests come in; what leaves it may have to wait."""

    def __init__(self, reading: InLine, link: Link) -> None:
        super().__init__(link.chain("requests"), _nothing)
        self.through = False
        self._reading = reading
        self._until_s = 0.0

    def feed(self, data: bytes) -> None:
        if self.through:
            self.pass_on(data)
        else:
            self._reading.sent(data)

    def end(self) -> None:
        self._reading.ended(self)
        super().end()

    def pass_on(self, data: bytes) -> None:
        """Send to the server, behind what waits."""
        if not data:
            return
        if self._waiting or self._until_s > self.now():
            self.put(data, self._until_s)
        else:
            self.out(data)

    def wait(self, delay_s: float) -> None:
        """Have what comes from now on leave so much later."""
        self._until_s = max(self._until_s, self.now()) + delay_s


class _Replies(Gate):
    """Where replies come in."""

    def __init__(self, reading: InLine, link: Link) -> None:
        super().__init__(link.chain("replies"), _nothing)
        self.through = False
        self._reading = reading

    def feed(self, data: bytes) -> None:
        if self.through:
            self.out(data)
        else:
            self._reading.received(data)

    def end(self) -> None:
        self._reading.ended(self)
        super().end()


def _joined(wire: Wire, kind: str, conversation: Conversation) -> Core:
    if isinstance(conversation, PostgresConversation):
        return PostgresCore(wire, conversation.prepared())
    return CORES[kind](wire)


def _nothing() -> bool:
    return True

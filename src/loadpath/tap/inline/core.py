"""What a protocol in line is given, and what it must do."""

from __future__ import annotations

from typing import Protocol

from loadpath.tap.orders import UnitOrder


class Taking(Protocol):
    """An order that takes a unit; the hit is counted."""

    @property
    def order(self) -> UnitOrder:
        """The order."""
        ...

    def missed(self) -> None:
        """It came to nothing after all: the server did not execute the unit."""
        ...


class Wire(Protocol):
    """The connection that a core stands in."""

    def to_server(self, data: bytes) -> None:
        """Pass on to the server, behind what waits."""
        ...

    def to_client(self, data: bytes) -> None:
        """Pass on, or say in the server's place, to the client."""
        ...

    def wait(self, delay_s: float) -> None:
        """Have what is passed to the server from now on leave so much later."""
        ...

    def close(self) -> None:
        """Close both connections in order; nothing more passes."""
        ...

    def choose(self, verb: str, text: str, *, answered: bool = True) -> Taking | None:
        """The first order that takes this unit. `answered` False: no answer to it will come."""
        ...


class Core(Protocol):
    """One connection, read in line. Raises `UnreadableError` where it cannot read on."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that it could be taken out."""
        ...

    def requests(self, data: bytes) -> None:
        """The client sent this."""
        ...

    def replies(self, data: bytes) -> None:
        """The server sent this."""
        ...

    def unsent(self) -> bytes:
        """What has come of requests and was not passed on, for good."""
        ...

    def unsaid(self) -> bytes:
        """What has come of replies and is to be passed on as it is, for good."""
        ...


class Cutter:
    """The bytes of one direction that have come, to be cut where a reader says a unit ends."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ahead = 0

    def add(self, data: bytes) -> None:
        """More has come."""
        self._bytes += data

    def cut(self, size: int) -> bytes:
        """The unit that ends here, without what was passed on ahead of its end."""
        unit = bytes(self._bytes[min(self._ahead, size) : size])
        del self._bytes[:size]
        self._ahead = max(0, self._ahead - size)
        return unit

    def ahead(self) -> bytes:
        """All that has come and was not passed on; it will be part of no `cut`."""
        rest = bytes(self._bytes[self._ahead :])
        self._ahead = len(self._bytes)
        return rest

    def take(self) -> bytes:
        """All that is left, to be passed on for good."""
        rest = bytes(self._bytes[self._ahead :])
        self._bytes.clear()
        self._ahead = 0
        return rest

    def __len__(self) -> int:
        return len(self._bytes)

"""The gates that stand in one direction of a connection, each passing on to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from loadpath.tap.gates import Gate
from loadpath.tap.side import Side


class Severable(Protocol):
    """A connection through a tap, as far as a chain is concerned."""

    def sever(self, reset: bool) -> None:
        """End both of its sides."""
        ...


class Chain:
    """The gates between `side`, where bytes come in, and the other side. A `Line` to each gate."""

    def __init__(self, connection: Severable, side: Side) -> None:
        self.gates: list[Gate] = []
        self._connection = connection
        self._side = side
        self._out: Callable[[bytes], None]
        self._out_end: Callable[[], None]

    def link(self, out: Callable[[bytes], None], out_end: Callable[[], None]) -> None:
        """Say where what comes through goes."""
        self._out = out
        self._out_end = out_end

    def add(self, gate: Gate) -> None:
        """Put a gate before the others: what they hold has come earlier."""
        self.gates.insert(0, gate)
        self._join()

    def remove(self, gate: Gate) -> None:
        """Let a gate pass on what it holds and take it out."""
        if gate not in self.gates:
            return
        gate.close()
        if gate in self.gates and not gate.stays:
            self.gates.remove(gate)
            self._join()

    def feed(self, data: bytes) -> None:
        """A piece has come in."""
        if self.gates:
            self.gates[0].feed(data)
        else:
            self._out(data)

    def end(self) -> None:
        """The end has come in."""
        if self.gates:
            self.gates[0].end()
        else:
            self._out_end()

    @property
    def holding(self) -> bool:
        """Whether a gate keeps the sender waiting."""
        return any(gate.holding for gate in self.gates)

    def discard(self) -> None:
        """The connection is gone."""
        for gate in self.gates:
            gate.discard()
        self.gates.clear()

    def hold(self) -> None:
        """Read nothing more from the sender for now."""
        self._side.pause()

    def go_on(self) -> None:
        """Read on, unless another gate keeps the sender waiting."""
        if not self.holding:
            self._side.resume()

    def sever(self, reset: bool) -> None:
        """End the connection."""
        self._connection.sever(reset)

    def _join(self) -> None:
        for gate, following in zip(self.gates, self.gates[1:], strict=False):
            gate.out, gate.out_end = following.feed, following.end
        if self.gates:
            self.gates[-1].out, self.gates[-1].out_end = self._out, self._out_end

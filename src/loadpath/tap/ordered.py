"""The orders that stand at one tap, put into effect on its connections, open and new."""

from __future__ import annotations

import asyncio
from typing import Protocol

from loadpath.errors import LoadpathError
from loadpath.tap import orders
from loadpath.tap.door import Door
from loadpath.tap.gates import Gate, StallGate, gate_of
from loadpath.tap.inline.reading import CORES, InLine
from loadpath.tap.link import Link
from loadpath.tap.standing import Standing

_LOOK_S = 0.05


class Owner(Protocol):
    """The tap."""

    links: set[Link]

    def connect(self, link: Link) -> None:
        """Connect a client to the target."""
        ...


class Ordered:
    """What stands at a tap. `standing` are the orders, in the order in which they came."""

    def __init__(self, owner: Owner, kind: str, door: Door | None) -> None:
        self.standing: list[Standing] = []
        self._owner = owner
        self._kind = kind
        self._door = door
        self._read_in_line: dict[Link, InLine] = {}
        self._gates: dict[Standing, list[tuple[Link, Gate]]] = {}
        self._kept_out: list[Link] = []
        self._knocked: set[int] = set()
        self._watch: asyncio.TimerHandle | None = None

    async def add(self, standing: Standing) -> None:
        """Put an order into effect. Raises `LoadpathError` when it cannot be."""
        order = standing.order
        if isinstance(order, orders.ConnectOrder):
            if any(isinstance(each.order, orders.ConnectOrder) for each in self.standing):
                raise LoadpathError(
                    f"the tap of {standing.tap} has one order about new connections already",
                    advice="Withdraw it first: of two, only one could be obeyed.",
                )
            await self._close_door(standing)
        if isinstance(order, orders.UnitOrder) and self._kind not in CORES:
            raise LoadpathError(
                f"nobody reads {self._kind} in line: {standing.tap} can only be disturbed as a "
                "whole, by its connections and bytes"
            )
        self.standing.append(standing)
        self._gates[standing] = []
        if isinstance(order, orders.Cap):
            while len(self._owner.links) > order.connections:
                max(self._owner.links, key=lambda link: link.number).sever(reset=True)
                standing.hit()
        for link in list(self._owner.links):
            self._cover(link, standing)

    async def remove(self, standing: Standing) -> None:
        """Withdraw an order: what it holds is let go."""
        if standing not in self.standing:
            return
        self.standing.remove(standing)
        for link, gate in self._gates.pop(standing):
            link.unchain(gate)
        if isinstance(standing.order, orders.ConnectOrder):
            await self._open_door()
        for reading in list(self._read_in_line.values()):
            reading.leave_if_done()

    def close(self) -> None:
        """The tap is closed."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self.standing.clear()
        self._gates.clear()

    def enters(self, link: Link) -> bool:
        """Take a new connection; whether it may be joined to the target now."""
        for standing in self.standing:
            match standing.order:
                case orders.ResetNew():
                    if standing.taken():
                        link.sever(reset=True)
                        return False
                case orders.Cap(connections=most):
                    if len(self._owner.links) > most and standing.taken():
                        link.sever(reset=True)
                        return False
                case orders.Silence():
                    if standing.taken():
                        self._kept_out.append(link)
                        return False
                case _:
                    self._cover_new(link, standing, fresh=True)
        return True

    # Connections that are open

    def _cover(self, link: Link, standing: Standing) -> None:
        """Have an order cover a connection that was open when it came."""
        order = standing.order
        match order:
            case orders.Refuse() | orders.ResetNew():
                link.sever(reset=True)
                standing.hit()
            case orders.Sever(reset=reset) if order.when == orders.ALWAYS:
                link.sever(reset)
                standing.hit()
            case orders.BlackHole() | orders.Silence():
                for direction in ("requests", "replies"):
                    chain = link.chain(direction)
                    self._put(link, direction, standing, StallGate(chain, standing.taken))
            case _:
                self._cover_new(link, standing)

    def _cover_new(self, link: Link, standing: Standing, *, fresh: bool = False) -> None:
        order = standing.order
        if isinstance(order, orders.UnitOrder) and link not in self._read_in_line:
            links = self._owner.links
            self._read_in_line = {k: v for k, v in self._read_in_line.items() if k in links}
            reading = self._read_in_line[link] = InLine(
                link, self._kind, self._units, lambda: self._read_in_line.pop(link, None)
            )
            if fresh:
                reading.begin()
        if not isinstance(order, orders.StreamOrder):
            return
        for direction in ("requests", "replies"):
            if order.direction in (direction, "both"):
                line = link.chain(direction)
                gate = gate_of(order, line, standing.taken, standing.draw)
                self._put(link, direction, standing, gate)

    def _units(self) -> list[Standing]:
        return [each for each in self.standing if isinstance(each.order, orders.UnitOrder)]

    def _put(self, link: Link, direction: orders.Direction, standing: Standing, gate: Gate) -> None:
        link.chain(direction).add(gate)
        gates = self._gates[standing]
        if (
            len(gates) > 2 * len(self._owner.links) + 16
        ):  # forget those of connections that are gone
            gates[:] = [(each, its) for each, its in gates if each in self._owner.links]
        gates.append((link, gate))

    # The door

    async def _close_door(self, standing: Standing) -> None:
        if not isinstance(standing.order, orders.Refuse | orders.BlackHole):
            return
        if self._door is None:
            raise LoadpathError(
                f"the tap of {standing.tap} listens at a Unix socket, where nothing can be refused "
                "or left unanswered by the kernel",
                advice="Give the service the dependency's TCP address.",
            )
        if isinstance(standing.order, orders.Refuse):
            await self._door.refuse()
        else:
            await self._door.ignore()
            self._knocked.clear()
            self._look_who_knocks(standing)

    def _look_who_knocks(self, standing: Standing) -> None:
        assert self._door is not None
        new = self._door.knocking() - self._knocked
        self._knocked |= new
        standing.seen += len(new)
        standing.hit(len(new))
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(_LOOK_S, self._look_who_knocks, standing)

    async def _open_door(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._door is not None:
            await self._door.let_in()
        kept_out, self._kept_out = self._kept_out, []
        for link in kept_out:
            if link in self._owner.links:
                self._owner.connect(link)

"""No more than so many connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Layer
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Capped(TapFault, frozen=True, kw_only=True):
    """`TARGET capped at N`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("capped", "at")
    FORM: ClassVar[str] = "TARGET capped at N"
    EXAMPLE: ClassVar[str] = "database capped at 5"
    SUMMARY: ClassVar[str] = (
        "At most N connections: the newest beyond are reset, and so is each new one."
    )
    LAYER: ClassVar[Layer] = "connect"
    HIT: ClassVar[str] = "connections reset"

    connections: int

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        return cls(target=target, connections=words.whole("how many connections, such as 5"))

    def details(self) -> str:
        return str(self.connections)

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Cap(connections=self.connections, when=when)

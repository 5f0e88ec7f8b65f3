"""The other machine is gone and nobody said so."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Layer
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class HalfOpen(TapFault, frozen=True, kw_only=True):
    """`TARGET half-open [requests|replies]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("half-open",)
    FORM: ClassVar[str] = "TARGET half-open [requests|replies]"
    EXAMPLE: ClassVar[str] = "database half-open"
    SUMMARY: ClassVar[str] = (
        "What is sent vanishes; once it heals, who sends on is answered by a reset, as by a "
        "machine that has restarted."
    )
    LAYER: ClassVar[Layer] = "stream"
    HIT: ClassVar[str] = "pieces swallowed or directions found dead"

    direction: orders.Direction = "both"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        return cls(target=target, direction=words.direction())

    def details(self) -> str:
        return "" if self.direction == "both" else self.direction

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.HalfOpen(direction=self.direction, when=when)

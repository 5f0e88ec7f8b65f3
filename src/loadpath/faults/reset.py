"""Connections are reset."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Layer
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Reset(TapFault, frozen=True, kw_only=True):
    """`TARGET reset [requests|replies]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("reset",)
    FORM: ClassVar[str] = "TARGET reset [requests|replies]"
    EXAMPLE: ClassVar[str] = "cache reset"
    SUMMARY: ClassVar[str] = (
        "Open connections are reset, new ones as soon as something is sent on them (in that "
        "direction)."
    )
    LAYER: ClassVar[Layer] = "stream"
    HIT: ClassVar[str] = "connections reset"

    direction: orders.Direction = "both"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        return cls(target=target, direction=words.direction())

    def details(self) -> str:
        return "" if self.direction == "both" else self.direction

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Sever(reset=True, direction=self.direction, when=when)

"""Connections are closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from loadpath.faults.fault import Layer
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Closed(TapFault, frozen=True, kw_only=True):
    """`TARGET closed [requests|replies]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("closed",)
    FORM: ClassVar[str] = "TARGET closed [requests|replies]"
    EXAMPLE: ClassVar[str] = "cache closed"
    SUMMARY: ClassVar[str] = (
        "Open connections are closed in order, new ones as soon as something is sent on them "
        "(in that direction)."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "fails"
    LAYER: ClassVar[Layer] = "stream"
    HIT: ClassVar[str] = "connections closed"
    RESET: ClassVar[bool] = False

    direction: orders.Direction = "both"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        return cls(target=target, direction=words.direction())

    def details(self) -> str:
        return "" if self.direction == "both" else self.direction

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Sever(reset=self.RESET, direction=self.direction, when=when)

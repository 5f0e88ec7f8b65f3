"""Nothing passes for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from loadpath.faults.fault import Layer
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Stalled(TapFault, frozen=True, kw_only=True):
    """`TARGET stalled [requests|replies]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("stalled",)
    FORM: ClassVar[str] = "TARGET stalled [requests|replies]"
    EXAMPLE: ClassVar[str] = "database stalled replies"
    SUMMARY: ClassVar[str] = (
        "Connections are there and nothing passes; what was held arrives when it heals."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "waits"
    LAYER: ClassVar[Layer] = "stream"
    HIT: ClassVar[str] = "directions of connections stalled"

    direction: orders.Direction = "both"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        return cls(target=target, direction=words.direction())

    def details(self) -> str:
        return "" if self.direction == "both" else self.direction

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Stall(direction=self.direction, when=when)

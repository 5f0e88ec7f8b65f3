"""A connection ends in the middle of something."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Layer
from loadpath.faults.quantities import size_words
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Cut(TapFault, frozen=True, kw_only=True):
    """`TARGET cut at SIZE [requests|replies]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("cut", "at")
    FORM: ClassVar[str] = "TARGET cut at SIZE [requests|replies]"
    EXAMPLE: ClassVar[str] = "database cut at 1kB"
    SUMMARY: ClassVar[str] = (
        "Each connection is reset once so many bytes have passed on it, of replies unless "
        "requests are named."
    )
    LAYER: ClassVar[Layer] = "stream"
    HIT: ClassVar[str] = "connections cut"

    size_bytes: int
    direction: orders.Direction = "replies"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        size = words.size_bytes()
        direction: orders.Direction = "requests" if words.take("requests") else "replies"
        words.take("replies")
        return cls(target=target, size_bytes=size, direction=direction)

    def details(self) -> str:
        way = "" if self.direction == "replies" else f" {self.direction}"
        return f"{size_words(self.size_bytes)}{way}"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.CutAt(at_byte=self.size_bytes, direction=self.direction, when=when)

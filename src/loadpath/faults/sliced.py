"""Bytes in small slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Layer
from loadpath.faults.quantities import size_words
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Sliced(TapFault, frozen=True, kw_only=True):
    """`TARGET sliced SIZE [requests|replies]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("sliced",)
    FORM: ClassVar[str] = "TARGET sliced SIZE [requests|replies]"
    EXAMPLE: ClassVar[str] = "cache sliced 1B"
    SUMMARY: ClassVar[str] = (
        "Bytes come in slices of that size, a millisecond apart: who takes a piece for a "
        "message breaks."
    )
    LAYER: ClassVar[Layer] = "stream"
    HIT: ClassVar[str] = "pieces sliced"

    size_bytes: int
    direction: orders.Direction = "both"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        return cls(target=target, size_bytes=words.size_bytes(), direction=words.direction())

    def details(self) -> str:
        way = "" if self.direction == "both" else f" {self.direction}"
        return f"{size_words(self.size_bytes)}{way}"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Slice(size_bytes=self.size_bytes, direction=self.direction, when=when)

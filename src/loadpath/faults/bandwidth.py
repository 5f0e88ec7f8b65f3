"""A narrow wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Layer
from loadpath.faults.quantities import size_bytes, size_words
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Bandwidth(TapFault, frozen=True, kw_only=True):
    """`TARGET bandwidth SIZE[/s] [requests|replies]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("bandwidth",)
    FORM: ClassVar[str] = "TARGET bandwidth SIZE[/s] [requests|replies]"
    EXAMPLE: ClassVar[str] = "database bandwidth 10kB/s"
    SUMMARY: ClassVar[str] = (
        "No more than so many bytes a second pass, on each connection and in each direction."
    )
    LAYER: ClassVar[Layer] = "stream"
    HIT: ClassVar[str] = "pieces slowed"

    bytes_per_s: int
    direction: orders.Direction = "both"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        size = size_bytes(words.next.removesuffix("/s"))
        if size is None:
            raise words.wrong("a bandwidth such as 10kB/s")
        words.skip()
        return cls(target=target, bytes_per_s=size, direction=words.direction())

    def details(self) -> str:
        way = "" if self.direction == "both" else f" {self.direction}"
        return f"{size_words(self.bytes_per_s)}/s{way}"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Throttle(bytes_per_s=self.bytes_per_s, direction=self.direction, when=when)

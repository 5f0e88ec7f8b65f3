"""Everything comes later."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Layer
from loadpath.faults.quantities import duration_words
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Latency(TapFault, frozen=True, kw_only=True):
    """`TARGET +DURATION [± DURATION] [requests|replies]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("+",)
    FORM: ClassVar[str] = "TARGET +DURATION [± DURATION] [requests|replies]"
    EXAMPLE: ClassVar[str] = "database +200ms ± 50ms"
    SUMMARY: ClassVar[str] = (
        "Each piece of bytes comes later by the first duration, give or take the second; alone "
        "in one direction if that is named."
    )
    LAYER: ClassVar[Layer] = "stream"
    HIT: ClassVar[str] = "pieces delayed"

    delay_s: float
    jitter_s: float = 0.0
    direction: orders.Direction = "both"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        delay_s = words.duration_s()
        jitter_s = words.duration_s() if words.take("±") or words.take("jitter") else 0.0
        return cls(target=target, delay_s=delay_s, jitter_s=jitter_s, direction=words.direction())

    def details(self) -> str:
        jitter = f" ± {duration_words(self.jitter_s)}" if self.jitter_s else ""
        way = "" if self.direction == "both" else f" {self.direction}"
        return f"{duration_words(self.delay_s)}{jitter}{way}"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Delay(
            delay_s=self.delay_s, jitter_s=self.jitter_s, direction=self.direction, when=when
        )

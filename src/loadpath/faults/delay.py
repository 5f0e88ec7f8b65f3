"""A request that comes late."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.quantities import duration_words
from loadpath.faults.unit_fault import UnitFault, match_of
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class DelayedUnit(UnitFault, frozen=True, kw_only=True):
    """`[TARGET] delay DURATION of UNIT`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("delay",)
    FORM: ClassVar[str] = "[TARGET] delay DURATION of UNIT"
    EXAMPLE: ClassVar[str] = "delay 500ms of GET link:*"
    SUMMARY: ClassVar[str] = (
        "It reaches the server so much later, and what follows on its connection with it."
    )
    HIT: ClassVar[str] = "units delayed"

    delay_s: float

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        delay_s = words.duration_s()
        words.take("of")
        return cls(target=target, delay_s=delay_s, match=match_of(words))

    def details(self) -> str:
        return f"{duration_words(self.delay_s)} of {self.match}"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.DelayUnit(delay_s=self.delay_s, match=self.match, when=when)

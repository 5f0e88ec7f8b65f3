"""A statement that takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Layer, Needs
from loadpath.faults.quantities import duration_words
from loadpath.faults.unit_fault import UnitFault, match_of
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Slow(UnitFault, frozen=True, kw_only=True):
    """`TARGET slow DURATION on STATEMENT`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("slow",)
    FORM: ClassVar[str] = "TARGET slow DURATION on STATEMENT"
    EXAMPLE: ClassVar[str] = "database slow 500ms on SELECT url FROM link"
    SUMMARY: ClassVar[str] = (
        "A statement takes so much longer, as after a plan that has turned bad; its tap holds it, "
        "so it takes no CPU and holds no new lock (locked does)."
    )
    LAYER: ClassVar[Layer] = "state"
    NEEDS: ClassVar[Needs] = Needs(kinds=frozenset(("postgres",)), tap=True)
    HIT: ClassVar[str] = "statements slowed"

    delay_s: float

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        delay_s = words.duration_s()
        if not words.take("on"):
            raise words.wrong("on, and the statement")
        return cls(target=target, delay_s=delay_s, match=match_of(words))

    def details(self) -> str:
        return f"{duration_words(self.delay_s)} on {self.match}"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.DelayUnit(delay_s=self.delay_s, match=self.match, when=when)

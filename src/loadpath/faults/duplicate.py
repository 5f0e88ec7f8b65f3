"""A request that arrives twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Needs
from loadpath.faults.unit_fault import UnitFault, match_of
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class Duplicated(UnitFault, frozen=True, kw_only=True):
    """`[TARGET] duplicate of UNIT`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("duplicate",)
    FORM: ClassVar[str] = "[TARGET] duplicate of UNIT"
    EXAMPLE: ClassVar[str] = "queue duplicate of PUB visits.*"
    SUMMARY: ClassVar[str] = (
        "The server gets it twice and the client one answer, as by a relay that tries again. "
        "PostgreSQL knows no such thing: one connection is one session."
    )
    NEEDS: ClassVar[Needs] = Needs(
        kinds=frozenset(("valkey", "nats", "http")), tap=True, service=True, writes=True
    )
    HIT: ClassVar[str] = "units sent twice"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        words.take("of")
        return cls(target=target, match=match_of(words))

    def details(self) -> str:
        return f"of {self.match}"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Duplicate(match=self.match, when=when)

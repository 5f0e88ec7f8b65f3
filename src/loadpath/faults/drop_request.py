"""A request that never arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.unit_fault import UnitFault, match_of
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class DropRequest(UnitFault, frozen=True, kw_only=True):
    """`[TARGET] drop request of UNIT`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("drop", "request")
    FORM: ClassVar[str] = "[TARGET] drop request of UNIT"
    EXAMPLE: ClassVar[str] = "drop request of INSERT INTO link"
    SUMMARY: ClassVar[str] = (
        "The server never gets it, and the connection is closed instead of an answer; nothing "
        "was done. (NATS: the message vanishes.)"
    )
    HIT: ClassVar[str] = "units dropped before the server"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        words.take("of")
        return cls(target=target, match=match_of(words))

    def details(self) -> str:
        return f"of {self.match}"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.DropRequest(match=self.match, when=when)

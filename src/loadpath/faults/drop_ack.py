"""An acknowledgement that never arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.unit_fault import UnitFault, match_of
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class DropAck(UnitFault, frozen=True, kw_only=True):
    """`[TARGET] drop ack after commit of UNIT`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("drop", "ack")
    FORM: ClassVar[str] = "[TARGET] drop ack after commit of UNIT"
    EXAMPLE: ClassVar[str] = "drop ack after commit of INSERT INTO link"
    SUMMARY: ClassVar[str] = (
        "The server does it, and commits the transaction it belongs to; the connection is "
        "closed instead of the answer that says so. (NATS: that answer vanishes.)"
    )
    HIT: ClassVar[str] = "acknowledgements dropped after the server had done it"

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        words.take("after", "commit")
        words.take("of")
        return cls(target=target, match=match_of(words))

    def details(self) -> str:
        return f"after commit of {self.match}"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.DropReply(match=self.match, when=when)

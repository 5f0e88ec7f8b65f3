"""Nobody answers a SYN."""

from __future__ import annotations

from typing import ClassVar, Literal

from loadpath.faults.fault import Layer
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders


class BlackHole(TapFault, frozen=True, kw_only=True):
    """`TARGET black hole`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("black", "hole")
    FORM: ClassVar[str] = "TARGET black hole"
    EXAMPLE: ClassVar[str] = "database black hole"
    SUMMARY: ClassVar[str] = (
        "Packets vanish: open connections stall and new ones get no answer to their SYN, as "
        "with a machine or network that is gone."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "waits"
    LAYER: ClassVar[Layer] = "connect"
    HIT: ClassVar[str] = "connections stalled or left unanswered"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.BlackHole(when=when)

"""Connections are accepted and nothing is said."""

from __future__ import annotations

from typing import ClassVar, Literal

from loadpath.faults.fault import Layer
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders


class Silent(TapFault, frozen=True, kw_only=True):
    """`TARGET silent`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("silent",)
    FORM: ClassVar[str] = "TARGET silent"
    EXAMPLE: ClassVar[str] = "database silent"
    SUMMARY: ClassVar[str] = (
        "New connections are accepted and never spoken to, open ones stall, as with a server "
        "that hangs."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "waits"
    LAYER: ClassVar[Layer] = "connect"
    HIT: ClassVar[str] = "connections left in silence"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Silence(when=when)

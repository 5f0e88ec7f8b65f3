"""Connections are accepted and reset."""

from __future__ import annotations

from typing import ClassVar, Literal

from loadpath.faults.fault import Layer
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders


class AcceptReset(TapFault, frozen=True, kw_only=True):
    """`TARGET accept reset`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("accept", "reset")
    FORM: ClassVar[str] = "TARGET accept reset"
    EXAMPLE: ClassVar[str] = "cache accept reset"
    SUMMARY: ClassVar[str] = (
        "Open connections are reset, new ones accepted and reset at once, as by a proxy whose "
        "server is gone."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "fails"
    LAYER: ClassVar[Layer] = "connect"
    HIT: ClassVar[str] = "connections reset"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.ResetNew(when=when)

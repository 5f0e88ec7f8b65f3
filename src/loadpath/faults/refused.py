"""Nothing listens where the target was."""

from __future__ import annotations

from typing import ClassVar, Literal

from loadpath.faults.fault import Layer
from loadpath.faults.tap_fault import TapFault
from loadpath.tap import orders


class Refused(TapFault, frozen=True, kw_only=True):
    """`TARGET refused`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("refused",)
    FORM: ClassVar[str] = "TARGET refused"
    EXAMPLE: ClassVar[str] = "cache refused"
    SUMMARY: ClassVar[str] = (
        "Open connections are reset and new ones refused, as when nothing listens there any more."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "fails"
    LAYER: ClassVar[Layer] = "connect"
    HIT: ClassVar[str] = "open connections reset"

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Refuse(when=when)

"""Connections are reset."""

from __future__ import annotations

from typing import ClassVar

from loadpath.faults.closed import Closed


class Reset(Closed, frozen=True, kw_only=True):
    """`TARGET reset [requests|replies]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("reset",)
    FORM: ClassVar[str] = "TARGET reset [requests|replies]"
    EXAMPLE: ClassVar[str] = "cache reset"
    SUMMARY: ClassVar[str] = (
        "Open connections are reset, new ones as soon as something is sent on them (in that "
        "direction)."
    )
    HIT: ClassVar[str] = "connections reset"
    RESET: ClassVar[bool] = True

"""The target is ended in order and started again at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from loadpath.faults.process_fault import ProcessFault, start_again, stop_signal
from loadpath.faults.strikes import end_in_order

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection


class Restarted(ProcessFault, frozen=True, kw_only=True):
    """`TARGET restarted`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("restarted",)
    FORM: ClassVar[str] = "TARGET restarted"
    EXAMPLE: ClassVar[str] = "cache restarted"
    SUMMARY: ClassVar[str] = (
        "Ended in order and started again at once, as by a deployment of a new version."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "fails"

    async def onset(self, injection: Injection) -> None:
        await end_in_order(injection, stop_signal(injection.stage, self.target))
        injection.restart = injection.meanwhile(start_again(injection))

    async def heal(self, injection: Injection) -> None:
        if injection.restart is not None:
            await injection.restart
        await injection.clean_up()

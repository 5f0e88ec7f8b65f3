"""Every process of the target is killed at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from loadpath.faults.process_fault import ProcessFault, bring_back, supervise
from loadpath.faults.strikes import kill_all

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection


class Killed(ProcessFault, frozen=True, kw_only=True):
    """`TARGET killed`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("killed",)
    FORM: ClassVar[str] = "TARGET killed"
    EXAMPLE: ClassVar[str] = "database killed"
    SUMMARY: ClassVar[str] = (
        "SIGKILL to all of its processes at once; a dependency comes back when it heals, on the "
        "data it left, the service after a second."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "fails"

    async def onset(self, injection: Injection) -> None:
        await kill_all(injection)
        supervise(injection)

    async def heal(self, injection: Injection) -> None:
        await bring_back(injection)

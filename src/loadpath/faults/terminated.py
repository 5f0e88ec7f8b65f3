"""The target is asked to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from loadpath.faults.process_fault import ProcessFault, bring_back, stop_signal, supervise
from loadpath.faults.strikes import end_in_order

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection


class Terminated(ProcessFault, frozen=True, kw_only=True):
    """`TARGET terminated`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("terminated",)
    FORM: ClassVar[str] = "TARGET terminated"
    EXAMPLE: ClassVar[str] = "service terminated"
    SUMMARY: ClassVar[str] = (
        "Asked to end in order (SIGTERM; PostgreSQL: SIGINT, its fast shutdown) and killed if "
        "it has not after 10 s; comes back as when killed."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "fails"

    async def onset(self, injection: Injection) -> None:
        await end_in_order(injection, stop_signal(injection.stage, self.target))
        supervise(injection)

    async def heal(self, injection: Injection) -> None:
        await bring_back(injection)

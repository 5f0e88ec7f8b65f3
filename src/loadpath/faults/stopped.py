"""Every process of the target is stopped, and none of them gone."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, ClassVar, Literal

from loadpath.deploy import processes
from loadpath.errors import LoadpathError
from loadpath.faults.fault import Hits
from loadpath.faults.process_fault import ProcessFault
from loadpath.faults.strikes import is_alive, is_stopped, strike_all

_STOP_TIMEOUT_S = 5.0

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection


class Stopped(ProcessFault, frozen=True, kw_only=True):
    """`TARGET stopped`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("stopped",)
    FORM: ClassVar[str] = "TARGET stopped"
    EXAMPLE: ClassVar[str] = "database stopped"
    SUMMARY: ClassVar[str] = (
        "SIGSTOP to all of its processes (of PostgreSQL every backend, too): connections stay "
        "open, the kernel accepts more, nobody answers. SIGCONT heals it."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "waits"

    async def onset(self, injection: Injection) -> None:
        async def go_on() -> None:
            for entry in reversed(injection.struck):
                processes.send(entry, signal.SIGCONT)

        injection.undo("continue its processes", go_on)
        strike_all(injection, signal.SIGSTOP)
        deadline_s = time.monotonic() + _STOP_TIMEOUT_S
        while not all(is_stopped(entry) for entry in injection.struck if is_alive(entry)):
            if time.monotonic() > deadline_s:
                raise LoadpathError(f"SIGSTOP did not stop every process of {self.target}")
            await asyncio.sleep(0.001)
        injection.gone = sum(is_stopped(entry) for entry in injection.struck)

    async def hits(self, injection: Injection) -> Hits:
        count = injection.gone
        names = "process" if count == 1 else "processes"
        return Hits(count, f"{count} {names} of {self.target} seen stopped")

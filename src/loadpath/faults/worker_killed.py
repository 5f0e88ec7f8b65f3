"""One worker of the service is killed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, ClassVar

from loadpath.errors import LoadpathError
from loadpath.faults.fault import Needs
from loadpath.faults.process_fault import ProcessFault
from loadpath.faults.strikes import END_TIMEOUT_S, gone, strike
from loadpath.faults.workers import workers_of

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection


class WorkerKilled(ProcessFault, frozen=True, kw_only=True):
    """`service worker killed`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("worker", "killed")
    FORM: ClassVar[str] = "service worker killed"
    EXAMPLE: ClassVar[str] = "service worker killed"
    SUMMARY: ClassVar[str] = (
        "SIGKILL to one worker process of the service, the one that has worked most; its own "
        "supervisor has to replace it."
    )
    NEEDS: ClassVar[Needs] = Needs(kinds=frozenset(), service=True, started=True)

    async def onset(self, injection: Injection) -> None:
        workers = workers_of(injection.stage.processes(self.target))
        if not workers:
            raise LoadpathError(
                "the service has no worker process besides its first one",
                advice="Start it with two workers or more, or kill all of it: service killed.",
            )
        strike(injection, workers[:1], signal.SIGKILL)
        if not await gone(injection.struck, END_TIMEOUT_S):
            raise LoadpathError(f"SIGKILL did not end worker {workers[0].pid} of the service")

    async def heal(self, injection: Injection) -> None:
        """There is nothing to undo: whoever started the worker has to."""
        now = len(workers_of(injection.stage.processes(self.target)))
        injection.notes.append(f"it has {now} workers now")
        await injection.clean_up()

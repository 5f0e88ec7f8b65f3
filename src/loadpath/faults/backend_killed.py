"""One backend of PostgreSQL is killed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, ClassVar

from loadpath.deploy import processes
from loadpath.errors import LoadpathError
from loadpath.faults.fault import Needs
from loadpath.faults.process_fault import ProcessFault
from loadpath.faults.strikes import END_TIMEOUT_S, gone, strike

_BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY (state = 'active') DESC NULLS LAST, state_change DESC
"""

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection


class BackendKilled(ProcessFault, frozen=True, kw_only=True):
    """`TARGET backend killed`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("backend", "killed")
    FORM: ClassVar[str] = "TARGET backend killed"
    EXAMPLE: ClassVar[str] = "database backend killed"
    SUMMARY: ClassVar[str] = (
        "SIGKILL to one backend of PostgreSQL, which ends all the others and recovers, as after "
        "one that the kernel killed for its memory."
    )
    NEEDS: ClassVar[Needs] = Needs(kinds=frozenset(("postgres",)), started=True)

    async def onset(self, injection: Injection) -> None:
        async with injection.stage.postgres(self.target) as connection:
            pids = [row["pid"] for row in await connection.fetch(_BACKENDS)]
        entries = [entry for pid in pids if (entry := processes.look(pid)) is not None]
        if not entries:
            raise LoadpathError(f"nobody is connected to {self.target}: it has no backend to kill")
        strike(injection, entries[:1], signal.SIGKILL)
        if not await gone(injection.struck, END_TIMEOUT_S):
            raise LoadpathError(f"SIGKILL did not end backend {entries[0].pid}")

"""What a fault acts on: a running deployment, the taps before its dependencies, and the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from loadpath.deploy import Deployment, Guard, RunningDependency, processes
from loadpath.errors import LoadpathError
from loadpath.events import EventSink, discard
from loadpath.tap import SERVICE, Taps

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection

_SQL_TIMEOUT_S = 10.0


class Stage:
    """A deployment that runs, with what is needed to disturb it and to see that it was.

    `taps` None: none stand on its wires, so faults of a tap cannot be done. `injections` are those
    that were begun here, in order.
    """

    def __init__(
        self,
        deployment: Deployment,
        *,
        guard: Guard,
        taps: Taps | None = None,
        emit: EventSink = discard,
    ) -> None:
        self.deployment = deployment
        self.guard = guard
        self.emit = emit
        self.injections: list[Injection] = []
        self._taps = taps

    @property
    def taps(self) -> Taps:
        """The taps. Raises `LoadpathError` when there are none."""
        if self._taps is None:
            raise LoadpathError("no taps stand on the wires, and the fault needs one")
        return self._taps

    def running(self, target: str) -> RunningDependency:
        """The dependency of that name that Loadpath started, as it is reached itself.

        Raises `LoadpathError`, also of one given by URL: whatever asks for it, past its tap nothing
        is done to what others use.
        """
        try:
            found = self.deployment.dependencies[target]
        except KeyError:
            known = ", ".join(self.deployment.dependencies)
            raise LoadpathError(f"there is no dependency {target}; there are: {known}") from None
        if not found.embedded:
            raise LoadpathError(
                f"{target} is given by URL: a fault reaches it through its tap or not at all"
            )
        return found

    def processes(self, target: str) -> list[processes.Entry]:
        """Every process of a part that has not ended, those that were started first at first."""
        roots = self.deployment.parts().get(target, ())
        entries = [processes.look(pid) for pid in processes.tree(roots)]
        return [entry for entry in entries if entry is not None and not entry.ended]

    @asynccontextmanager
    async def postgres(self, target: str) -> AsyncIterator[Any]:
        """A connection to PostgreSQL itself, past the tap. Raises `LoadpathError`."""
        connection = await self.connect_postgres(target)
        try:
            yield connection
        finally:
            connection.terminate()

    async def connect_postgres(self, target: str) -> Any:
        """The same, for whoever closes it himself: an `asyncpg.Connection`."""
        server = self.running(target)
        try:
            return await asyncpg.connect(
                host=server.host,
                port=server.port,
                user=server.user,
                password=server.password,
                database=server.name,
                timeout=_SQL_TIMEOUT_S,
                command_timeout=_SQL_TIMEOUT_S,
            )
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise LoadpathError(
                f"no connection of Loadpath's own to {target} could be made: {error}"
            ) from None

    def is_service(self, target: str) -> bool:
        """Whether that is the service, not a dependency."""
        return target == SERVICE

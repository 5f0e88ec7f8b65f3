"""All dependencies of a service together: started side by side, stopped, given ones looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from loadpath.deploy.accounts import let_in, unprivileged
from loadpath.deploy.cores import chosen_cores
from loadpath.deploy.dependency import RunningDependency, given_dependency
from loadpath.deploy.embedded import EmbeddedServer, SavedData, start_embedded
from loadpath.deploy.given import GIVEN_KINDS
from loadpath.deploy.guard import Guard
from loadpath.deploy.kept_home import KeptHome
from loadpath.deploy.kind import Advice, file_name
from loadpath.deploy.kinds import KINDS
from loadpath.deploy.logs import Log
from loadpath.deploy.probe import connects
from loadpath.deploy.shortage import explained_room
from loadpath.errors import WouldNotRunError
from loadpath.events import EventSink, PartReady, PartStarting
from loadpath.spec import Dependency, Setup


class Dependencies:
    """The dependencies of one deployment. `servers` are the embedded ones, by name.

    They live in `folder`; `around` are private folders that it lies in, outermost first. `homes`
    are where those live whose data is kept. Logs are written to `logs`, by default in `folder`.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        guard: Guard,
        emit: EventSink,
        folder: Path,
        around: tuple[Path, ...] = (),
        homes: Mapping[str, KeptHome] | None = None,
        logs: Path | None = None,
    ) -> None:
        self.running: dict[str, RunningDependency] = {}
        self.servers: dict[str, EmbeddedServer] = {}
        self.logs: dict[str, Log] = {}
        self._setup = setup
        self._guard = guard
        self._emit = emit
        self._folder = folder
        self._around = around
        self._homes = homes or {}
        self._log_folder = logs or folder

    async def start(self, saved: Mapping[str, SavedData]) -> None:
        """Start the embedded ones, side by side, and see that the given ones answer.

        Raises `WouldNotRunError` or `UnsafeTargetError`; those that did start are then left to
        `stop`.
        """
        declared = self._setup.service.dependencies
        given = {d.name: self._given(d) for d in declared if d.url is not None}
        embedded = [d for d in declared if d.url is None]
        for dependency in embedded:
            KINDS[dependency.kind].check(dependency)
        if any(dependency.kind == "postgres" for dependency in embedded):
            for folder in (*self._around, self._folder):
                let_in(unprivileged(), folder)
        results = await asyncio.gather(
            *(self._start(d, saved.get(d.name)) for d in embedded),
            *(self._look(name, running) for name, running in given.items()),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, WouldNotRunError):
                raise explained_room(result, self._folder)
            if isinstance(result, BaseException):
                raise result
        self.running = {d.name: self.running[d.name] for d in declared}

    async def stop(self) -> None:
        """End the embedded ones: in order those whose data is kept, at once the others."""
        try:
            await asyncio.gather(*(server.stop() for server in self.servers.values()))
        finally:
            self.close()

    async def stop_to_keep(self) -> dict[str, SavedData]:
        """Stop the embedded ones so that their data can be copied."""
        names = list(self.servers)
        saved = await asyncio.gather(*(self.servers[name].stop_to_keep() for name in names))
        for kind in {server.running.kind for server in self.servers.values()}:
            await KINDS[kind].forget(self._guard)
        self.close()
        return dict(zip(names, saved, strict=True))

    async def settle(self) -> None:
        """Put the embedded ones in the state that every arm starts from."""
        await asyncio.gather(
            *(server.kind.settle(server.place) for server in self.servers.values())
        )

    def close(self) -> None:
        """Give up the log files, which stay readable."""
        for log in self.logs.values():
            log.close()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown of any of them."""
        return tuple(secret for running in self.running.values() for secret in running.secrets)

    def values(self) -> dict[str, dict[str, str]]:
        """What the placeholders of each one's environment templates stand for."""
        return {name: running.values() for name, running in self.running.items()}

    def explain(self, output: str) -> Advice | None:
        """What a client's failing output says about one of the embedded ones."""
        found = (server.kind.explain(output) for server in self.servers.values())
        return next((advice for advice in found if advice is not None), None)

    async def _start(self, dependency: Dependency, saved: SavedData | None) -> None:
        log = Log(self._log_folder / f"{file_name(dependency.name)}.log")
        self.logs[dependency.name] = log
        server = await start_embedded(
            dependency,
            guard=self._guard,
            folder=self._folder,
            log=log,
            emit=self._emit,
            saved=saved,
            kept=self._homes.get(dependency.name),
            cores=chosen_cores(self._setup.cores),
        )
        self.servers[dependency.name] = server
        self.running[dependency.name] = server.running

    def _given(self, dependency: Dependency) -> RunningDependency:
        kind = GIVEN_KINDS[dependency.kind]
        return given_dependency(
            dependency, self._setup, default_port=kind.default_port, default_name=kind.name
        )

    async def _look(self, name: str, running: RunningDependency) -> None:
        kind = GIVEN_KINDS[running.kind]
        began_s = time.monotonic()
        address = running.address
        self._emit(PartStarting(at_s=time.time(), part=name, detail=f"{kind.title}, given"))
        if (error := await connects(address)) is not None:
            raise WouldNotRunError(
                f"{kind.title} ({name}) was given at {address}, and does not answer there: {error}",
                advice="Start it, or leave url out: then one is started for each run.",
            )
        version = await kind.given_version(address, running.user, running.password, running.name)
        self.running[name] = msgspec.structs.replace(running, version=version)
        took_s = time.monotonic() - began_s
        self._emit(PartReady(at_s=time.time(), part=name, address=str(address), took_s=took_s))

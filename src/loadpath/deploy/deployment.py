"""A running setup: its dependencies and its service, watched while they run, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from loadpath.deploy import peers
from loadpath.deploy.address import Address
from loadpath.deploy.data import Snapshot
from loadpath.deploy.dependencies import Dependencies
from loadpath.deploy.dependency import RunningDependency
from loadpath.deploy.embedded import EmbeddedServer
from loadpath.deploy.guard import Guard, GuardedChild, exit_words
from loadpath.deploy.kept import Kept
from loadpath.deploy.listeners import GivenServers
from loadpath.deploy.logs import LIMIT_BYTES, Log
from loadpath.deploy.processes import tree
from loadpath.deploy.service import SERVICE, RunningService, start_service, stop_service
from loadpath.deploy.sockets import Connection
from loadpath.errors import WouldNotRunError
from loadpath.events import EventSink, PartReady, PartStarting, PartStopped, Warned, discard
from loadpath.spec import Setup

Wrap: TypeAlias = Callable[[str, Address], Awaitable[Address]]
"""Puts a relay before the address of a dependency and returns the relay's address."""

_WATCH_S = 0.5


class Deployment:
    """A setup that runs. Async context manager: entering starts it, leaving stops it in order.

    Each dependency starts with a copy of its data in `snapshot`, or empty. `wrap` may stand a relay
    before each dependency; the service is then given the relay's address. `port` is one that the
    user insists on for the service. With `kept` the dependencies live in that folder instead, and
    so does what every part prints. Entering raises `WouldNotRunError` when a part will not run and
    `UnsafeTargetError` when the service is connected to a server that nobody declared.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        guard: Guard,
        snapshot: Snapshot | None = None,
        emit: EventSink = discard,
        wrap: Wrap | None = None,
        port: int | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.setup = setup
        self._snapshot = snapshot or Snapshot()
        self._guard = guard
        self._emit = emit
        self._wrap = wrap
        self._port = port
        self._kept = kept
        self._service: RunningService | None = None
        self._reached: dict[str, tuple[Address, ...]] = {}
        self._lingering: tuple[Connection, ...] = ()
        self._used: set[str] = set()
        self._logs: dict[str, Log] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._may_end: set[str] = set()
        self._values: dict[str, Mapping[str, str]] = {}
        self._running: set[str] = set()
        self._flooding: set[str] = set()

    @property
    def address(self) -> Address:
        """Where the service answers."""
        if self._service is None:
            raise RuntimeError("the deployment is not running")
        return self._service.address

    @property
    def dependencies(self) -> Mapping[str, RunningDependency]:
        """Every dependency by name, as it is itself reached (not its relay)."""
        return self._dependencies.running

    def server(self, name: str) -> EmbeddedServer:
        """A dependency that Loadpath started. Raises `KeyError` for one given by URL."""
        return self._dependencies.servers[name]

    def parts(self) -> dict[str, tuple[int, ...]]:
        """The pids that all processes of each part descend from. May be called from any thread.

        Only what Loadpath started and may end: a dependency given by URL is among `given_parts`. A
        service that became a daemon has those of the daemon.
        """
        return {name: self._guard.roots(child) for name, child in self._children().items()}

    def given_parts(self) -> dict[str, tuple[int, ...]]:
        """The same of the dependencies given by URL that run on this machine, as far as they can be
        seen: to be metered, never to be signaled. May be called from any thread."""
        return self._given.roots()

    def unmetered(self) -> tuple[str, ...]:
        """A sentence on each dependency given by URL on this machine that cannot be metered."""
        return tuple(
            f"{name} runs on this machine at {self._dependencies.running[name].address} and cannot "
            f"be metered ({why}): its CPU counts as that of other processes"
            for name, why in self._given.unseen().items()
        )

    def look_at_given(self) -> None:
        """Look again for the processes of the dependencies given by URL: some come later."""
        self._given.look()

    # Its life

    async def __aenter__(self) -> Deployment:
        self._death: asyncio.Future[WouldNotRunError] = asyncio.get_running_loop().create_future()
        self._folder = self._guard.make_folder()
        self._log_folder = self._folder if self._kept is None else self._kept.logs
        self._dependencies = Dependencies(
            self.setup,
            guard=self._guard,
            emit=self._emit,
            folder=self._folder,
            homes={} if self._kept is None else self._kept.homes(),
            logs=self._log_folder,
        )
        self._logs = self._dependencies.logs
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        await self._dependencies.start(self._snapshot.saved)
        self._watch()
        every = self._dependencies.running
        self._given = GivenServers(
            {name: running.address for name, running in every.items() if not running.embedded}
        )
        for name, running in every.items():
            reached = running.address
            if self._wrap is not None:
                reached = await self._wrap(name, reached)
            self._reached[name] = (running.address, reached)
            self._values[name] = running.values(reached)
        self._lingering = peers.lingering_connections()
        self._logs[SERVICE] = Log(self._log_folder / f"{SERVICE}.log")
        try:
            self._service = await start_service(
                self.setup,
                self._values,
                guard=self._guard,
                log=self._logs[SERVICE],
                emit=self._emit,
                port=self._port,
            )
        except WouldNotRunError as error:
            self.raise_if_died()
            raise self._explained(error) from None
        self._watch()
        if not peers.SUPPORTED:
            self._emit(
                Warned(
                    at_s=time.time(),
                    message="whom the service is connected to cannot be looked at on this platform",
                    advice="See to it that no .env of the service overrides its addresses.",
                )
            )
        self.check_peers()

    async def _stop(self) -> None:
        for watcher in self._watchers.values():
            watcher.cancel()
        try:
            if self._service is not None:
                killed = await stop_service(self._guard, self.setup.service, self._service)
                if killed:
                    self._warn_of_killing(killed)
                self._ended(SERVICE, expected=True)
            await self._dependencies.stop()
            for name in self._children():
                self._ended(name, expected=True)
        finally:
            for log in self._logs.values():
                log.close()
            for server in self._dependencies.servers.values():
                if not server.place.kept:
                    await self._guard.remove_now(server.place.folder)

    # Parts that end while they are needed

    def raise_if_died(self) -> None:
        """Raise `WouldNotRunError` when the service or a dependency has ended by itself."""
        self._guard.raise_if_lost()
        if self._death.done():
            raise self._death.result()

    async def died(self) -> WouldNotRunError:
        """Wait until the service or a dependency ends by itself; the error that says so."""
        return await asyncio.shield(self._death)

    def let_end(self, name: str) -> None:
        """The part may end from now on, until `start_again`: it is about to be made to."""
        self._may_end.add(name)

    def keep(self, name: str) -> None:
        """The part has to stay from now on, as before `let_end`: it has come through."""
        self._may_end.discard(name)

    async def start_again(self, name: str) -> None:
        """Start a part again, whatever is left of it: where it was, a dependency on its data.

        Returns once it serves. Raises `WouldNotRunError` when it does not.
        """
        self.let_end(name)
        if name == SERVICE:
            assert self._service is not None, "the deployment is not running"
            await self._guard.end(self._service.child, timeout_s=0.0)
            self._forget_watcher(name)
            self._service = await start_service(
                self.setup,
                self._values,
                guard=self._guard,
                log=self._logs[SERVICE],
                emit=self._emit,
                port=self._service.address.port,
            )
        else:
            began_s = time.monotonic()
            server = self._dependencies.servers[name]
            self._emit(PartStarting(at_s=time.time(), part=name, detail=server.kind.title))
            await server.start_again()
            self._forget_watcher(name)
            self._emit(
                PartReady(
                    at_s=time.time(),
                    part=name,
                    address=str(server.place.address),
                    took_s=time.monotonic() - began_s,
                )
            )
        self._may_end.discard(name)
        self._watch()

    def _forget_watcher(self, name: str) -> None:
        """Of a child that is no more the part."""
        if (watcher := self._watchers.pop(name, None)) is not None:
            watcher.cancel()
        self._ended(name, expected=True)

    def _children(self) -> dict[str, GuardedChild]:
        servers = self._dependencies.servers
        declared = (dependency.name for dependency in self.setup.service.dependencies)
        children = {name: servers[name].child for name in declared if name in servers}
        if self._service is not None:
            children[SERVICE] = self._service.child
        return children

    def _watch(self) -> None:
        """Watch the parts that are not watched yet."""
        for name, child in self._children().items():
            if name not in self._running:
                self._running.add(name)
                self._watchers[name] = asyncio.create_task(self._watch_part(name, child))

    async def _watch_part(self, name: str, child: GuardedChild) -> None:
        while child.returncode is None or (child.returncode == 0 and self._guard.roots(child)):
            if self._logs[name].keep_small() and name not in self._flooding:
                self._flooding.add(name)
                self._warn_of_flood(name)
            with contextlib.suppress(TimeoutError):
                if child.returncode is None:
                    await asyncio.wait_for(child.wait(), _WATCH_S)
                else:
                    # Its first process has ended and left a daemon.
                    await asyncio.sleep(_WATCH_S)
        expected = name in self._may_end
        self._ended(name, expected=expected)
        if not expected and not self._death.done():
            what = "the service" if name == SERVICE else name
            how = self._guard.lost or f"{what} {exit_words(child.returncode)} while it was needed"
            self._death.set_result(WouldNotRunError(str(how), last_lines=self.log_tail(name)))

    def _warn_of_flood(self, name: str) -> None:
        what = "the service" if name == SERVICE else name
        self._emit(
            Warned(
                at_s=time.time(),
                message=f"{what} printed more than {LIMIT_BYTES >> 20} MB: only the last part of "
                "its log is kept.",
                advice="Printing costs it CPU time that counts as its own: lower its log level "
                "under [service] env unless it logs as much in production."
                if name == SERVICE
                else "Lower its log level under settings.",
            )
        )

    def _warn_of_killing(self, killed: int) -> None:
        processes = "1 process" if killed == 1 else f"{killed} processes"
        self._emit(
            Warned(
                at_s=time.time(),
                message=f"the service did not end within {self.setup.service.stop_timeout_s:g} s "
                f"of SIGTERM: {processes} had to be killed.",
                advice="What it does to end in order was cut short; stop_timeout under [service] "
                "gives it longer.",
            )
        )

    def _ended(self, name: str, *, expected: bool) -> None:
        if name in self._running:
            self._running.discard(name)
            self._emit(PartStopped(at_s=time.time(), part=name, expected=expected))

    def _explained(self, error: WouldNotRunError) -> WouldNotRunError:
        """The error with what its output says about a dependency, and without secrets."""
        lines = self.log_tail(SERVICE) if error.last_lines else ()
        known = self._dependencies.explain("\n".join(lines))
        message = error.message + (f": {known.message}" if known else "")
        advice = known.advice if known else error.advice
        return WouldNotRunError(message, last_lines=lines, advice=advice)

    # Peers

    def look_at_peers(self) -> peers.Seen:
        """Whom the service is connected to at this moment."""
        child = self._children().get(SERVICE)
        roots = () if child is None else self._guard.roots(child)
        seen = peers.look(
            tree(roots),
            self._reached,
            allowed=self.setup.service.peers,
            ignored_folder=str(self._folder),
            lingering=self._lingering,
        )
        self._used |= seen.used
        return seen

    def check_peers(self) -> None:
        """Raise `UnsafeTargetError` when the service is connected to a server nobody declared.

        Connections are often opened by the first requests only, so call it again under load.
        """
        if undeclared := self.look_at_peers().undeclared:
            given = [key for d in self.setup.service.dependencies for key in d.env]
            raise peers.unsafe(undeclared, given)

    def unused_dependencies(self) -> tuple[str, ...]:
        """The dependencies that no look so far has seen the service connected to."""
        return tuple(name for name in self._reached if name not in self._used)

    # Logs

    def log_tail(self, part: str) -> tuple[str, ...]:
        """The last lines that a part printed, oldest first; none for one given by URL."""
        log = self._logs.get(part)
        return () if log is None else log.tail(secrets=self._dependencies.secrets)

    @property
    def log_files(self) -> dict[str, Path]:
        """Where what each part prints is written, the dependencies' first."""
        return {name: log.path for name, log in self._logs.items()}

    def copy_logs(self, to: Path) -> None:
        """Write what is kept of every part's output to `to`/<part>.log, without passwords."""
        to.mkdir(parents=True, exist_ok=True)
        for log in self._logs.values():
            log.copy_to(to, self._dependencies.secrets)

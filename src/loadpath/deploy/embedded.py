"""One embedded server: started on a free port, waited for, stopped with or without its data."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from pathlib import Path

import msgspec

from loadpath.deploy.address import LOOPBACK, Address, free_port, port_is_free
from loadpath.deploy.copying import copy_tree
from loadpath.deploy.dependency import RunningDependency, url_of
from loadpath.deploy.guard import Guard, GuardedChild, exit_words
from loadpath.deploy.kept_home import KeptHome
from loadpath.deploy.kind import Kind, Place, file_name
from loadpath.deploy.kinds import KINDS
from loadpath.deploy.logs import Log
from loadpath.deploy.probe import pauses, unless_ended
from loadpath.errors import WouldNotRunError
from loadpath.events import EventSink, PartReady, PartStarting
from loadpath.spec import Dependency

READY_TIMEOUT_S = 60.0
"""How long a server may take to serve; a killed PostgreSQL recovers first."""
_CLEAN_STOP_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 5.0
_PORT_TRIES = 4
_LOCK_DESCRIPTOR = 3

PORT_TAKEN = re.compile(r"address (is )?already in use|EADDRINUSE", re.IGNORECASE)
"""How servers say that they lost the race for their port."""


class SavedData(msgspec.Struct, frozen=True):
    """A data folder of a stopped server, and the password that its server had."""

    data: Path
    password: str


class EmbeddedServer:
    """A server that Loadpath started. `running` is what a client needs to connect to it."""

    def __init__(
        self, kind: Kind, place: Place, child: GuardedChild, running: RunningDependency
    ) -> None:
        self.kind = kind
        self.place = place
        self.child = child
        self.running = running

    @property
    def log(self) -> Log:
        """What it printed."""
        return self.place.log

    async def stop(self) -> None:
        """End it: at once when its data is not needed again, in order when it is kept."""
        guard = self.place.guard
        if self.place.kept:
            await self.stop_to_keep()
            return
        await guard.end(self.child, sig=self.kind.stop_signal, timeout_s=_STOP_TIMEOUT_S)

    async def start_again(self) -> None:
        """Start it again where it was, on the data that it left, and wait until it serves.

        What is left of the former one is ended first. Raises `WouldNotRunError`.
        """
        guard, place = self.place.guard, self.place
        await guard.end(self.child, sig=self.kind.stop_signal, timeout_s=_STOP_TIMEOUT_S)
        what = f"{self.kind.title} ({place.dependency.name})"
        child = await _spawn(self.kind, place)
        try:
            if await _ready(self.kind, place, child) is None:
                raise WouldNotRunError(
                    f"{what} did not serve again at {place.address}"
                    + (f": it {exit_words(child.returncode)}" if child.returncode else ""),
                    last_lines=place.log.tail(secrets=(place.password,)),
                )
        except BaseException:
            await _give_up(self.kind, place, child)
            raise
        guard.note_memory(child)
        self.child = child

    async def stop_to_keep(self) -> SavedData:
        """Stop it so that its data can be copied. Raises `WouldNotRunError` when it does not."""
        killed = await self.place.guard.end(
            self.child, sig=self.kind.clean_stop_signal, timeout_s=_CLEAN_STOP_TIMEOUT_S
        )
        if killed:
            raise WouldNotRunError(
                f"{self.kind.title} ({self.place.dependency.name}) did not stop within "
                f"{_CLEAN_STOP_TIMEOUT_S:g} s and was killed: it has to recover its data first",
                last_lines=self.log.tail(),
            )
        return SavedData(self.place.data, self.place.password)


async def start_embedded(
    dependency: Dependency,
    *,
    guard: Guard,
    folder: Path,
    log: Log,
    emit: EventSink,
    saved: SavedData | None = None,
    kept: KeptHome | None = None,
    cores: tuple[int, ...] | None = None,
) -> EmbeddedServer:
    """Start a server in `folder`, with a copy of `saved` data or with none; or on `kept` data.

    `cores` are the numbers of those that it may run on; None: all.

    Raises `WouldNotRunError` with its last lines when it ends or does not serve in time.
    """
    kind = KINDS[dependency.kind]
    began_s = time.monotonic()
    emit(PartStarting(at_s=time.time(), part=dependency.name, detail=kind.title))
    place = _place(dependency, guard=guard, folder=folder, log=log, saved=saved, kept=kept)
    place = msgspec.structs.replace(place, cores=cores)
    if kept is not None:
        await kind.check_kept(place)
    elif saved is None:
        await kind.create(place)
    else:
        await asyncio.to_thread(copy_tree, saved.data, place.data)
    place, child, version = await _start(kind, place)
    try:
        guard.note_memory(child)
        if kept is not None:
            await kind.keep(place)
        elif saved is None:
            await kind.introduce(place)
    except BaseException:
        await _give_up(kind, place, child)
        raise
    address = place.address
    emit(
        PartReady(
            at_s=time.time(),
            part=dependency.name,
            address=str(address),
            took_s=time.monotonic() - began_s,
        )
    )
    running = RunningDependency(
        kind=dependency.kind,
        host=address.host,
        port=address.port,
        user=kind.user,
        password=place.password,
        name=kind.name,
        version=version,
        url=url_of(kind.scheme, kind.user, place.password, address, kind.name),
        embedded=True,
    )
    return EmbeddedServer(kind, place, child, running)


def _place(
    dependency: Dependency,
    *,
    guard: Guard,
    folder: Path,
    log: Log,
    saved: SavedData | None,
    kept: KeptHome | None,
) -> Place:
    if kept is None:
        home, port = folder / file_name(dependency.name), free_port()
        home.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24) if saved is None else saved.password
    else:
        home, password = kept.folder, kept.password
        port = kept.port if kept.port and port_is_free(kept.port) else free_port()
    return Place(
        dependency=dependency,
        guard=guard,
        folder=home,
        data=home / "data",
        log=log,
        address=Address(LOOPBACK, port),
        password=password,
        lock=None if kept is None else kept.lock,
    )


async def _start(kind: Kind, place: Place) -> tuple[Place, GuardedChild, str]:
    """Start the server, at another port when this one was taken meanwhile."""
    what = f"{kind.title} ({place.dependency.name})"
    for tries_left in reversed(range(_PORT_TRIES)):
        child = await _spawn(kind, place)
        try:
            version = await _ready(kind, place, child)
            if version is not None:
                return place, child, version
            why = f"{what} did not serve at {place.address} within {READY_TIMEOUT_S:g} s"
            if child.returncode is not None:
                why = f"{what} {exit_words(child.returncode)} before it served at {place.address}"
        except BaseException:
            await _give_up(kind, place, child)
            raise
        await _give_up(kind, place, child)
        last_lines = place.log.tail(secrets=(place.password,))
        if tries_left == 0 or not any(PORT_TAKEN.search(line) for line in last_lines):
            break
        place = msgspec.structs.replace(place, address=Address(LOOPBACK, free_port()))
    raise WouldNotRunError(why, last_lines=last_lines)


async def _give_up(kind: Kind, place: Place, child: GuardedChild) -> None:
    """End one that did not come up, in order when its data is kept."""
    sig = kind.clean_stop_signal if place.kept else kind.stop_signal
    timeout_s = _CLEAN_STOP_TIMEOUT_S if place.kept else _STOP_TIMEOUT_S
    await place.guard.end(child, sig=sig, timeout_s=timeout_s)


async def _spawn(kind: Kind, place: Place) -> GuardedChild:
    command = kind.command(place)
    account = command.account
    stop_signal = kind.clean_stop_signal if place.kept else kind.stop_signal
    try:
        return await place.guard.spawn(
            command.argv,
            name=place.dependency.name,
            env=command.env,
            cwd=place.folder,
            stdout=place.log.file,
            fds={} if place.lock is None else {_LOCK_DESCRIPTOR: place.lock},
            user=account.user if account else None,
            group=account.group if account else None,
            stop_signal=stop_signal,
            death_signal=stop_signal,
            cores=place.cores,
        )
    except OSError as error:
        raise WouldNotRunError(
            f"{kind.title} ({place.dependency.name}) could not be started: {error}"
        ) from None


async def _ready(kind: Kind, place: Place, child: GuardedChild) -> str | None:
    """The version once it serves; None when it has ended or the time is up."""
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    async for _ in pauses():
        if child.returncode is not None or time.monotonic() > deadline_s:
            return None
        version = await unless_ended(child, kind.answers(place))
        # An answer of another program on that port is none: ours has ended then.
        if version is not None and child.returncode is None:
            return version
    return None

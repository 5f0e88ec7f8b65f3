"""A folder of the user's in which embedded servers keep their data from one `serve` to the next.

    DIR/loadpath.json      whose data it is, passwords and ports (readable by its owner only)
    DIR/lock               locked as long as Loadpath or a server started from DIR lives
    DIR/NAME/data          the data of the dependency NAME
    DIR/logs/NAME.log      what each part printed, `NAME.previous.log` the time before

Nothing here is ever removed: not by Loadpath, and not by its guard, who is not told of it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Literal

import msgspec

from loadpath.deploy.accounts import let_in, may_enter, unprivileged
from loadpath.deploy.copying import copy_tree
from loadpath.deploy.data import Snapshot
from loadpath.deploy.kept_home import KeptHome
from loadpath.deploy.kind import file_name
from loadpath.deploy.processes import look
from loadpath.deploy.service import SERVICE
from loadpath.errors import ConfigurationError, WouldNotRunError
from loadpath.spec import Setup

FORMAT = 1
MANIFEST = "loadpath.json"
LOCK = "lock"
LOGS = "logs"
_OWN = {LOCK, LOGS, ".gitignore"}
"""What a folder holds in which nothing was kept yet."""
_ENDING_S = 15.0
"""How long servers of a killed Loadpath may take to end before the folder counts as in use."""


class KeptPart(msgspec.Struct, frozen=True, kw_only=True):
    """One embedded dependency: what it is, its password, and its port if that is free again."""

    kind: str
    password: str
    port: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What loadpath.json says. `made_by` is a digest of what made the data."""

    format: int = FORMAT
    state: Literal["copying", "ready"]
    service: str
    directory: str
    made_by: str
    parts: dict[str, KeptPart]
    service_port: int = 0


class Kept:
    """The folder, locked. Context manager; leaving it gives the lock up once no server lives."""

    def __init__(self, folder: Path, setup: Setup, lock: int, manifest: Manifest | None) -> None:
        self.folder = folder
        self.logs = folder / LOGS
        self._setup = setup
        self._lock = lock
        self._manifest = manifest

    @classmethod
    def open(cls, folder: Path, setup: Setup) -> Kept:
        """Open and lock a folder that was kept, is empty, or does not exist yet.

        Raises `ConfigurationError` when it is in use, half made, another service's or no such
        folder at all, and when it cannot be written.
        """
        folder = folder.absolute()
        where = f"--keep {folder}"
        try:
            if folder.exists() and not folder.is_dir():
                raise ConfigurationError(f"{where}: expected a folder, found a file")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_content(folder, where)
            lock = _lock(folder, where)
            try:
                manifest = _read(folder, where)
                if manifest is not None:
                    _check(manifest, setup, where)
                _make_room_for_logs(folder)
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            raise ConfigurationError(
                f"{where}: {error.filename or folder}: {error.strerror}",
                advice="Give a folder that you may write to.",
            ) from None
        return cls(folder, setup, lock, manifest)

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._lock)

    @property
    def is_new(self) -> bool:
        """Whether there is no data in it yet."""
        return self._manifest is None

    @property
    def is_outdated(self) -> bool:
        """Whether prepare or seed have changed since they made the data."""
        return self._manifest is not None and self._manifest.made_by != _digest(self._setup)

    @property
    def service_port(self) -> int:
        """The port that the service had; 0 the first time."""
        return 0 if self._manifest is None else self._manifest.service_port

    async def fill(self, snapshot: Snapshot) -> None:
        """Copy the data that was prepared and seeded into the folder.

        Killed in between, the folder says so when it is opened again.
        """
        manifest = Manifest(
            state="copying",
            service=self._setup.service.name,
            directory=str(self._setup.service.directory.resolve()),
            made_by=_digest(self._setup),
            parts={
                dependency.name: KeptPart(
                    kind=dependency.kind, password=snapshot.saved[dependency.name].password
                )
                for dependency in self._setup.service.dependencies
                if dependency.url is None
            },
        )
        self._write(manifest)
        for name in manifest.parts:
            home = self.folder / file_name(name)
            home.mkdir(mode=0o700)
            await asyncio.to_thread(copy_tree, snapshot.saved[name].data, home / "data")
        self._write(msgspec.structs.replace(manifest, state="ready"))

    def homes(self) -> dict[str, KeptHome]:
        """Where each dependency lives. Raises `WouldNotRunError` when its data is not there, or
        the user that PostgreSQL runs as cannot reach it."""
        assert self._manifest is not None, "fill comes first"
        if any(part.kind == "postgres" for part in self._manifest.parts.values()):
            self._let_in()
        return {name: self._home(name, part) for name, part in self._manifest.parts.items()}

    def _home(self, name: str, part: KeptPart) -> KeptHome:
        folder = self.folder / file_name(name)
        if not (folder / "data").is_dir():
            raise WouldNotRunError(
                f"the data of {name} was kept in {folder / 'data'} and is not there any more",
                advice=f"Put it back, or give another folder than --keep {self.folder}.",
            )
        return KeptHome(folder, part.password, part.port, self._lock)

    def _let_in(self) -> None:
        account = unprivileged()
        if account is not None and not may_enter(account, self.folder):
            let_in(
                account,
                self.folder,
                advice="Give --keep a folder that every user can enter, such as one under /var/tmp "
                "or /srv, or run Loadpath as an ordinary user.",
            )

    def note_ports(self, ports: dict[str, int], service_port: int) -> dict[str, int]:
        """Keep where everything listens, so that it listens there again.

        Returns the ports of before of those that listen elsewhere now, the service's as `service`.
        """
        assert self._manifest is not None, "fill comes first"
        parts = {
            name: msgspec.structs.replace(part, port=ports[name])
            for name, part in self._manifest.parts.items()
        }
        before = {name: part.port for name, part in self._manifest.parts.items()}
        before[SERVICE] = self._manifest.service_port
        after = {**ports, SERVICE: service_port}
        noted = msgspec.structs.replace(self._manifest, parts=parts, service_port=service_port)
        if noted != self._manifest:
            self._write(noted)
        return {name: port for name, port in before.items() if port and port != after[name]}

    def _write(self, manifest: Manifest) -> None:
        """Write loadpath.json whole or not at all, to the disk, for its owner only."""
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        partial = self.folder / f"{MANIFEST}.partial"
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / MANIFEST)
        self._manifest = manifest


def _check_content(folder: Path, where: str) -> None:
    """Refuse a folder with other things in it, before a file is added to it."""
    found = {path.name for path in folder.iterdir()}
    if MANIFEST not in found and (others := sorted(found - _OWN - {f"{MANIFEST}.partial"})):
        raise ConfigurationError(
            f"{where}: expected an empty folder or one that was kept before, found "
            + ", ".join(others[:3])
            + (f" and {len(others) - 3} more" if len(others) > 3 else ""),
            advice="Give a folder of its own: it is made when it does not exist.",
        )


def _lock(folder: Path, where: str) -> int:
    """The descriptor of the lock; every server gets it too, so that the lock lives as they do."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + _ENDING_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            process = look(int(holder)) if holder.isdigit() else None
            if process is not None and not process.ended:
                os.close(descriptor)
                raise ConfigurationError(
                    f"{where}: it is in use by another Loadpath (pid {holder})",
                    advice="Stop that one, or give another folder.",
                ) from None
            if time.monotonic() > deadline_s:
                os.close(descriptor)
                raise ConfigurationError(
                    f"{where}: servers of a Loadpath that was killed still run in it",
                    advice=f"Wait until they have ended; `fuser {folder / LOCK}` names them.",
                ) from None
            time.sleep(0.1)
            continue
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return descriptor


def _read(folder: Path, where: str) -> Manifest | None:
    file = folder / MANIFEST
    if not file.exists():
        return None
    try:
        manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"{where}: {MANIFEST} is damaged or of another version of Loadpath: {error}",
            advice="Without it the passwords of the data are lost: give another folder.",
        ) from None
    if manifest.format > FORMAT:
        raise ConfigurationError(
            f"{where}: a newer Loadpath made it: format {manifest.format}, this one reads {FORMAT}",
            advice="Use that version, or give another folder.",
        )
    if manifest.state != "ready":
        raise ConfigurationError(
            f"{where}: it is half made: the first run was ended while data was copied into it",
            advice="There is nothing in it but that copy: remove it and serve again.",
        )
    return manifest


def _check(manifest: Manifest, setup: Setup, where: str) -> None:
    """Raise `ConfigurationError` when the data is not this service's."""
    service = setup.service
    was, now = Path(manifest.directory), service.directory.resolve()
    # A service whose folder was moved is still the same.
    if manifest.service != service.name or (was != now and was.exists()):
        raise ConfigurationError(
            f"{where}: it holds the data of {manifest.service} in {manifest.directory}, not of "
            f"{service.name} in {now}",
            advice="Give each service a folder of its own.",
        )
    kept = {name: part.kind for name, part in manifest.parts.items()}
    declared = {d.name: str(d.kind) for d in service.dependencies if d.url is None}
    if kept != declared:
        raise ConfigurationError(
            f"{where}: it holds {_listed(kept)}; the service file now declares {_listed(declared)}",
            advice="Give another folder, or declare them as they were.",
        )


def _listed(kinds: dict[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "no dependency"


def _make_room_for_logs(folder: Path) -> None:
    """Put the logs of the last time aside, and keep the folder out of version control."""
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="ascii")
    logs = folder / LOGS
    logs.mkdir(mode=0o700, exist_ok=True)
    for path in logs.iterdir():
        name, dot, rest = path.name.rpartition(".log")
        if dot and not name.endswith(".previous"):
            path.replace(logs / f"{name}.previous.log{rest}")


def _digest(setup: Setup) -> str:
    """What tells whether prepare and seed would make the same data again."""
    made = [
        (d.name, d.kind, d.prepare, d.seed, d.extensions)
        for d in setup.service.dependencies
        if d.url is None
    ]
    return hashlib.sha256(msgspec.json.encode(made)).hexdigest()[:16]

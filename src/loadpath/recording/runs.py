"""The folder `.loadpath/runs/`: a folder for each run, named after its time, and `latest`."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from loadpath.errors import RecordingError
from loadpath.recording.files import damaged, replace_with
from loadpath.recording.header import Status
from loadpath.recording.room import NO_ROOM, room
from loadpath.recording.schema import SCHEMA_VERSION
from loadpath.recording.writer import HEADER_FILE

HOME = ".loadpath"
LATEST = "latest"
RUN_FILE = "run.json"
RECORDINGS = "recordings"


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in run.json. `command` is what was run, redacted; `started_s` Unix time.

    `took_s` and `exit_code` are None while it runs, and stay None when it was killed. `notes` are
    what the command wants to find again, say the question asked; a reader must not need them.
    """

    schema_version: int = SCHEMA_VERSION
    service: str
    command: tuple[str, ...]
    started_s: float
    status: Status = "running"
    took_s: float | None = None
    exit_code: int | None = None
    loadpath_version: str = ""
    notes: dict[str, Any] = {}


class Run(msgspec.Struct, frozen=True):
    """One run's folder."""

    directory: Path

    @property
    def name(self) -> str:
        """The folder's name: the time it was started, local, and a number when not the first."""
        return self.directory.name

    def recordings(self) -> list[Path]:
        """Folders of its recordings, in the order they were made."""
        folder = self.directory / RECORDINGS
        made = (path.parent for path in folder.glob(f"*/{HEADER_FILE}"))
        return sorted(made, key=lambda path: (_number(path), path.name))

    def new_recording(self, name: str) -> Path:
        """Where the next recording goes: `recordings/NN-name`. It is made by the writer.

        From the hundredth on the number has three digits.
        """
        folder = self.directory / RECORDINGS
        taken = [_number(path) for path in folder.glob("[0-9]*-*")]
        return folder / f"{max(taken, default=0) + 1:02d}-{name}"

    def read_info(self) -> RunInfo:
        """What run.json says. Raises `RecordingError` when it is absent or damaged."""
        file = self.directory / RUN_FILE
        try:
            return msgspec.json.decode(file.read_bytes(), type=RunInfo)
        except OSError as error:
            raise RecordingError(f"{file} cannot be read: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise damaged(f"{file} is damaged: {error}") from error

    def write_info(self, info: RunInfo) -> None:
        """Write run.json anew, whole. Raises `RecordingError`."""
        content = msgspec.json.format(msgspec.json.encode(info), indent=2)
        replace_with(self.directory / RUN_FILE, content + b"\n")


def _number(recording: Path) -> int:
    """The number a recording's folder begins with; 0 where it has none, as a user may name one."""
    digits = recording.name.partition("-")[0]
    return int(digits) if digits.isdecimal() else 0


def create_run(base: Path, info: RunInfo, *, runs: Path | None = None) -> Run:
    """Make the folder of a new run in `runs` and point `latest` there at it.

    `runs` is `base`/.loadpath/runs when it is None. Raises `RecordingError` when it cannot be
    written.
    """
    ignore = base / HOME / ".gitignore" if runs is None else None
    runs = runs or base / HOME / "runs"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        if ignore is not None and not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
        run = Run(_make_unique(runs, info.started_s))
        run.write_info(info)
        _point_latest(runs, run.name)
    except OSError as error:
        full = f": {room(runs)}" if error.errno in NO_ROOM else ""
        raise RecordingError(
            f"cannot record in {runs}: {error.strerror}{full}",
            advice="Make that folder writable, or record elsewhere: --runs FOLDER.",
        ) from error
    return run


def find_run(base: Path, name: str = LATEST) -> Run:
    """The run called `name` below `base` (`latest`: the newest), or in the folder `name`.

    Raises `RecordingError` that lists the newest runs when there is none of that name.
    """
    candidates = [base / HOME / "runs" / name, Path(name)]
    for directory in candidates:
        if (directory / RUN_FILE).is_file():
            return Run(directory.resolve())
    known = [run.name for run in list_runs(base)]
    link = base / HOME / "runs" / name
    if known and link.is_symlink() and not link.exists():
        raise RecordingError(
            f"{link} points to {link.readlink()}, which is not there any more",
            advice=f"Name a run: the newest are {', '.join(reversed(known[-3:]))}.",
        )
    if not known:
        raise RecordingError(
            f"no run called {name!r}: nothing was run in {base} yet", advice="Try `loadpath run`."
        )
    raise RecordingError(
        f"no run called {name!r} in {base / HOME / 'runs'}",
        advice=f"The newest are {', '.join(reversed(known[-3:]))}.",
    )


def list_runs(base: Path) -> list[Run]:
    """Every run below `base`, oldest first."""
    runs = base / HOME / "runs"
    found = [path.parent for path in runs.glob(f"*/{RUN_FILE}") if path.parent.name != LATEST]
    return [Run(path) for path in sorted(found, key=_in_order)]


def _in_order(directory: Path) -> tuple[str, int]:
    stamp, _, number = directory.name.partition("_")
    return stamp, int(number) if number.isdigit() else 1


def _make_unique(runs: Path, started_s: float) -> Path:
    stamp = datetime.fromtimestamp(started_s).strftime("%Y-%m-%dT%H-%M-%S")
    number = 1
    while True:
        directory = runs / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            directory.mkdir()
        except FileExistsError:
            number += 1
            continue
        return directory


def _point_latest(runs: Path, name: str) -> None:
    link = runs / f".{LATEST}.{os.getpid()}.{time.monotonic_ns()}"
    link.symlink_to(name)
    try:
        link.replace(runs / LATEST)
    except OSError:
        link.unlink()
        raise

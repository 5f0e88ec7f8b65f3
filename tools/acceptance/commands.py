"""Commands that must succeed, and the word for a promise that was not kept."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path


class Broken(Exception):  # noqa: N818 - a promise, not an error
    """A promise that was not kept; the message says what was seen."""


class Skipped(Exception):  # noqa: N818 - nothing is wrong
    """A step that cannot be done here; the message says what it takes."""


def run(command: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A command that must end in 0."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **more}
    )
    if done.returncode:
        tail = "\n      ".join((done.stdout + done.stderr).splitlines()[-20:])
        said = f"`{' '.join(command)}` ended in {done.returncode}:\n      {tail}"
        # It is published, and where the clone lies is nobody's business.
        raise Broken(said.replace(f"{folder}/", ""))
    return done


def timed(command: list[str], folder: Path, *, at_most_s: float = float("inf")) -> str:
    """How long it took, in words."""
    began_s = time.monotonic()
    run(command, folder)
    took_s = time.monotonic() - began_s
    if took_s > at_most_s:
        raise Broken(f"took {took_s:.0f} s")
    return f"{took_s:.0f} s"


def tests(clone: Path, system: str, *files: str, **more: str) -> str:
    """Run these tests of a system with these settings; how long it took, in words."""
    began_s = time.monotonic()
    pytest = str(clone / ".venv/bin/pytest")
    run([pytest, "-q", *(f"{system}/tests/{file}" for file in files)], clone, **more)
    return f"{time.monotonic() - began_s:.0f} s"


def loadpath(clone: Path, *words: str) -> str:
    """Run the clone's loadpath; every ending that is a whole answer will do."""
    done = subprocess.run(
        [str(clone / ".venv/bin/loadpath"), *words],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1, 3):
        raise Broken(f"`loadpath {' '.join(words)}` ended in {done.returncode}: {done.stderr}")
    return done.stdout

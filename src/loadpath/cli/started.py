"""What every command that starts a service shares. It imports no question, and so no model: the
compiler of that takes half a second, which `check` and `serve` need not wait for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from loadpath.errors import ConfigurationError
from loadpath.spec import Setup, load

T = TypeVar("T")


def load_setup(directory: Path, flags: dict[str, Any]) -> Setup:
    """Read the service file with environment and flags over it."""
    if not directory.is_dir():
        raise ConfigurationError(
            f"{directory}: expected the folder of a service, found "
            + ("a file" if directory.exists() else "nothing"),
            advice="Give the folder that holds loadpath.toml.",
        )
    return load(
        directory,
        environ=os.environ,
        overrides=flags["overrides"],
        seed=flags["seed"],
        allow_hosts=flags["allow_hosts"],
        allow_writes=flags["allow_writes"],
    )


def run_until_interrupted(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, where SIGTERM and SIGHUP stop the work as Ctrl-C does.

    Raises `KeyboardInterrupt` when a signal ended it, after everything was stopped in order.
    """

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        return await work

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def width() -> int:
    """Columns to write in: 80, or fewer where the terminal is narrower."""
    if not sys.stdout.isatty():
        return 80
    # Some say 0: they do not know.
    return max(24, min(100, os.get_terminal_size(sys.stdout.fileno()).columns or 80))


def shown(path: Path) -> str:
    """A path as the user would type it from here."""
    try:
        return os.path.relpath(path)
    except ValueError:
        return str(path)

"""The commands of a system, as `python -m NAME COMMAND`: what goes wrong is one line on stderr."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from systems_common.database import DatabaseUnavailableError
from systems_common.migrations import Migration, MigrationError
from systems_common.settings import SettingsError, from_environment

__all__ = ["count_from", "run_command", "said_of_migrations"]

_EXIT_FAILED = 1
_EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h."""

S = TypeVar("S", bound=msgspec.Struct)


def run_command(
    parser: argparse.ArgumentParser,
    settings: type[S],
    run: Callable[[argparse.Namespace, S], Coroutine[Any, Any, None]],
    *,
    failures: tuple[type[Exception], ...] = (),
    arguments: list[str] | None = None,
) -> int:
    """Run the command that the arguments name (`options.command`); the exit code.

    `failures` are what `run` raises when it cannot do what it was asked, besides a database that is
    not there and migrations that do not fit.
    """
    options = parser.parse_args(arguments)
    told: tuple[type[Exception], ...] = (DatabaseUnavailableError, MigrationError, *failures)
    try:
        asyncio.run(run(options, from_environment(settings, os.environ)))
    except SettingsError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return _EXIT_CONFIGURATION
    except told as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return _EXIT_FAILED
    return 0


def count_from(least: int) -> Callable[[str], int]:
    """The type of an argument that is a count of `least` or more."""

    def count(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"expected {least} or more")
        return number

    return count


def said_of_migrations(applied: list[Migration]) -> str:
    """What `migrate` has done, in a line."""
    names = ", ".join(f"{done.number:04d}_{done.name}" for done in applied)
    return f"applied {names}" if names else "nothing to apply"

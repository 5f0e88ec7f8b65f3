"""The one family of exceptions that Loadpath raises on purpose, each with the exit code it ends in.

A message says what was expected, what came, where, and what to do. Anything raised that is not a
`LoadpathError` is a fault in Loadpath itself and ends in exit code 70.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process ends with; the table stands in docs/reference/exit-codes.md."""

    OBJECTIVES_MET = 0
    OBJECTIVE_MISSED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    WOULD_NOT_RUN = 4
    INTERNAL = 70
    INTERRUPTED = 130


class LoadpathError(Exception):
    """Base of every expected failure.

    `advice` is what the user can do about it, a sentence of its own, printed on a line of its own.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class ConfigurationError(LoadpathError):
    """The service file, a flag or an environment variable says something that cannot be meant.

    `excerpt` are lines that show where, as they were written and with a mark below.
    """

    exit_code = ExitCode.USAGE

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        key: str | None = None,
        advice: str | None = None,
        excerpt: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, advice=advice)
        self.file = file
        self.line = line
        self.key = key
        self.excerpt = excerpt

    def __str__(self) -> str:
        where = self.file or ""
        if self.line is not None:
            where = f"{where}:{self.line}"
        return f"{where}: {self.message}" if where else self.message


class UnsafeTargetError(LoadpathError):
    """Load would have gone to a host, or writes to a dependency, that the user did not allow."""

    exit_code = ExitCode.USAGE


class UnusedDependencyError(LoadpathError):
    """The service never connected to a dependency that it declares: it uses another, or none."""

    exit_code = ExitCode.USAGE


class WouldNotRunError(LoadpathError):
    """The service or a dependency would not start, or stopped while it was needed.

    `last_lines` are the last lines it printed, oldest first.
    """

    exit_code = ExitCode.WOULD_NOT_RUN

    def __init__(
        self, message: str, *, last_lines: tuple[str, ...] = (), advice: str | None = None
    ) -> None:
        super().__init__(message, advice=advice)
        self.last_lines = last_lines


class InconclusiveError(LoadpathError):
    """What was observed does not carry an answer; the message says why."""

    exit_code = ExitCode.INCONCLUSIVE


class RecordingError(LoadpathError):
    """A recording is missing, damaged, or of a schema this version cannot read."""

    exit_code = ExitCode.USAGE

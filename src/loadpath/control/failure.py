"""What went wrong in a process of ours, told to the one that asked, which raises it."""

from __future__ import annotations

import os
import traceback

import msgspec

from loadpath import errors
from loadpath.errors import ConfigurationError, LoadpathError


class Failed(msgspec.Struct, frozen=True, tag=True):
    """What was asked could not be done. `kind` names a `LoadpathError` when it was expected."""

    kind: str
    message: str
    advice: str | None = None
    file: str | None = None
    line: int | None = None


def failed(error: Exception) -> Failed:
    """An error as it is told. That of a fault in the process is printed there as well."""
    if isinstance(error, ConfigurationError):
        return Failed(type(error).__name__, error.message, error.advice, error.file, error.line)
    if isinstance(error, LoadpathError):
        return Failed(type(error).__name__, error.message, error.advice)
    traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119
    return Failed("Exception", f"{type(error).__name__}: {error} ({where})")


def as_error(told: Failed, process: str) -> LoadpathError:
    """The error to raise for it; `process` is who failed."""
    kind = getattr(errors, told.kind, None)
    if kind is ConfigurationError:
        return ConfigurationError(told.message, file=told.file, line=told.line, advice=told.advice)
    if isinstance(kind, type) and issubclass(kind, LoadpathError):
        return kind(told.message, advice=told.advice)
    return LoadpathError(f"the {process} failed: {told.message}", advice=told.advice)

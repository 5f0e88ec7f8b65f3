"""Results written to a file, its suffix deciding the format."""

from __future__ import annotations

import os
from pathlib import Path

from loadpath.errors import ConfigurationError

SUFFIXES = (".json", ".txt")


def check_output(path: Path) -> None:
    """Raise `ConfigurationError` when `write_output` could not write there: before minutes of
    measuring rather than after them."""
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(f"-o {path}: expected a file ending in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"-o {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigurationError(f"-o {path}: it cannot be written")


def write_output(path: Path, *, text: str, json: str) -> None:
    """Write `json` to a .json file, `text` to a .txt one.

    Raises `ConfigurationError` for another suffix or a file that cannot be written.
    """
    check_output(path)
    try:
        path.write_text(json if path.suffix == ".json" else text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"-o {path}: {error.strerror}") from error

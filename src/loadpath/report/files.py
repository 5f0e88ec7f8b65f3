"""Results written to a file, its suffix deciding the format."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadpath.errors import ConfigurationError
from loadpath.recording.files import PARTIAL_SUFFIX
from loadpath.recording.room import NO_ROOM, room

SUFFIXES = (".txt", ".json")
"""Of what every command prints."""
OF_ANSWERS = (*SUFFIXES, ".md", ".html")
OF_CHECK = (*SUFFIXES, ".svg")


def check_output(path: Path, suffixes: Sequence[str]) -> None:
    """Raise `ConfigurationError` when `write_output` could not write there: before minutes of
    measuring rather than after them."""
    if path.suffix not in suffixes:
        known = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise ConfigurationError(f"-o {path}: expected a file ending in {known}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"-o {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigurationError(f"-o {path}: it cannot be written")


def write_output(path: Path, contents: Mapping[str, str]) -> None:
    """Write what `contents` has for the path's suffix: whole or not at all, where its folder lets
    us add a file.

    Raises `ConfigurationError` for another suffix or a file that cannot be written.
    """
    check_output(path, tuple(contents))
    content = contents[path.suffix]
    place = path.resolve()
    partial = place.with_name(place.name + PARTIAL_SUFFIX)
    in_place = not os.access(place.parent, os.W_OK)
    try:
        if in_place:
            place.write_text(content, encoding="utf-8")
        else:
            partial.write_text(content, encoding="utf-8")
            partial.replace(place)
    except OSError as error:
        if not in_place:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        full = f": {room(place)}" if error.errno in NO_ROOM else ""
        raise ConfigurationError(
            f"-o {path}: {error.strerror}{full}",
            advice="The recording is whole: `loadpath report -o` writes it elsewhere.",
        ) from error

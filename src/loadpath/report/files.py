"""Results written to a file, its suffix deciding the format."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from loadpath.errors import ConfigurationError
from loadpath.recording.files import PARTIAL_SUFFIX
from loadpath.recording.room import NO_ROOM, room

SUFFIXES = (".json", ".txt")
PICTURE = ".svg"


def check_output(path: Path, *, pictures: bool = False) -> None:
    """Raise `ConfigurationError` when `write_output` could not write there: before minutes of
    measuring rather than after them. `pictures`: whether there is one to write."""
    suffixes = (*SUFFIXES, PICTURE) if pictures else SUFFIXES
    if path.suffix not in suffixes:
        raise ConfigurationError(f"-o {path}: expected a file ending in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"-o {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigurationError(f"-o {path}: it cannot be written")


def write_output(path: Path, *, text: str, json: str, picture: str | None = None) -> None:
    """Write `json` to a .json file, `text` to a .txt one, `picture` to an .svg one: whole or not at
    all, where its folder lets us add a file.

    Raises `ConfigurationError` for another suffix or a file that cannot be written.
    """
    check_output(path, pictures=picture is not None)
    content = {".json": json, ".txt": text, PICTURE: picture or ""}[path.suffix]
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

"""What the last lines of a server say about the machine: that a disk or shared memory is full."""

from __future__ import annotations

from pathlib import Path

from loadpath.errors import WouldNotRunError
from loadpath.recording.room import NO_ROOM_WORDS, room


def explained_room(error: WouldNotRunError, folder: Path) -> WouldNotRunError:
    """The error, with how full the disk of `folder` is when that is what its lines complain of."""
    full = any(words in line for line in error.last_lines for words in NO_ROOM_WORDS)
    if not full or error.advice is not None:
        return error
    return WouldNotRunError(
        f"{error.message}: {room(folder)}",
        last_lines=error.last_lines,
        advice="Make room there, or name a folder with more by TMPDIR.",
    )

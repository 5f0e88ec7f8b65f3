"""Small files that survive being killed while they are written."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from loadpath.errors import RecordingError
from loadpath.recording.room import NO_ROOM, room

PARTIAL_SUFFIX = ".partial"

_ROOM = "Make room there, or record elsewhere with --runs; what was recorded before is intact."
_ELSEWHERE = "Record elsewhere with --runs; what was recorded before is intact."


def unwritable(path: Path, error: OSError) -> RecordingError:
    """The error for a file of a recording that could not be written."""
    reason = str(error) if error.errno is None else os.strerror(error.errno)
    if error.errno in NO_ROOM:
        return no_room(path, reason)
    return RecordingError(f"{path} could not be written: {reason}", advice=_ELSEWHERE)


def no_room(path: Path, reason: str) -> RecordingError:
    """The error for a file of a recording that found no room."""
    return RecordingError(f"{path} could not be written: {reason}: {room(path)}", advice=_ROOM)


def damaged(message: str) -> RecordingError:
    """The error for a file that holds what no Loadpath leaves there, however it was ended."""
    return RecordingError(
        message, advice="It cannot be mended: restore it from a copy, or measure again."
    )


def replace_with(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises `RecordingError`; the old content then stays."""
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise unwritable(path, error) from error


class LineFile:
    """A file of JSON lines that only grows, each line by one write, so a kill leaves whole lines.

    There is no fsync: a kill of the process loses nothing, a loss of power may.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unwritable(path, error) from error

    def append(self, value: object) -> None:
        """Add one line. Raises `RecordingError` when there is no room; then nothing was added."""
        line = msgspec.json.encode(value) + b"\n"
        size = os.fstat(self.fd).st_size
        try:
            written = os.write(self.fd, line)
        except OSError as error:
            raise unwritable(self._path, error) from error
        if written != len(line):
            os.ftruncate(self.fd, size)
            raise no_room(self._path, "no room")

    def close(self) -> None:
        """Close it; nothing can be added then."""
        os.close(self.fd)


def read_lines(path: Path) -> list[bytes]:
    """The complete lines of a file; a last line without its end was never finished and is left out.

    An absent file has none. Raises `RecordingError` when it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RecordingError(f"{path} could not be read: {error.strerror}") from error
    return content.split(b"\n")[:-1]

"""Small files that survive being killed while they are written."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from loadpath.errors import RecordingError

PARTIAL_SUFFIX = ".partial"

_ROOM = "Make room on the disk or write the run elsewhere; what was recorded before is intact."


def unwritable(path: Path, error: OSError) -> RecordingError:
    """The error for a file of a recording that could not be written."""
    reason = str(error) if error.errno is None else os.strerror(error.errno)
    return RecordingError(f"{path} could not be written: {reason}", advice=_ROOM)


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
            raise RecordingError(f"{self._path} could not be written: no room", advice=_ROOM)

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

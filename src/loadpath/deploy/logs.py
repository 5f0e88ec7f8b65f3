"""What a process prints: kept in a file that stays small however much is printed.

A file disturbs what is measured less than a pipe does: nobody has to wake up to read it, and a
process that prints faster than anybody reads is not held up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

LIMIT_BYTES = 8 << 20
"""A log that has grown to this size is cut down to its last part."""
KEPT_BYTES = 1 << 20
TAIL_LINES = 20
_LINE_CHARACTERS = 500
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Log:
    """The output of one process. `file` is the descriptor to give it; `close` when it is given up.

    When the log is cut, its last part moves to a second file, `<name>.1`, so there are at most
    `LIMIT_BYTES` + `KEPT_BYTES` and what is printed between two calls of `keep_small`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.older = path.with_name(path.name + ".1")
        # Appending, so that a cut takes effect: writers go on at the new end, not at their own.
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def keep_small(self) -> bool:
        """Cut the log when it has grown over `LIMIT_BYTES`. True: it was cut."""
        if self.file < 0:
            return False
        size = os.fstat(self.file).st_size
        if size <= LIMIT_BYTES:
            return False
        last = os.pread(self.file, KEPT_BYTES, size - KEPT_BYTES)
        os.ftruncate(self.file, 0)
        cut = f"[{size - len(last)} bytes before this were dropped]\n".encode()
        self.older.write_bytes(cut + last)
        return True

    def clear(self) -> None:
        """Forget what was printed so far."""
        os.ftruncate(self.file, 0)
        self.older.unlink(missing_ok=True)

    def text(self, limit_bytes: int = 1 << 16) -> str:
        """The last part of what was printed, undecodable bytes replaced."""
        content = b""
        for path in (self.path, self.older):
            if len(content) < limit_bytes and path.exists():
                with path.open("rb") as file:
                    wanted = limit_bytes - len(content)
                    file.seek(max(0, path.stat().st_size - wanted))
                    content = file.read(wanted) + content
        return content.decode("utf-8", "replace")

    def tail(self, lines: int = TAIL_LINES, secrets: Iterable[str] = ()) -> tuple[str, ...]:
        """The last lines, oldest first, without secrets and control characters."""
        clean = _CONTROL.sub("", redact(self.text(), secrets))
        kept = [line.rstrip()[:_LINE_CHARACTERS] for line in clean.split("\n") if line.strip()]
        return tuple(kept[-lines:])

    def copy_to(self, folder: Path, secrets: Iterable[str] = ()) -> None:
        """Write what is kept to a file of the same name in another folder."""
        kept = self.text(LIMIT_BYTES + KEPT_BYTES)
        (folder / self.path.name).write_text(redact(kept, secrets), encoding="utf-8")

    def close(self) -> None:
        """Give up the descriptor; the files stay readable."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret put out of sight."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text

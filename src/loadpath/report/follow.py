"""What the parts print, line by line as it comes, each with the name of its part before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from loadpath.report.outside import strip_controls
from loadpath.report.terminal import Style, plain

COLORS = ("cyan", "magenta", "yellow", "green", "blue")
_READ_BYTES = 1 << 18
"""At most so much of a part at a time: one that floods its log must not hide the others."""
_LINE_BYTES = 1 << 12


class Following:
    """Follows log files. `poll` returns the lines that have come since it was last called."""

    def __init__(self, files: Mapping[str, Path], *, style: Style = plain) -> None:
        self._files = [_File(path) for path in files.values()]
        width = max(map(len, files), default=0)
        self._prefixes = [
            style(f"{strip_controls(name):<{width}} |", COLORS[at % len(COLORS)])
            for at, name in enumerate(files)
        ]

    def poll(self) -> list[str]:
        """New lines, the parts one after the other, fit for a terminal."""
        return [
            f"{prefix} {strip_controls(line)}"
            for prefix, file in zip(self._prefixes, self._files, strict=True)
            for line in file.lines()
        ]


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._begun = b""

    def lines(self) -> Iterator[str]:
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._read:
                    # Cut down to its last part, which moved to another file.
                    yield "[the log was cut: some lines are not shown]"
                    self._read, self._begun = 0, b""
                if size - self._read > _READ_BYTES:
                    yield f"[{size - self._read - _READ_BYTES} bytes are not shown]"
                    self._read, self._begun = size - _READ_BYTES, b""
                file.seek(self._read)
                content = file.read(_READ_BYTES)
        except FileNotFoundError:
            return
        self._read += len(content)
        *whole, self._begun = (self._begun + content).split(b"\n")
        if len(self._begun) > _LINE_BYTES:
            whole.append(self._begun)
            self._begun = b""
        for line in whole:
            yield line[:_LINE_BYTES].decode("utf-8", "replace").rstrip()

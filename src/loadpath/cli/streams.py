"""Outputs whose reader may go away: `loadpath report | head -1`, or a pipeline that closes stderr.

Whoever read us has gone; what we do goes on, and how it ends is still told by the exit code. A
measurement of minutes must not die of a progress line, and no other broken pipe (of a socket, say)
may be taken for this one.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TextIO


class Lasting(TextIOWrapper):
    """A stream that says nothing more once nobody reads it."""

    def write(self, text: str, /) -> int:
        """Write, if anybody reads."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._fall_silent()
            return len(text)

    def flush(self) -> None:
        """Flush, if anybody reads."""
        try:
            super().flush()
        except BrokenPipeError:
            self._fall_silent()

    def _fall_silent(self) -> None:
        # What is left in the buffer must not fail again at the very end.
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, self.fileno())
        os.close(silence)


def make_lasting() -> None:
    """Have stdout and stderr last, and show a substitute for what a terminal cannot.

    A stream that a test or a caller has put there is left as it is.
    """
    sys.stdout = _lasting(sys.stdout)
    sys.stderr = _lasting(sys.stderr)


def _lasting(stream: TextIO) -> TextIO:
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")
    if type(stream) is not TextIOWrapper:
        return stream
    return Lasting(
        stream.buffer,
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )

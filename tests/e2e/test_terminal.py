"""At a terminal: a live line while it works, and the terminal as it was afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from typing import Any

import pytest

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
FAST = '[operations."GET /fast"]\nrequest = "GET /fast"\n'
LIMIT_S = 120.0


def prepared(command: str) -> str:
    """A dependency whose `prepare` runs that Python: a phase to be shown."""
    return f"""
[dependencies.cache]
kind = "valkey"
env = {{ USED_CACHE = "{{port}}" }}
prepare = ["{sys.executable}", "-c", "{command}"]
"""


Place = Any


class Terminal:
    """A terminal of 80 by 24 with a `loadpath` in its foreground."""

    def __init__(self, place: Place, *words: str, **environment: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [*place.command, *words],
            cwd=place.folder,
            env={**place.environment(), "TERM": "xterm-256color", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        self.text = ""

    def until(self, done: Callable[[], bool]) -> None:
        """Read what it shows until then."""
        deadline_s = time.monotonic() + LIMIT_S
        while not done():
            assert time.monotonic() < deadline_s, self.text
            if select.select([self.ours], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.ours, 1 << 16).decode("utf-8", "replace")
                except OSError:
                    # Linux says so when the last process at the terminal has ended.
                    break

    def end(self) -> int:
        """Read to the end; what it ended in."""
        self.until(lambda: False)
        os.close(self.ours)
        return self.process.wait(LIMIT_S)

    def shown(self) -> str:
        """The text without what steers the terminal."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text).replace("\r", "")


def is_restored(text: str) -> bool:
    """Whether the cursor is visible at the end."""
    return text.rfind(SHOW) >= text.rfind(HIDE)


def test_check_leaves_the_terminal_as_it_was_and_colors_its_verdict(place: Place) -> None:
    place.write(FAST, prepared("pass"))
    terminal = Terminal(place, "check")
    assert terminal.end() == 0, terminal.text
    assert HIDE in terminal.text
    assert is_restored(terminal.text)
    assert "\x1b[32m✓ every operation answers\x1b[0m" in terminal.text
    # The live line is gone before the table begins.
    assert terminal.text.rfind(SHOW) < terminal.text.index("operation  ")


def test_no_color_is_honored(place: Place) -> None:
    place.write(FAST)
    terminal = Terminal(place, "check", NO_COLOR="1")
    assert terminal.end() == 0, terminal.text
    assert re.findall(r"\x1b\[[0-9;]*m", terminal.text) == []
    assert "✓ every operation answers" in terminal.text


@pytest.mark.parametrize("command", ["check", "run", "serve"])
def test_a_phase_that_fails_leaves_it_as_it_was(place: Place, command: str) -> None:
    place.write(FAST, prepared("raise SystemExit('no such table: links')"))
    terminal = Terminal(place, command)
    assert terminal.end() == 4, terminal.text
    assert HIDE in terminal.text
    assert is_restored(terminal.text)
    assert "no such table: links" in terminal.shown()


@pytest.mark.parametrize("variable", [{"CI": "true"}, {"TERM": "dumb"}])
def test_where_nobody_looks_there_is_no_live_line(place: Place, variable: dict[str, str]) -> None:
    place.write(FAST, prepared("pass"))
    terminal = Terminal(place, "check", **variable)
    assert terminal.end() == 0, terminal.text
    assert HIDE not in terminal.text
    assert "  prepare cache: done (" in terminal.shown()


def test_ctrl_c_at_the_terminal_stops_a_run_in_order(place: Place) -> None:
    place.write(FAST)
    terminal = Terminal(place, "run", "--duration", "1", "--budget", "10")
    # The live line names the phase, the rate now and the time left.
    terminal.until(
        lambda: bool(re.search(r"today's load · [\d,]+ of 20/s done · .* s left", terminal.shown()))
    )
    # It reaches every process in the foreground at once, as a key typed there does.
    os.write(terminal.ours, b"\x03")
    assert terminal.end() == 130, terminal.text
    assert is_restored(terminal.text)
    assert "Interrupted. What was recorded is kept in .loadpath/runs/" in terminal.shown()
    assert "Traceback" not in terminal.text
    assert place.left_in_the_end() == []

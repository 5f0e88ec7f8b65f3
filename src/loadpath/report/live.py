"""The event stream on a terminal: one live line, history above it.

Importing Rich costs 0.15 s, so only who looks at a terminal imports this.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from loadpath.events import (
    AnyEvent,
    GrowthProgress,
    LoadProgress,
    LoginProgress,
    PhaseFinished,
    PhaseStarted,
    RunFinished,
)
from loadpath.report.outside import strip_controls
from loadpath.report.progress import PlainLines, growth_line, logins_line, rate_line


class LiveLine:
    """A spinner line with the phase, the rate now, errors and the time left; history above it."""

    def __init__(self, *, verbose: bool = False, color: bool = True) -> None:
        self._console = Console(stderr=True, highlight=False, no_color=not color)
        self._plain = PlainLines(sys.stderr, verbose=verbose)
        self._status: Status | None = None
        self._phase = ""
        self._phase_ends_s: float | None = None

    def __call__(self, event: AnyEvent) -> None:
        match event:
            case PhaseStarted():
                self._phase = event.phase
                self._phase_ends_s = (
                    time.monotonic() + event.estimate_s if event.estimate_s else None
                )
                self._show(event.phase + (f" · {event.detail}" if event.detail else ""))
            case LoadProgress():
                left = ""
                if self._phase_ends_s is not None:
                    left = f" · {max(0, self._phase_ends_s - time.monotonic()):.0f} s left"
                self._show(f"{self._phase} · {rate_line(event)}{left}")
            case LoginProgress():
                self._show(f"{self._phase} · {logins_line(event)}".removeprefix(" · "))
            case GrowthProgress():
                self._show(f"{self._phase} · {growth_line(event)}".removeprefix(" · "))
            case RunFinished():
                self.close()
            case PhaseFinished():
                self.close()
                self._print(event)
            case _:
                self._print(event)

    def _print(self, event: AnyEvent) -> None:
        text = self._plain.text_of(event)
        if text is not None:
            self._console.print(text, markup=False)

    def _show(self, text: str) -> None:
        shown = escape(strip_controls(text))
        if self._status is None:
            self._status = self._console.status(shown, spinner="dots")
            self._status.start()
        else:
            self._status.update(shown)

    def close(self) -> None:
        """Take the live line away and leave the cursor as it was."""
        if self._status is not None:
            self._status.stop()
            self._status = None

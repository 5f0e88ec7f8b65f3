"""Handlers of the event stream: plain lines, JSON lines; live.py has the one for a terminal."""

from __future__ import annotations

from typing import TextIO

import msgspec

from loadpath.events import (
    AnyEvent,
    GrowthProgress,
    LoadProgress,
    LoginProgress,
    PartReady,
    PartStopped,
    PhaseFinished,
    RunStarted,
    Warned,
)
from loadpath.figures import ms
from loadpath.report.outside import strip_controls


def header(event: RunStarted) -> str:
    """The first line of a run: what is looked at, on what, for how long."""
    minutes = ""
    if event.estimate_s:
        minutes = f" · about {max(1, round(event.estimate_s / 60))} min"
    cores = "1 core" if event.cores == 1 else f"{event.cores} cores"
    operations = "1 operation" if event.operations == 1 else f"{event.operations} operations"
    needs = ", ".join(event.dependencies) or "no dependencies"
    return f"{event.service} · {operations} · {needs} · {cores}{minutes}"


class PlainLines:
    """One plain line a phase: for CI, pipes and `-q`-less logs."""

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, warnings_only: bool = False
    ) -> None:
        self._stream = stream
        self._verbose = verbose
        self._warnings_only = warnings_only

    def __call__(self, event: AnyEvent) -> None:
        if self._warnings_only and not isinstance(event, Warned):
            return
        text = self.text_of(event)
        if text is not None:
            print(text, file=self._stream, flush=True)

    def text_of(self, event: AnyEvent) -> str | None:
        """The line for that event, or None."""
        text = self._text_of(event)
        return None if text is None else strip_controls(text)

    def _text_of(self, event: AnyEvent) -> str | None:
        match event:
            case RunStarted():
                return header(event)
            case PhaseFinished():
                return f"  {event.phase}: {event.result} ({event.took_s:.0f} s)"
            case Warned():
                return f"  ! {event.message} {event.advice or ''}".rstrip()
            case PartReady() if self._verbose:
                return f"  {event.part} ready at {event.address} ({event.took_s:.1f} s)"
            case PartStopped() if not event.expected:
                return f"  ! {event.part} ended by itself"
            case LoadProgress() if self._verbose:
                return "    " + rate_line(event)
            case LoginProgress() if self._verbose:
                return "    " + logins_line(event)
            case GrowthProgress() if self._verbose:
                return "    " + growth_line(event)
        return None


class JsonLines:
    """Every event as one JSON object a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: AnyEvent) -> None:
        print(msgspec.json.encode(event).decode(), file=self._stream, flush=True)


def rate_line(event: LoadProgress) -> str:
    """A second of load in a few words."""
    target = "/s" if event.target_rate_per_s is None else f" of {event.target_rate_per_s:,.0f}/s"
    errors = f" · {event.errors:,} errors" if event.errors else ""
    return f"{event.rate_per_s:,.0f}{target} done · p99 {ms(event.response_time_p99_s)}{errors}"


def logins_line(event: LoginProgress) -> str:
    """How many identities are logged in."""
    return f"{event.done:,} of {event.total:,} identities logged in"


def growth_line(event: GrowthProgress) -> str:
    """How far a table has grown."""
    return f"{event.table}: {event.step}, {event.rows:,} of {event.total_rows:,} rows"

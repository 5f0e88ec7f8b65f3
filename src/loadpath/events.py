"""Everything long-running tells the world what it does through these events, one frozen type each.

Terminal progress, plain lines in CI and JSON lines are handlers of this one stream. `EventSink` is
what a function takes that emits them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="event"):
    """Base of all events. `at_s` is Unix time."""

    at_s: float


class RunStarted(Event, frozen=True):
    """A command began. `directory` is the run's folder, `estimate_s` how long it should take."""

    service: str
    operations: int
    dependencies: tuple[str, ...]
    cores: int
    directory: str
    estimate_s: float | None = None


class PartStarting(Event, frozen=True):
    """A dependency or the service is being started; `part` is its name, `detail` what it is."""

    part: str
    detail: str = ""


class PartReady(Event, frozen=True):
    """A dependency or the service answers. `address` is where, as host:port."""

    part: str
    address: str
    took_s: float


class PartStopped(Event, frozen=True):
    """A dependency or the service ended, because Loadpath stopped it or by itself."""

    part: str
    expected: bool


class PhaseStarted(Event, frozen=True):
    """A named stretch of work began, say `ramp` or `second worker`; phases do not nest."""

    phase: str
    detail: str = ""
    estimate_s: float | None = None


class PhaseFinished(Event, frozen=True):
    """The phase ended; `result` is one short sentence with its figure."""

    phase: str
    result: str
    took_s: float


class LoadProgress(Event, frozen=True):
    """A second of load, as the engine saw it."""

    phase: str
    rate_per_s: float
    target_rate_per_s: float | None
    response_time_p99_s: float | None
    errors: int
    left_s: float | None = None


class LoginProgress(Event, frozen=True):
    """Identities are being logged in before any load: so many of so many are."""

    done: int
    total: int


class GrowthProgress(Event, frozen=True):
    """A clone of the database grows: so many rows of a table are there, of `total_rows`.

    `step` says what is being done: copying, indexing, tidying up, checking.
    """

    table: str
    step: str
    rows: int
    total_rows: int


class Warned(Event, frozen=True):
    """Something the reader should know that does not end the run."""

    message: str
    advice: str | None = None


class RunFinished(Event, frozen=True):
    """The command is over; nothing follows."""

    directory: str
    took_s: float


AnyEvent: TypeAlias = (
    RunStarted
    | PartStarting
    | PartReady
    | PartStopped
    | PhaseStarted
    | PhaseFinished
    | LoadProgress
    | LoginProgress
    | GrowthProgress
    | Warned
    | RunFinished
)
EventSink: TypeAlias = Callable[[AnyEvent], None]


def discard(event: AnyEvent) -> None:
    """An `EventSink` that tells nobody."""

"""What passes between Loadpath and its engine process."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from loadpath.control.codec import Codec
from loadpath.control.failure import Failed
from loadpath.drive.plan import (
    WHOLE,
    EffectsCounted,
    EffectsWanted,
    EnginePlan,
    Part,
    ProbeReply,
    Segment,
    SegmentProgress,
    SegmentResult,
    VariantsWanted,
)
from loadpath.recording.holds import HoldsRecord


class Begin(msgspec.Struct, frozen=True, tag=True):
    """The first message to the engine; answered by `Ready`."""

    plan: EnginePlan


class RunSegment(msgspec.Struct, frozen=True, tag=True):
    """Drive a part of a segment; answered by `Progress` every 250 ms and `Finished`.

    One of several processes says `Drawn` first, and waits for `StartAt`.
    """

    segment: Segment
    part: Part = WHOLE


class StartAt(msgspec.Struct, frozen=True, tag=True):
    """Start the schedule that was drawn at that time; not answered."""

    at_s: float


class StopSegment(msgspec.Struct, frozen=True, tag=True):
    """End the arrivals of the running segment, or do not begin it; not answered."""


class Probe(msgspec.Struct, frozen=True, tag=True):
    """Run one operation alone so many times, a pause after each; answered by `Probed`."""

    operation: str
    times: int
    pause_s: float = 0.0


class CheckHolds(msgspec.Struct, frozen=True, tag=True):
    """Check what was acknowledged; answered by `HoldsChecked`."""

    limit: int
    budget_s: float


class CountEffects(msgspec.Struct, frozen=True, tag=True):
    """Look for the effects of what was tried; answered by `Counted`."""

    wanted: EffectsWanted


class AskVariants(msgspec.Struct, frozen=True, tag=True):
    """Ask requests of the last digested segment in other ways; answered by `VariantsAsked`."""

    wanted: VariantsWanted


class LogIn(msgspec.Struct, frozen=True, tag=True):
    """Log every identity in; answered by `LoginProgress` every 250 ms and `LoggedIn`."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The plan is understood."""

    pid: int


class Drawn(msgspec.Struct, frozen=True, tag=True):
    """The schedule of a segment is ready to be started."""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """How the running segment stands."""

    progress: SegmentProgress


class Finished(msgspec.Struct, frozen=True, tag=True):
    """The segment is over and its rows are written."""

    result: SegmentResult


class Probed(msgspec.Struct, frozen=True, tag=True):
    """What the probes came to, in order."""

    replies: list[ProbeReply]


class HoldsChecked(msgspec.Struct, frozen=True, tag=True):
    """What the checks came to."""

    result: HoldsRecord


class Counted(msgspec.Struct, frozen=True, tag=True):
    """The effects were looked for, and what was found is written."""

    result: EffectsCounted


class VariantsAsked(msgspec.Struct, frozen=True, tag=True):
    """So many were compared, and what was found is written."""

    count: int


class LoginProgress(msgspec.Struct, frozen=True, tag=True):
    """How many identities are logged in so far, and of how many."""

    done: int
    total: int


class LoggedIn(msgspec.Struct, frozen=True, tag=True):
    """All of them are."""


Command: TypeAlias = (
    Begin
    | RunSegment
    | StartAt
    | StopSegment
    | Probe
    | CheckHolds
    | CountEffects
    | AskVariants
    | LogIn
)
Answer: TypeAlias = (
    Ready
    | Drawn
    | Progress
    | Finished
    | Probed
    | HoldsChecked
    | Counted
    | VariantsAsked
    | LoginProgress
    | LoggedIn
    | Failed
)


CODEC: Codec[Command, Answer] = Codec(Command, Answer)

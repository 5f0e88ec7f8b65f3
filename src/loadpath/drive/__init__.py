"""The load engine: arrivals, keys, flows and connections, in a process of its own."""

from loadpath.drive.engine import Child, Engine, OnProgress, Spawn
from loadpath.drive.plan import (
    ClosedLoad,
    EffectsCounted,
    EffectsWanted,
    EnginePlan,
    Load,
    OpenLoad,
    ProbeReply,
    Segment,
    SegmentProgress,
    SegmentResult,
    TimerMode,
    VariantsWanted,
)

__all__ = [
    "Child",
    "ClosedLoad",
    "EffectsCounted",
    "EffectsWanted",
    "Engine",
    "EnginePlan",
    "Load",
    "OnProgress",
    "OpenLoad",
    "ProbeReply",
    "Segment",
    "SegmentProgress",
    "SegmentResult",
    "Spawn",
    "TimerMode",
    "VariantsWanted",
]

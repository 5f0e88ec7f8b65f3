"""What Python code a process ran, as a recording keeps it: functions and files, no values."""

from __future__ import annotations

import msgspec


class Frame(msgspec.Struct, frozen=True):
    """One call on a stack. `file` is relative to the service's folder, or to what was installed.

    `own`: the code is the service's, not a library's.
    """

    function: str
    file: str
    own: bool


class Stack(msgspec.Struct, frozen=True):
    """A stack, outermost call first, and in how many samples it ran."""

    frames: tuple[Frame, ...]
    samples: int


class FunctionsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Stacks that ran on a CPU, seen while a segment was driven; the most frequent first.

    `left_out` counts the samples of rarer stacks than those kept. `why_not` says why nobody could
    look, and is empty when somebody could.
    """

    segment: int
    stacks: tuple[Stack, ...] = ()
    left_out: int = 0
    why_not: str = ""

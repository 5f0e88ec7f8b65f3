"""Which functions of a Python process run: py-spy's stacks, read and shortened.

py-spy looks into the memory of a running process, so the service needs no change and is not
stopped. It sees Python's calls: time in an extension counts for the function that called it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

from loadpath.recording import Frame, Stack

RATE_PER_S = 100
"""How often a stack is read: some hundredths of a core, which comes on top of the service's own."""

STACKS_MAX = 2000

_FRAME = re.compile(r"^(?P<function>.*) \((?P<file>[^()]*?)(?::\d+)?\)$")
_INSTALLED = re.compile(r"^.*/(?:site-packages|dist-packages|lib/python3[.\d]*t?)/")


def sampler() -> str | None:
    """The path of py-spy: the one installed beside this Python, else any; None without one."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def arguments(program: str, pid: int, *, duration_s: float, into: Path) -> tuple[str, ...]:
    """The command that samples what `pid` runs on a CPU, for whole seconds, into a file."""
    return (
        *(program, "record", "--pid", str(pid), "--format", "raw", "--output", str(into)),
        *("--duration", f"{max(1, round(duration_s))}", "--rate", str(RATE_PER_S)),
        # Pausing the service at every sample would change what is measured.
        *("--nonblocking", "--full-filenames", "--nolineno"),
    )


def read_stacks(text: str, service: Path) -> tuple[tuple[Stack, ...], int]:
    """The stacks of py-spy's raw format, the most frequent first; how many samples were left out.

    `service` is the folder of the service. Lines that are no stack are left out silently: py-spy
    reads a running process, and now and then half a stack.
    """
    counted: Counter[tuple[Frame, ...]] = Counter()
    for line in text.splitlines():
        calls, _, count = line.rpartition(" ")
        frames = tuple(filter(None, (_frame(call, service) for call in calls.split(";"))))
        if frames and count.isdigit():
            counted[frames] += int(count)
    kept = counted.most_common(STACKS_MAX)
    left_out = sum(counted.values()) - sum(count for _, count in kept)
    return tuple(Stack(frames, count) for frames, count in kept), left_out


def _frame(call: str, service: Path) -> Frame | None:
    found = _FRAME.match(call)
    if found is None:
        return None
    function, path = found["function"], Path(os.path.normpath(found["file"]))
    installed = _INSTALLED.sub("", found["file"])
    if installed != found["file"] or not path.is_absolute():
        # A path that is not absolute is that of a frozen module.
        return Frame(function, installed, own=False)
    beside = not path.is_relative_to(service)
    return Frame(function, path.name if beside else str(path.relative_to(service)), own=True)

"""What else the machine does, and what a process of ours has spent."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

OTHERS_MAX = 0.05
"""Cores that others may take before a stretch says something of them rather than of us."""

_T = TypeVar("_T")


def busy_s() -> float:
    """CPU seconds that all cores together have spent on anything, and lost to the hypervisor."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds that these processes have spent; one that has ended counts as none of ours."""
    ticks = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # a server's worker, ended meanwhile
            continue
        after_name = stat.rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[int]:
    """The processes that it has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


async def least_disturbed(
    run: Callable[[], Awaitable[_T]], ours: Iterable[int], tries: int = 4
) -> tuple[_T, float]:
    """The first run in which others took at most `OTHERS_MAX` of a core, else the quietest.

    Returns it with the cores that others took in it.
    """
    pids = [os.getpid(), *ours]
    best: tuple[_T, float] | None = None
    for _ in range(tries):
        before_s, began_s = busy_s() - cpu_s(pids), time.monotonic()
        ran = await run()
        others = (busy_s() - cpu_s(pids) - before_s) / (time.monotonic() - began_s)
        if best is None or others < best[1]:
            best = ran, others
        if others <= OTHERS_MAX:
            break
    assert best is not None
    return best

"""When the load engine needs more than one process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

ENGINE_FULL = 0.8
"""So much of a core in use, an engine process begins to send late in bursts."""

CORES_MIN = 4
"""On fewer cores an engine process more takes from the service what it gives to the load."""

IDLE_CORES_MIN = 1.5
"""So many cores must have been idle: one for the process, and some for what it makes busy."""


def engine_processes(
    processes: int, *, engine_cores: float, host: Mapping[str, npt.NDArray[Any]]
) -> int:
    """How many processes the engine should have from now on, after a segment.

    `engine_cores` is the CPU all of its processes used, in cores; `host` has the samples of that
    segment (`schema.HOST`). One more at a time, at most half as many as cores.
    """
    if len(host["at_s"]) < 2:
        return processes
    cores = int(host["cores"][-1])
    took_s = float(host["at_s"][-1] - host["at_s"][0])
    busy_s = sum(float(host[name][-1] - host[name][0]) for name in ("busy_s", "steal_s"))
    idle_cores = cores - busy_s / max(took_s, 1e-9)
    if cores < CORES_MIN or engine_cores < ENGINE_FULL * processes or idle_cores < IDLE_CORES_MIN:
        return processes
    return max(processes, min(processes + 1, cores // 2))

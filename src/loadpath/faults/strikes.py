"""Signals to the processes of a part, each to exactly the process that is meant, and their end."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loadpath.deploy import processes
from loadpath.errors import LoadpathError
from loadpath.faults.fault import Hits

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection

END_TIMEOUT_S = 10.0
"""How long a process may take to end: what orchestrators usually give it before they kill it."""
_LOOK_S = 0.002


def strike(injection: Injection, entries: Sequence[processes.Entry], sig: int) -> None:
    """Signal these processes and note those that were there."""
    injection.struck += [entry for entry in entries if processes.send(entry, sig)]


def strike_all(injection: Injection, sig: int) -> None:
    """Signal every process of the target, parents first, until none is left out.

    Raises `LoadpathError` when it has none.
    """
    struck: set[tuple[int, int]] = set()
    target = injection.fault.target
    while True:
        entries = injection.stage.processes(target)
        new = [entry for entry in entries if (entry.pid, entry.started) not in struck]
        if not new:
            break
        struck |= {(entry.pid, entry.started) for entry in new}
        strike(injection, new, sig)
    if not struck:
        raise LoadpathError(f"{target} has no process that could be signaled")


async def gone(entries: Sequence[processes.Entry], timeout_s: float) -> int:
    """How many of these processes have ended; waits until all have, so long at most."""
    deadline_s = time.monotonic() + timeout_s
    while (left := [e for e in entries if is_alive(e)]) and time.monotonic() < deadline_s:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_S)
    return len(entries) - len(left)


def is_alive(entry: processes.Entry) -> bool:
    """Whether exactly that process is still there."""
    now = processes.look(entry.pid)
    return now is not None and now.started == entry.started and not now.ended


def is_stopped(entry: processes.Entry) -> bool:
    """Whether exactly that process is stopped by a signal."""
    try:
        stat = Path(f"/proc/{entry.pid}/stat").read_bytes()
    except OSError:
        return False
    return is_alive(entry) and stat[stat.rindex(b")") + 2 :][:1] == b"T"


async def death_hits(injection: Injection) -> Hits:
    """The deaths of the processes that were struck: processes end by nothing else at that time."""
    injection.gone = await gone(injection.struck, 0.0)
    names = "process" if injection.gone == 1 else "processes"
    proof = f"{injection.gone} {names} of {injection.fault.target} ended"
    return Hits(injection.gone, "; ".join([proof, *injection.notes]))


async def kill_all(injection: Injection) -> None:
    """Kill every process of the target at once, as the kernel does to a container, and wait."""
    stage, target = injection.stage, injection.fault.target
    stage.deployment.let_end(target)
    before = len(injection.struck)
    strike_all(injection, signal.SIGKILL)
    struck = injection.struck[before:]
    if await gone(struck, END_TIMEOUT_S) < len(struck):
        raise LoadpathError(f"SIGKILL did not end every process of {target}")


async def end_in_order(injection: Injection, sig: int) -> None:
    """Ask the target's first processes to end; kill what has not after `END_TIMEOUT_S`."""
    stage, target = injection.stage, injection.fault.target
    stage.deployment.let_end(target)
    entries = stage.processes(target)
    roots = set(stage.deployment.parts().get(target, ()))
    asked = [entry for entry in entries if entry.pid in roots]
    if not asked:
        raise LoadpathError(f"{target} has no process that could be signaled")
    strike(injection, asked, sig)
    patience_s = END_TIMEOUT_S
    if stage.is_service(target):
        patience_s = stage.deployment.setup.service.stop_timeout_s
    if await gone(entries, patience_s) < len(entries):
        injection.notes.append(f"it did not end within {patience_s:g} s and was killed")
        strike_all(injection, signal.SIGKILL)

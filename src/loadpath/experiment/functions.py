"""What Python code a busy service runs: its busiest process looked into while the mix is driven."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from loadpath.deploy.commands import run_command
from loadpath.deploy.logs import Log
from loadpath.deploy.processes import program_of
from loadpath.drive import OpenLoad
from loadpath.events import Warned
from loadpath.experiment.arm import Arm
from loadpath.experiment.knee import mix_of
from loadpath.experiment.limits import usage_in
from loadpath.experiment.phase import phase
from loadpath.experiment.session import Session
from loadpath.meter.functions import arguments, read_stacks, sampler
from loadpath.recording import FunctionsRecord

SAMPLED_S = 4.0
LOAD_SHARE = 0.7
"""Of the knee: busy enough to see much, and no queue that grows."""

_BEGUN_S = 0.3
"""The load runs for so long before the first sample."""

_ATTACH_S = 3.0
"""py-spy first reads the process's symbols."""


async def sample_functions(arm: Arm, session: Session, rate_per_s: float) -> None:
    """Drive the mix at a share of its knee, `rate_per_s`, and record what the service's busiest
    process runs meanwhile.

    Records nothing of a process that is not Python's, and why where nobody may look into it.
    """
    pid = _busiest(arm)
    program = None if pid is None else program_of(pid)
    if pid is None or program is None or "python" not in Path(program).name:
        return
    with phase(session.emit, "functions of the service", SAMPLED_S) as now:
        seen = await _sampled(arm, session, pid, LOAD_SHARE * rate_per_s)
        arm.note_functions(seen)
        samples = sum(stack.samples for stack in seen.stacks)
        now.result = seen.why_not or f"{samples:,} samples"
    if seen.why_not:
        session.emit(
            Warned(
                at_s=time.time(),
                message=f"which functions take the CPU stays unknown: {seen.why_not}",
                advice="It takes py-spy, and root or kernel.yama.ptrace_scope at 0.",
            )
        )


def _busiest(arm: Arm) -> int | None:
    """The pid of the service's process that used most CPU in the segment before."""
    recording = arm.recording()
    usage = usage_in(recording, recording.segments[-1])
    own = [process for process in usage.processes if process.part == "service"]
    return max(own, key=lambda process: process.cpu_s).pid if own else None


async def _sampled(arm: Arm, session: Session, pid: int, rate_per_s: float) -> FunctionsRecord:
    segment = arm.next_segment
    program = sampler()
    if program is None:
        return FunctionsRecord(segment=segment, why_not="py-spy is not installed")
    driving = asyncio.create_task(
        arm.drive(
            "functions",
            OpenLoad(rate_per_s=max(rate_per_s, 1.0)),
            duration_s=SAMPLED_S + _BEGUN_S,
            weights=mix_of(arm.setup.workload),
        )
    )
    into, log = session.scratch / "stacks.txt", Log(session.scratch / "py-spy.log")
    try:
        await asyncio.sleep(_BEGUN_S)
        argv = arguments(program, pid, duration_s=SAMPLED_S, into=into)
        why_not = await _run(session, argv, log)
        await driving
    finally:
        # Whoever interrupts does not wait for the rest of the load.
        driving.cancel()
        log.close()
    if not why_not and not into.exists():
        why_not = "py-spy wrote nothing"
    if why_not:
        return FunctionsRecord(segment=segment, why_not=why_not)
    text = into.read_text("utf-8", "replace")
    stacks, left_out = read_stacks(text, arm.setup.service.directory)
    into.unlink()
    return FunctionsRecord(segment=segment, stacks=stacks, left_out=left_out)


async def _run(session: Session, argv: tuple[str, ...], log: Log) -> str:
    """Run py-spy; why it saw nothing, or nothing."""
    try:
        code = await run_command(
            session.guard,
            argv,
            name="py-spy",
            env=dict(os.environ),
            cwd=session.scratch,
            log=log,
            timeout_s=SAMPLED_S + _ATTACH_S,
        )
    except TimeoutError:
        return "py-spy took too long"
    except OSError as error:
        return f"py-spy did not start: {error.strerror}"
    said = log.tail(1)
    return "" if code == 0 else f"py-spy: {said[-1] if said else f'exit code {code}'}"

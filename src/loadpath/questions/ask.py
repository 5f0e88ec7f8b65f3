"""Ask = collect, then judge; and judge again, later, from what was recorded."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

import msgspec

from loadpath.answer import Answer
from loadpath.errors import RecordingError
from loadpath.events import EventSink, RunFinished, RunStarted
from loadpath.experiment.depth import Depth
from loadpath.experiment.session import open_session
from loadpath.questions.registry import QUESTIONS, Question
from loadpath.recording import Recording, Run, Status
from loadpath.spec import Setup, refuse_writes


async def ask(
    questions: Sequence[Question],
    setup: Setup,
    depth: Depth,
    *,
    run: Run,
    emit: EventSink,
    budget_s: float | None = None,
    audit: bool = False,
) -> list[Answer]:
    """Collect what each question needs into `run`, then judge.

    `audit`: have the engine measure how long replies lie before it reads them.
    Raises `UnsafeTargetError` when writes would reach a server that the user did not allow them on.
    Whatever ends it early, what was recorded until then stays readable under `run.directory`.
    """
    refuse_writes(setup)
    began_s = time.monotonic()
    emit(
        RunStarted(
            at_s=time.time(),
            service=setup.service.name,
            operations=len(setup.workload.operations),
            dependencies=tuple(d.kind for d in setup.service.dependencies),
            cores=os.cpu_count() or 1,
            directory=str(run.directory),
            estimate_s=sum(question.estimate(setup, depth) for question in questions),
        )
    )

    def finish(status: Status) -> None:
        took_s = time.monotonic() - began_s
        emit(RunFinished(at_s=time.time(), directory=str(run.directory), took_s=took_s))
        run.write_info(msgspec.structs.replace(run.read_info(), status=status, took_s=took_s))

    try:
        async with open_session(run, emit, budget_s or depth.budget_s, audit=audit) as session:
            for question in questions:
                await question.collect(session, setup, depth)
    except BaseException:
        # On a full disk this fails too, and the first error says more.
        with contextlib.suppress(RecordingError):
            finish("interrupted")
        raise
    finish("complete")
    return derive(run)


def derive(run: Run) -> list[Answer]:
    """Every answer of a run, from its recordings alone.

    Raises `RecordingError` when nothing was recorded in it.
    """
    recordings = [Recording.open(path) for path in run.recordings()]
    if not any(recording.segments for recording in recordings):
        raise RecordingError(
            f"{run.directory}: the run ended before any load was recorded",
            advice="Run it again; `loadpath check` shows in seconds whether the service answers.",
        )
    asked = run.read_info().notes.get("questions")
    if not asked or not all(name in QUESTIONS for name in asked):
        raise RecordingError(
            f"{run.directory}: expected questions in run.json that this Loadpath knows, which are "
            f"{', '.join(QUESTIONS)}; found {asked}",
            advice="Read it with the Loadpath that recorded it.",
        )
    return [QUESTIONS[name].judge(recordings) for name in asked]

"""Ask = collect, then judge; and judge again, later, from what was recorded."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from loadpath.answer import Answer
from loadpath.errors import RecordingError
from loadpath.events import EventSink, RunFinished, RunStarted
from loadpath.experiment.depth import Depth
from loadpath.experiment.session import Session, open_session
from loadpath.faults import Fault
from loadpath.questions.decide import QUESTION as DECIDE
from loadpath.questions.decide import derive_decide
from loadpath.questions.registry import QUESTIONS, Question
from loadpath.questions.what_if import QUESTION as WHAT_IF
from loadpath.questions.what_if import derive_what_if
from loadpath.recording import Recording, Run, Status
from loadpath.spec import Setup, refuse_writes

KEPT_SHARE = 0.25
"""At most so much of a budget is kept for the questions that come later."""


async def ask(
    questions: Sequence[Question],
    setup: Setup,
    depth: Depth,
    *,
    run: Run,
    emit: EventSink,
    budget_s: float | None = None,
    audit: bool = False,
    faults: Sequence[Fault] = (),
) -> list[Answer]:
    """Collect what each question needs into `run`, then judge.

    `audit`: have the engine measure how long replies lie before it reads them. `faults`: those that
    a question about crashes shall do; none: it plans by itself. Raises as `collecting` does.
    """

    async def collect(session: Session) -> None:
        session.faults = tuple(faults)
        for number, question in enumerate(questions):
            later = sum(each.estimate(setup, depth) for each in questions[number + 1 :])
            session.keep_for_others(min(later, KEPT_SHARE * (budget_s or depth.budget_s)))
            await question.collect(session, setup, depth)

    await collecting(
        setup,
        collect,
        run=run,
        emit=emit,
        estimate_s=sum(question.estimate(setup, depth) for question in questions),
        budget_s=budget_s or depth.budget_s,
        audit=audit,
    )
    return derive(run)


async def collecting(
    setup: Setup,
    collect: Callable[[Session], Awaitable[None]],
    *,
    run: Run,
    emit: EventSink,
    estimate_s: float | None,
    budget_s: float,
    audit: bool = False,
) -> None:
    """Have `collect` record into `run`, which says afterwards how that ended and how long it took.

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
            estimate_s=estimate_s,
        )
    )

    def finish(status: Status) -> None:
        took_s = time.monotonic() - began_s
        emit(RunFinished(at_s=time.time(), directory=str(run.directory), took_s=took_s))
        run.write_info(msgspec.structs.replace(run.read_info(), status=status, took_s=took_s))

    try:
        async with open_session(run, emit, budget_s, audit=audit) as session:
            await collect(session)
    except BaseException:
        # On a full disk this fails too, and the first error says more.
        with contextlib.suppress(RecordingError):
            finish("interrupted")
        raise
    finish("complete")


def derive(run: Run) -> list[Answer]:
    """Every answer of a run, from its recordings alone.

    Raises `RecordingError` when nothing was recorded in it.
    """
    notes = run.read_info().notes
    if WHAT_IF in notes:
        return [derive_what_if(run)]
    if DECIDE in notes:
        return [derive_decide(run)]
    recordings = [Recording.open(path) for path in run.recordings()]
    if not any(recording.segments for recording in recordings):
        raise RecordingError(
            f"{run.directory}: the run ended before any load was recorded",
            advice="Run it again; `loadpath check` shows in seconds whether the service answers.",
        )
    asked = notes.get("questions")
    if not asked or not all(name in QUESTIONS for name in asked):
        raise RecordingError(
            f"{run.directory}: expected questions in run.json that this Loadpath knows, which are "
            f"{', '.join(QUESTIONS)}; found {asked}",
            advice="Read it with the Loadpath that recorded it.",
        )
    questions = [QUESTIONS[name] for name in asked]
    recorded = [q for q in questions if any(q.is_own(recording) for recording in recordings)]
    # What the budget left no time for was said when it was left out; alone, it has to be answered.
    return [question.judge(recordings) for question in recorded or questions[:1]]

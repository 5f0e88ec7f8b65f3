"""Loadpath from a script or a notebook: what the commands do, as plain calls.

`import loadpath` and use these as `loadpath.record`. Each call that drives is a session of its own:
it starts what it needs and has stopped it all when it returns, also where it raises.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from loadpath import __version__
from loadpath.answer import Answer
from loadpath.changes import Known, parse_all
from loadpath.errors import ConfigurationError
from loadpath.events import EventSink
from loadpath.experiment.depth import FULL, fitted
from loadpath.experiment.modeling import FOR_MODEL, estimate_s, record_for_model
from loadpath.experiment.observed import observations_of
from loadpath.experiment.session import Session
from loadpath.experiment.verifying import VerifyDepth, exactly
from loadpath.meter import describe_machine
from loadpath.model.fit import fit as fit_model
from loadpath.model.network import Fitted
from loadpath.questions import QUESTIONS
from loadpath.questions.answering import answer_what_if
from loadpath.questions.ask import ask as ask_questions
from loadpath.questions.ask import collecting
from loadpath.questions.forecast import Forecast, foretell, mix_of_run
from loadpath.questions.what_if import QUESTION, opened, source_run
from loadpath.recording import Run, RunInfo, runs
from loadpath.recording.runs import LATEST, create_run
from loadpath.report import terminal
from loadpath.report.progress import PlainLines
from loadpath.spec import Setup, load

T = TypeVar("T")

Where = Setup | Path | str
"""A setup, or the folder of a service file."""


def record(where: Where, *, budget_s: float | None = None, emit: EventSink | None = None) -> Run:
    """Drive the service and record what a model is fitted from, in about `budget_s` seconds.

    `emit` is told what goes on (None: warnings go to stderr). Raises `LoadpathError`.
    """
    setup = _setup(where)
    run = _new_run(setup, {"questions": []})
    depth = fitted(FOR_MODEL, budget_s, lambda d: estimate_s(setup, d))

    async def collect(session: Session) -> None:
        await record_for_model(session, setup, depth)

    _completed(
        collecting(
            setup,
            collect,
            run=run,
            emit=emit or _warnings(),
            estimate_s=estimate_s(setup, depth),
            budget_s=budget_s or float("inf"),
        )
    )
    return run


def find_run(where: Path | str, name: str = LATEST) -> Run:
    """A run that was recorded before in the folder of a service; one that only verified leads to
    the run whose model it used. Raises `RecordingError`."""
    base = Path(where)
    return source_run(base, runs.find_run(base, name))


def fit(run: Run) -> Fitted:
    """The model of what that run recorded; drives nothing. Raises `LoadpathError`."""
    recordings = opened(run)
    setup = mix_of_run(recordings).setup
    return fit_model(observations_of(recordings), seed=setup.seed)


def predict(
    run: Run, *changes: str, at_per_s: Sequence[float] = (), model: Fitted | None = None
) -> Forecast:
    """What the changes, as after `loadpath what-if`, do to the service of that run.

    Response times are foretold at `at_per_s` (1/s; else at the workload's own rate and near the
    knee). `model` is what `fit` gave for this run, where there is one. Drives nothing, keeps
    nothing. Raises `LoadpathError`.
    """
    recordings = opened(run)
    mix = mix_of_run(recordings)
    parsed = parse_all(changes, Known(mix.setup, mix.header.machine.cores))
    return foretell(recordings, parsed, source=run.name, at_per_s=at_per_s, fitted=model)


def verify(
    where: Where,
    *changes: str,
    source: Run | None = None,
    rounds: int | None = None,
    at_per_s: Sequence[float] = (),
    budget_s: float | None = None,
    emit: EventSink | None = None,
) -> Answer:
    """Predict the changes, make them for real, and score the prediction.

    The model is that of `source`; without it, one is recorded first. Exactly `rounds` rounds, or as
    many as it takes. Raises `LoadpathError`.
    """
    setup = _setup(where)
    parsed = parse_all(changes, Known(setup, describe_machine().cores))
    return _completed(
        answer_what_if(
            setup,
            parsed,
            _new_run(setup, {QUESTION: list(changes)}),
            source,
            emit=emit or _warnings(),
            depth=exactly(VerifyDepth(), rounds),
            at_per_s=at_per_s,
            budget_s=budget_s,
        )
    )


def ask(
    where: Where,
    *questions: str,
    budget_s: float | None = None,
    emit: EventSink | None = None,
) -> list[Answer]:
    """Ask those questions of a service, all there are unless some are named.

    Raises `LoadpathError`.
    """
    names = questions or tuple(QUESTIONS)
    if unknown := [name for name in names if name not in QUESTIONS]:
        raise ConfigurationError(
            f"expected questions among {', '.join(QUESTIONS)}; got {', '.join(unknown)}"
        )
    setup = _setup(where)
    asked = [QUESTIONS[name] for name in names]
    depth = fitted(FULL, budget_s, lambda d: sum(q.estimate(setup, d) for q in asked))
    run = _new_run(setup, {"questions": list(names)})
    work = ask_questions(asked, setup, depth, run=run, emit=emit or _warnings(), budget_s=budget_s)
    return _completed(work)


def render(answers: Sequence[Answer], *, width: int = 80) -> str:
    """The answers as the commands print them, without color."""
    recordings = ", ".join(dict.fromkeys(name for a in answers for name in a.recordings))
    title = ", ".join(dict.fromkeys(answer.question for answer in answers))
    return terminal.render(answers, title=title, recording=recordings, width=width)


def _setup(where: Where) -> Setup:
    return where if isinstance(where, Setup) else load(where, environ=os.environ)


def _warnings() -> EventSink:
    return PlainLines(sys.stderr, warnings_only=True)


def _new_run(setup: Setup, notes: dict[str, Any]) -> Run:
    info = RunInfo(
        service=setup.service.name,
        command=("import loadpath",),
        started_s=time.time(),
        loadpath_version=__version__,
        notes=notes,
    )
    return create_run(setup.service.directory, info)


def _completed(work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to. In a notebook a loop runs already, so it gets a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _in_thread(work)


def _in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread; an interrupt stops it in order before it is raised."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(asyncio.wait([task]))

    thread = threading.Thread(target=run, name="loadpath")
    thread.start()
    try:
        thread.join()
    except BaseException:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    return task.result()

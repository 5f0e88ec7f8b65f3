"""Answers for programs: one JSON document, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath import __version__
from loadpath.answer import Answer, State
from loadpath.errors import ExitCode
from loadpath.questions.cache import NAME as CACHE
from loadpath.questions.decide import QUESTION as DECIDE
from loadpath.questions.growth import NAME as GROWTH
from loadpath.questions.what_if import QUESTION as WHAT_IF
from loadpath.recording import Recording, Run

RESULTS_VERSION = 1

ADVICE = frozenset({CACHE, GROWTH})
"""Questions on what could be done, or will come; whether objectives are met today, others say."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints. Infinite and absent figures are null."""

    results_version: int = RESULTS_VERSION
    loadpath_version: str = __version__
    run: str
    service: str
    exit_code: int
    answers: tuple[Answer, ...]


def results_json(answers: Sequence[Answer], run: Run) -> str:
    """The document, indented, ending in a newline."""
    results = Results(
        run=run.name,
        service=run.read_info().service,
        exit_code=int(exit_code(answers)),
        answers=tuple(answers),
    )
    return msgspec.json.format(msgspec.json.encode(results), indent=2).decode() + "\n"


def title(run: Run) -> str:
    """One line that says what was measured: the service, what it stood on, and for how long."""
    info = run.read_info()
    paths = run.recordings()
    words = [info.service]
    if paths:
        first = Recording.open(paths[0])
        needs = first.header.dependencies.values()
        # What reads back what was acknowledged is Loadpath's own, not one of the workload's.
        count = sum(each.reads_back is None for each in first.setup.workload.operations)
        cores = first.header.machine.cores
        words += [
            f"{count} operation{'s' if count != 1 else ''}",
            ", ".join(needs) or "no dependencies",
            f"{cores} core{'s' if cores != 1 else ''}",
        ]
    if info.took_s is not None:
        words.append(f"took {info.took_s / 60:.1f} min")
    if info.status != "complete":
        # A run that was killed could not say so: its recordings tell whether anybody still writes.
        alive = info.status == "running" and any(
            Recording.open(path).status == "running" for path in paths
        )
        words.append("running" if alive else "interrupted")
    return " · ".join(words)


def exit_code(answers: Sequence[Answer]) -> ExitCode:
    """A missed objective outweighs doubt, doubt outweighs success.

    Of a what-if it is the prediction that counts: one that was refuted is as a missed objective.
    Decisions are compared, not judged. Advice that could not be given is doubt where it was asked
    for alone: beside other answers it says nothing about the objectives.
    """
    if any(_held(answer) is False for answer in answers):
        return ExitCode.OBJECTIVE_MISSED
    judged = [answer for answer in answers if answer.question not in ADVICE] or answers
    if any(_held(answer) is None or answer.state is State.INCONCLUSIVE for answer in judged):
        return ExitCode.INCONCLUSIVE
    return ExitCode.OBJECTIVES_MET


def _held(answer: Answer) -> bool | None:
    """Whether the objectives are met, or what was foretold held; None: not known."""
    if answer.question not in (WHAT_IF, DECIDE):
        return answer.objectives_met
    return None if answer.state is State.INCONCLUSIVE else answer.state is not State.REFUTED

"""`loadpath decide`: every knob, one value at a time: which decisions matter, and how much."""

from __future__ import annotations

import math
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from loadpath.answer import Answer
from loadpath.cli import options
from loadpath.cli.measure import new_run, recorded
from loadpath.cli.started import load_setup
from loadpath.events import EventSink
from loadpath.experiment.depth import fitted
from loadpath.experiment.modeling import FOR_MODEL, estimate_s, record_for_model
from loadpath.experiment.session import Session
from loadpath.experiment.verifying import VerifyDepth, exactly
from loadpath.questions.ask import collecting
from loadpath.questions.decide import QUESTION, alternatives, derive_decide
from loadpath.questions.decide import decide as decide_on
from loadpath.questions.what_if import opened, source_run
from loadpath.recording.runs import find_run

MODEL_SHARE = 0.3
"""Of a budget that has to do for both, so much goes into the model, the rest into the rounds."""

DEPTH = VerifyDepth(rounds=4, repeats=1, hold_s=6.0, ramp_s=10.0)
"""There are many arms in a round."""


@click.command()
@options.directory
@click.option("--knobs", metavar="A,B", help="These knobs alone.")
@options.source
@options.rounds
@options.loading
@options.measuring
@options.showing
@click.pass_context
def decide(
    ctx: click.Context,
    /,
    directory: Path,
    knobs: str | None,
    source: str | None,
    rounds: int | None,
    **flags: Any,
) -> None:
    """Measure every knob of the service in DIR, one value at a time, beside its defaults.

    All start from the same restored data and are measured in turn: where the objective is missed,
    the p99 at the workload's own rate, CPU a request of each part, each with its interval, or that
    there is no difference. What a model foretells stands beside it. Ctrl-C shows what there is.

    Exit codes: 0 compared, 2 bad usage, 3 inconclusive, 4 the service or a dependency would not
    run, 130 interrupted.
    """
    setup = load_setup(directory, flags)
    names = [name.strip() for name in knobs.split(",")] if knobs else []
    values = alternatives(setup, names)
    base = None if source is None else source_run(directory, find_run(directory, source))
    run = new_run(setup, {QUESTION: [value.title for value in values]}, flags)
    budget_s = flags["budget_s"] or math.inf
    depth = exactly(DEPTH, rounds)
    if flags["duration_s"] is not None:
        depth = msgspec.structs.replace(depth, hold_s=flags["duration_s"])

    async def collect(session: Session) -> None:
        if base is None:
            brief = fitted(FOR_MODEL, budget_s * MODEL_SHARE, lambda d: estimate_s(setup, d))
            await record_for_model(session, setup, brief)
        known = opened(base or run)
        await decide_on(session, setup, values, known, depth, source=(base or run).name)

    async def measured(emit: EventSink) -> Sequence[Answer]:
        await collecting(
            setup,
            collect,
            run=run,
            emit=emit,
            estimate_s=None,
            budget_s=budget_s,
            audit=flags["audit"],
        )
        return [derive_decide(run)]

    def work(emit: EventSink) -> Coroutine[Any, Any, Sequence[Answer]]:
        return measured(emit)

    ctx.exit(
        recorded(
            run,
            work,
            directory=directory,
            next_command=None,
            flags=flags,
            interrupted=lambda: [derive_decide(run)],
        )
    )

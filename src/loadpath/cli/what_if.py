"""`loadpath what-if`: predict a change and, when asked, make it and score the prediction."""

from __future__ import annotations

import shlex
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from loadpath.answer import Answer
from loadpath.changes import Known, applied, parse_all
from loadpath.cli import options
from loadpath.cli.measure import new_run, recorded, show
from loadpath.cli.started import load_setup
from loadpath.events import EventSink
from loadpath.experiment.verifying import VerifyDepth, exactly
from loadpath.meter import describe_machine
from loadpath.questions.answering import answer_what_if
from loadpath.questions.forecast import foretell, mix_of_run, write_forecast
from loadpath.questions.what_if import (
    QUESTION,
    derive_what_if,
    opened,
    source_run,
)
from loadpath.recording import Run
from loadpath.recording.runs import find_run
from loadpath.spec.quantities import rate_per_s


def _rate(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[float]:
    try:
        return [rate_per_s(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(f"{error}; expected one such as 200/s") from None


@click.command("what-if")
@click.argument("changes", nargs=-1, required=True, metavar="CHANGE…")
@options.in_directory
@click.option("--verify", is_flag=True, help="Make it for real and score the prediction.")
@options.source
@click.option(
    "--at",
    "at_per_s",
    multiple=True,
    metavar="RATE",
    callback=_rate,
    help="Say response times at this rate, as in --at 500/s. May be repeated.",
)
@options.rounds
@options.loading
@options.measuring
@options.showing
@click.pass_context
def what_if(
    ctx: click.Context,
    /,
    changes: tuple[str, ...],
    directory: Path,
    verify: bool,
    source: str | None,
    at_per_s: list[float],
    rounds: int | None,
    **flags: Any,
) -> None:
    """Say what each CHANGE, made one after the other, does to the service: before, after.

    \b
    loadpath what-if "pool=20"
    loadpath what-if "users x2" "workers=4" --verify
    loadpath what-if "database +5ms" --from latest

    A change is one of:

    \b
    users xK                  mix OPERATION=SHARE%       workers=N
    cores=N                   KNOB=VALUE                 split OPERATION
    DEPENDENCY +TIME          DEPENDENCY elsewhere +TIME
    cache OPERATION TIME [hits SHARE%]
    queue OPERATION [DEPENDENCY …]
    calls OPERATION DEPENDENCY N->M
    code SHARE% faster [in OPERATION]

    Without --from it first drives the service for a minute or two, to fit a model. With --verify
    the prediction is written down, then the service as it is and as the change leaves it are
    measured in turn. Put a change in quotes.

    Exit codes: 0 predicted, or the prediction held, 1 it was refuted, 2 bad usage, 3 inconclusive,
    4 the service or a dependency would not run, 130 interrupted.
    """
    base = None if source is None else source_run(directory, find_run(directory, source))
    if base is not None and not verify:
        ctx.exit(_from_run(changes, base, directory=directory, at_per_s=at_per_s, flags=flags))
    setup = load_setup(directory, flags)
    parsed = parse_all(changes, Known(setup, describe_machine().cores))
    run = new_run(setup, {QUESTION: list(changes)}, flags)

    def work(emit: EventSink) -> Coroutine[Any, Any, Sequence[Answer]]:
        return _answered(
            answer_what_if(
                setup,
                parsed,
                run,
                base,
                emit=emit,
                depth=exactly(VerifyDepth(), rounds) if verify else None,
                at_per_s=at_per_s,
                budget_s=flags["budget_s"],
                hold_s=flags["duration_s"],
                audit=flags["audit"],
            )
        )

    next_command = None
    if not verify and not applied(parsed, setup)[1]:
        place = "" if str(directory) == "." else f" -C {shlex.quote(str(directory))}"
        words = " ".join(f'"{text}"' for text in changes)
        next_command = f"loadpath what-if {words}{place} --from {run.name} --verify"
    ctx.exit(recorded(run, work, directory=directory, next_command=next_command, flags=flags))


def _from_run(
    changes: Sequence[str],
    base: Run,
    *,
    directory: Path,
    at_per_s: list[float],
    flags: dict[str, Any],
) -> int:
    """Predict from a run that there is: nothing is started, and no service file is read."""
    recordings = opened(base)
    mix = mix_of_run(recordings)
    parsed = parse_all(changes, Known(mix.setup, mix.header.machine.cores))
    forecast = foretell(recordings, parsed, source=base.name, at_per_s=at_per_s)
    here = msgspec.structs.replace(
        mix.setup, service=msgspec.structs.replace(mix.setup.service, directory=directory)
    )
    run = new_run(here, {QUESTION: list(changes)}, flags)
    write_forecast(run, forecast)
    run.write_info(msgspec.structs.replace(run.read_info(), status="complete"))
    return show([derive_what_if(run)], run, directory=directory, flags=flags, next_command=None)


async def _answered(work: Coroutine[Any, Any, Answer]) -> Sequence[Answer]:
    return [await work]

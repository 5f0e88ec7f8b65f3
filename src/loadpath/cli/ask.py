"""`loadpath ask`: one question, in full depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loadpath.cli import options
from loadpath.cli.access_log import ask_log, reading_log
from loadpath.cli.measure import measure
from loadpath.cli.printing import print_text
from loadpath.cli.started import width
from loadpath.experiment.depth import FULL
from loadpath.questions import QUESTIONS
from loadpath.report.faults import fault_list


@click.command()
@click.argument("question", type=click.Choice(list(QUESTIONS)))
@options.directory
@options.loading
@options.measuring
@options.faulting
@reading_log
@options.showing
@click.pass_context
def ask(ctx: click.Context, /, question: str, directory: Path, **flags: Any) -> None:
    """Answer one QUESTION about the service in DIR, with longer holds and more rounds than `run`.

    \b
    bottleneck   Will this bottleneck anything? The rate at which the mix and each
                 operation miss their objective, what ran out, what lifts it.
    cache        Should replies be cached, and for how long? Hits and measured
                 staleness against the TTL, leaks between users, what it gains.
    crash        What if it crashes, or something it needs? Faults under load:
                 what users see, which acknowledged writes are lost, and what
                 is missing.
    growth       What if our users double, and their data with them? A copy of the
                 database is grown, every statement measured on it, the missing
                 index built there and tried.
    """
    if flags.pop("list_faults"):
        print_text(fault_list(width()), color=False)
        return
    log, fields = flags.pop("log"), flags.pop("log_fields")
    if (log or fields) and question != "cache":
        raise click.UsageError("--log and --log-field belong to `loadpath ask cache`")
    if log is not None:
        ctx.exit(ask_log(log, {**flags, "log_fields": fields}))
    if fields:
        raise click.UsageError("--log-field says where a log has things: give it with --log FILE")
    if flags["faults"] and question != "crash":
        raise click.UsageError("--faults belongs to `loadpath ask crash`")
    ctx.exit(measure([question], FULL, directory=directory, next_command=None, **flags))

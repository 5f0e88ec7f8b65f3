"""`loadpath run`: every question at modest depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loadpath.cli import options
from loadpath.cli.measure import measure
from loadpath.experiment.depth import QUICK
from loadpath.questions import QUESTIONS


@click.command()
@options.directory
@options.loading
@options.measuring
@options.showing
@click.pass_context
def run(ctx: click.Context, /, directory: Path, **flags: Any) -> None:
    """Answer every question about the service in DIR, in a few minutes.

    Starts the service and its dependencies, drives the load that loadpath.toml describes until the
    objective is missed, names what ran out, tries what should lift it, and stops everything again.

    Exit codes: 0 every objective is met at the workload's own rate, 1 one is missed, 2 bad usage,
    3 inconclusive, 4 the service or a dependency would not run, 130 interrupted.
    """
    next_command = (
        f"loadpath ask bottleneck {directory}"
        if str(directory) != "."
        else ("loadpath ask bottleneck")
    )
    ctx.exit(
        measure(list(QUESTIONS), QUICK, directory=directory, next_command=next_command, **flags)
    )

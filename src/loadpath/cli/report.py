"""`loadpath report`: derive and print the answers of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loadpath.cli import options
from loadpath.cli.measure import show
from loadpath.questions import derive
from loadpath.recording.runs import find_run


@click.command()
@click.argument("name", metavar="[RUN]", default="latest")
@options.in_directory
@options.showing
@click.pass_context
def report(ctx: click.Context, /, name: str, directory: Path, **flags: Any) -> None:
    """Derive every answer of RUN again from what was recorded, without driving.

    RUN is a folder's name in .loadpath/runs (default: latest) or a path. The exit code is the one
    the answers stand for.
    """
    run = find_run(directory, name)
    ctx.exit(show(derive(run), run, directory=directory, flags=flags, next_command=None))

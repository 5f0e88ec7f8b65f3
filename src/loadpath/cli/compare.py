"""`loadpath compare`: a regression verdict, for CI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loadpath.cli import options
from loadpath.cli.printing import print_json, print_text
from loadpath.cli.started import width
from loadpath.questions.compare import compare_runs
from loadpath.recording.runs import find_run
from loadpath.report.compare import comparison_exit_code, comparison_json, render_comparison
from loadpath.report.files import write_output


@click.command()
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@options.in_directory
@options.showing
@click.pass_context
def compare(ctx: click.Context, /, before: str, after: str, directory: Path, **flags: Any) -> None:
    """Compare two RUNs of one service, the earlier first: same, better, worse or cannot tell.

    A RUN is a folder's name in .loadpath/runs, `latest`, or a path. Nothing is driven.

    Exit codes: 0 the same or better, 1 something is worse, 2 bad usage, 3 cannot tell.
    """
    found = compare_runs(find_run(directory, before), find_run(directory, after))
    text = render_comparison(found, width=width(), style=options.style_for(flags["color"]))
    if options.form_of(flags) == "json":
        print_json(comparison_json(found))
    else:
        print_text(text, color=options.wants_color(flags["color"]))
    if flags["output"] is not None:
        contents = {".txt": render_comparison(found), ".json": comparison_json(found)}
        write_output(flags["output"], contents)
    ctx.exit(comparison_exit_code(found))

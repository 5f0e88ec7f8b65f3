"""`loadpath check`: does everything start and answer?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loadpath.cli import options
from loadpath.cli.measure import load_setup, run_until_interrupted, width
from loadpath.cli.printing import print_json, print_text
from loadpath.experiment.probe import probe
from loadpath.report.check import check_exit_code, check_json, render_check
from loadpath.report.files import write_output


@click.command()
@options.directory
@options.loading
@options.showing
@click.pass_context
def check(ctx: click.Context, /, directory: Path, **flags: Any) -> None:
    """Start the service in DIR and send each operation a few requests, one at a time.

    Shows status and time of each. Exit codes: 0 every operation answers, 1 one does not, 2 bad
    usage, 4 the service or a dependency would not run.
    """
    setup = load_setup(directory, flags)
    with options.progress(flags) as emit:
        found = run_until_interrupted(probe(setup, emit))
    text = render_check(found, width=width(), style=options.style_for(flags["color"]))
    if options.form_of(flags) == "json":
        print_json(check_json(found))
    else:
        print_text(text, color=options.wants_color(flags["color"]))
    if flags["output"] is not None:
        write_output(flags["output"], text=render_check(found), json=check_json(found))
    ctx.exit(check_exit_code(found))

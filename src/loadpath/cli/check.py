"""`loadpath check`: does everything start and answer?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loadpath.cli import options
from loadpath.cli.printing import print_json, print_text
from loadpath.cli.started import load_setup, run_until_interrupted, width
from loadpath.experiment.probe import probe
from loadpath.report.check import check_exit_code, check_json, render_check
from loadpath.report.files import write_output
from loadpath.report.map import render_map


@click.command()
@options.directory
@options.loading
@options.showing
@click.pass_context
def check(ctx: click.Context, /, directory: Path, **flags: Any) -> None:
    """Start the service in DIR, send each operation a few requests, and read the wires.

    Shows status and time of each operation, and its load path: which calls it makes to which
    dependency, how often, how long they take, and what is suspicious in them (N+1, the same
    question twice, a transaction held across an HTTP call, a table read whole). -o map.svg draws
    it. Exit codes: 0 every operation answers, 1 one does not, 2 bad usage or a dependency that the
    service never connected to, 4 the service or a dependency would not run.
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
        weights = {each.name: each.weight for each in setup.workload.operations}
        write_output(
            flags["output"],
            {
                ".txt": render_check(found),
                ".json": check_json(found),
                ".svg": render_map(found.service, found.paths, weights),
            },
        )
    ctx.exit(check_exit_code(found))

"""`loadpath serve`: just run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from loadpath.cli import options
from loadpath.cli.printing import print_text
from loadpath.cli.started import load_setup, run_until_interrupted
from loadpath.deploy import Deployment
from loadpath.experiment.arm import named_dependencies
from loadpath.experiment.serve import serve as serve_until_stopped
from loadpath.report.follow import Following
from loadpath.report.serving import render_serving


@click.command()
@options.directory
@options.loading
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Keep the data, ports, passwords and logs in FOLDER, for the next time. Made and seeded "
    "the first time.",
)
@click.option("--logs", is_flag=True, help="Show what every part prints, as it comes.")
@options.color
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("-v", "--verbose", is_flag=True, help="More progress.")
def serve(directory: Path, keep: Path | None, logs: bool, **flags: Any) -> None:
    """Run the service in DIR on its dependencies until Ctrl-C.

    Embedded dependencies are started, prepared and seeded as for a run, and removed afterwards,
    unless --keep says where their data shall stay.
    """
    setup = load_setup(directory, flags)
    shown = {**flags, "as_json": False, "form": "text"}

    def announce(deployment: Deployment) -> Callable[[], None]:
        text = render_serving(
            setup.service.name,
            str(deployment.address),
            deployment.dependencies,
            named_dependencies(deployment),
            logs={} if logs else deployment.log_files,
            kept=None if keep is None else keep.absolute(),
            scheme=setup.service.scheme,
        )
        print_text(text, color=False)
        style = options.style_for(flags["color"])
        following = Following(deployment.log_files if logs else {}, style=style)

        def show() -> None:
            if lines := following.poll():
                print_text("\n".join(lines) + "\n", color=options.wants_color(flags["color"]))

        return show

    try:
        with options.progress(shown) as emit:
            run_until_interrupted(serve_until_stopped(setup, emit, announce, keep=keep))
    except KeyboardInterrupt:
        click.echo("stopped", err=True)

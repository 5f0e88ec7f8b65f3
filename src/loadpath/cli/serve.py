"""`loadpath serve`: just run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loadpath.cli import options
from loadpath.cli.measure import load_setup, run_until_interrupted
from loadpath.deploy import Deployment
from loadpath.experiment.arm import named_dependencies
from loadpath.experiment.serve import serve as serve_until_stopped


@click.command()
@options.directory
@options.loading
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("-v", "--verbose", is_flag=True, help="More progress.")
def serve(directory: Path, **flags: Any) -> None:
    """Run the service in DIR on its dependencies until Ctrl-C.

    Embedded dependencies are started, prepared and seeded as for a run, and removed afterwards.
    """
    setup = load_setup(directory, flags)
    shown = {**flags, "as_json": False, "form": "text", "color": "auto"}

    def announce(deployment: Deployment) -> None:
        click.echo(f"{setup.service.name}  http://{deployment.address}")
        products = named_dependencies(deployment)
        for name, dependency in deployment.dependencies.items():
            click.echo(f"  {name:<12} {products[name]}  {dependency.url}")
        click.echo("Ctrl-C stops it.")

    try:
        with options.progress(shown) as emit:
            run_until_interrupted(serve_until_stopped(setup, emit, announce))
    except KeyboardInterrupt:
        click.echo("stopped", err=True)

"""`loadpath init`: write a first loadpath.toml."""

from __future__ import annotations

from pathlib import Path

import click

from loadpath.errors import ConfigurationError
from loadpath.spec.detect import detect, render_service_file, render_summary


@click.command()
@click.argument(
    "directory", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]"
)
@click.option("--force", is_flag=True, help="Overwrite a loadpath.toml that is there.")
def init(directory: Path, force: bool) -> None:
    """Look at the service in DIR and write a commented loadpath.toml for it.

    Knows FastAPI, Flask, Django and Express services. Nothing of the service is run.
    """
    target = directory / "loadpath.toml"
    if target.exists() and not force:
        raise ConfigurationError(f"{target} is there already", advice="--force overwrites it.")
    detected = detect(directory)
    text = render_service_file(detected)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {target}")
    click.echo(render_summary(detected), nl=False)
    doubts = text.count("check this") - 1  # one explains the words
    mend = f'mend what says "check this" ({doubts} places)' if doubts else "read it"
    click.echo(f"\nNext: {mend}, then: loadpath check {directory}")

"""`loadpath schema`: the JSON Schema of the service file or of what commands print."""

from __future__ import annotations

import click

from loadpath.cli.printing import print_json
from loadpath.report.schemas import KINDS, schema_json


@click.command()
@click.argument("kind", type=click.Choice(KINDS), default="service", metavar="[KIND]")
def schema(kind: str) -> None:
    """Print the JSON Schema of KIND.

    `service` is loadpath.toml (the default), `results` what run, ask, what-if, decide and report
    print with --json, `what-if`, `decide`, `growth`, `cache` and `cache-statement` the figures of
    such an answer in it, `check` what `loadpath check --json` prints, `access-log` what
    `loadpath ask cache --log FILE --json` does.

    Editors complete and check loadpath.toml by it: save it beside the file and name it in the
    file's first line, as in `#:schema ./loadpath.schema.json`.
    """
    print_json(schema_json(kind))

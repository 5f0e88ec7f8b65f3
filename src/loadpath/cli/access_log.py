"""`loadpath ask cache --log FILE`: what an access log tells, without driving anything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from loadpath.caching.logs.formats import FIELDS
from loadpath.cli.options import form_of, style_for, wants_color
from loadpath.cli.printing import print_json, print_text
from loadpath.cli.started import shown, width
from loadpath.errors import ExitCode
from loadpath.questions.access_log import Progress, answer_of, read_log, title_of
from loadpath.report.access_log import access_log_json, access_log_text
from loadpath.report.files import write_output

F = TypeVar("F", bound=Callable[..., Any])
SAID_EVERY_LINES = 1_000_000


def reading_log(function: F) -> F:
    """Flags of what reads an access log."""
    for option in reversed(
        (
            click.option(
                "--log",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help="Answer `cache` from an access log (Common, Combined, JSON lines; gzip) "
                "instead of driving. It tells hits and savings, not staleness or leaks.",
            ),
            click.option(
                "--log-field",
                "log_fields",
                multiple=True,
                metavar="FIELD=NAME",
                help=f"What a field of JSON lines is called there ({', '.join(FIELDS)}); dots lead "
                "into objects. May be repeated.",
            ),
        )
    ):
        function = option(function)
    return function


def ask_log(file: Path, flags: Mapping[str, Any]) -> int:
    """Judge a log and print what it tells; returns the exit code."""
    if form_of(flags) == "github":
        raise click.UsageError("--format github is for runs; of a log there are text and json")
    found = read_log(file, fields=_fields(flags["log_fields"]), progress=_progress(flags))
    answer, title, where = answer_of(found, file), title_of(found, file), Path(shown(file))
    as_json = access_log_json(found, where)
    if form_of(flags) == "json":
        print_json(as_json)
    else:
        text = access_log_text(
            answer, where, title=title, width=width(), style=style_for(flags["color"])
        )
        print_text(text, color=wants_color(flags["color"]))
    if flags["output"] is not None:
        write_output(
            flags["output"], text=access_log_text(answer, where, title=title), json=as_json
        )
    return ExitCode.OBJECTIVES_MET


def _fields(given: tuple[str, ...]) -> dict[str, str]:
    fields = {}
    for text in given:
        field, equals, name = text.partition("=")
        if not equals or not name or field not in FIELDS:
            raise click.UsageError(
                f"--log-field {text}: expected FIELD=NAME with FIELD one of {', '.join(FIELDS)}"
            )
        fields[field] = name
    return fields


def _progress(flags: Mapping[str, Any]) -> Progress | None:
    """One plain line for each million of lines, for who waits."""
    if flags["quiet"]:
        return None
    said = 0

    def tell(lines: int) -> None:
        nonlocal said
        if lines // SAID_EVERY_LINES > said:
            said = lines // SAID_EVERY_LINES
            print(f"{said} million lines read", file=sys.stderr, flush=True)

    return tell

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
from loadpath.report.access_log import access_log_json
from loadpath.report.access_log_picture import render_log_picture
from loadpath.report.files import write_output
from loadpath.report.markdown import markdown
from loadpath.report.page import render_page
from loadpath.report.terminal import Style, plain, render

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
    form = form_of(flags)
    if form == "github":
        raise click.UsageError("--format github is for runs: of a log text, json and markdown")
    found = read_log(file, fields=_fields(flags["log_fields"]), progress=_progress(flags))
    answer, title, where = answer_of(found, file), title_of(found, file), shown(file)
    as_json, as_markdown = access_log_json(found, where), markdown([answer], title)

    def as_text(columns: int, style: Style) -> str:
        return render([answer], title=title, recording=where, width=columns, style=style)

    if form == "json":
        print_json(as_json)
    elif form == "markdown":
        print_text(as_markdown, color=False)
    else:
        color = flags["color"]
        print_text(as_text(width(), style_for(color)), color=wants_color(color))
    if flags["output"] is not None:
        drawn = render_log_picture(found, file.name)
        page = render_page(
            [answer],
            title=title,
            recording=where,
            pictures={answer.question: [drawn]} if drawn else {},
        )
        contents = {".txt": as_text(80, plain), ".json": as_json}
        write_output(flags["output"], {**contents, ".md": as_markdown, ".html": page})
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

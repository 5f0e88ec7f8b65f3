"""Flags that mean the same in every command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from loadpath.events import EventSink
from loadpath.report.files import OF_ANSWERS, OF_CHECK, SUFFIXES, check_output
from loadpath.report.progress import JsonLines, PlainLines
from loadpath.report.terminal import Style, plain

F = TypeVar("F", bound=Callable[..., Any])


def _checked(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None:
        others = {"check": OF_CHECK, "compare": SUFFIXES}
        check_output(path, others.get(ctx.info_name or "", OF_ANSWERS))
    return path


directory = click.argument(
    "directory", type=click.Path(path_type=Path), default=Path(), metavar="[DIR]"
)


in_directory = click.option(
    "-C",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The service's folder, whose .loadpath/runs holds the runs.",
)


color = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Color on a terminal (NO_COLOR is honored).",
)


def loading(function: F) -> F:
    """Flags of every command that reads a service file."""
    for option in reversed(
        (
            click.option(
                "--set",
                "overrides",
                multiple=True,
                metavar="KEY=VALUE",
                help="Override a key of the service file, as in "
                "--set workload.arrivals.open=500/s. May be repeated.",
            ),
            click.option(
                "--allow-host",
                "allow_hosts",
                multiple=True,
                metavar="NAME",
                help="A host besides this machine that may be driven. May be repeated.",
            ),
            click.option(
                "--allow-writes",
                is_flag=True,
                help="Permit writes to a dependency that is given by URL.",
            ),
            click.option("--seed", type=int, default=1, help="Same seed, same schedule."),
        )
    ):
        function = option(function)
    return function


def measuring(function: F) -> F:
    """Flags of every command that drives load."""
    for option in reversed(
        (
            click.option(
                "--duration",
                "duration_s",
                type=click.FloatRange(min=1),
                metavar="SECONDS",
                help="How long each load is held. Longer: narrower intervals.",
            ),
            click.option(
                "--budget",
                "budget_s",
                type=click.FloatRange(min=10),
                metavar="SECONDS",
                help="Leave out what no longer fits into this time.",
            ),
            click.option(
                "--runs",
                type=click.Path(path_type=Path, file_okay=False),
                metavar="FOLDER",
                help="Record in FOLDER instead of .loadpath/runs beside the service file.",
            ),
            click.option(
                "--audit",
                is_flag=True,
                help="Measure, by the kernel's timestamps, how long replies lie before the load "
                "engine reads them, too.",
            ),
        )
    ):
        function = option(function)
    return function


source = click.option(
    "--from",
    "source",
    metavar="RUN",
    help="Predict from what RUN recorded (a name, a path, latest) instead of driving for it.",
)


rounds = click.option(
    "--rounds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Measure exactly N rounds, whatever the budget; else as many as the interval needs.",
)


def faulting(function: F) -> F:
    """Flags of what does faults."""
    for option in reversed(
        (
            click.option(
                "--faults",
                "faults",
                multiple=True,
                metavar="FAULT",
                help='Do this fault instead of the default plan, as in --faults "database killed". '
                "May be repeated.",
            ),
            click.option(
                "--list-faults",
                is_flag=True,
                help="List every kind of fault, how it is written and what it needs, and do none.",
            ),
        )
    ):
        function = option(function)
    return function


def showing(function: F) -> F:
    """Flags of every command that prints."""
    for option in reversed(
        (
            click.option("--json", "as_json", is_flag=True, help="The same as --format json."),
            click.option(
                "--format",
                "form",
                type=click.Choice(["text", "json", "markdown", "github"]),
                default="text",
                help="How results are printed; github: with annotations and a step summary. What "
                "is no answer (check, compare) is text in both.",
            ),
            click.option(
                "-o",
                "--output",
                type=click.Path(path_type=Path, dir_okay=False),
                callback=_checked,
                help="Write the results to a file too, in the format of its suffix: .txt, .json, "
                "of answers .md and .html, of check .svg.",
            ),
            color,
            click.option("-q", "--quiet", is_flag=True, help="No progress."),
            click.option("-v", "--verbose", is_flag=True, help="More progress."),
        )
    ):
        function = option(function)
    return function


def wants_color(choice: str, *, stderr: bool = False) -> bool:
    """Whether to color: the flag, then NO_COLOR, then whether it is a terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return (sys.stderr if stderr else sys.stdout).isatty()


def style_for(choice: str) -> Style:
    """The way results are colored."""
    if not wants_color(choice):
        return plain

    def colored(text: str, color: str) -> str:
        return click.style(text, bold=True) if color == "bold" else click.style(text, fg=color)

    return colored


def form_of(flags: Mapping[str, Any]) -> str:
    """The format results are printed in."""
    return "json" if flags["as_json"] else str(flags["form"])


@contextmanager
def progress(flags: Mapping[str, Any]) -> Iterator[EventSink]:
    """What to tell events to while work goes on; the terminal is as it was afterwards."""
    sink = sink_from(flags)
    try:
        yield sink
    finally:
        close = getattr(sink, "close", None)
        if close is not None:
            close()


def sink_from(flags: Mapping[str, Any]) -> EventSink:
    """The way progress is shown: live on a terminal, plain lines elsewhere, warnings if quiet."""
    if flags["quiet"]:
        return PlainLines(sys.stderr, warnings_only=True)
    if form_of(flags) == "json" and not sys.stderr.isatty():
        return JsonLines(sys.stderr)
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI"):
        # Rich costs 0.15 s to import: only who looks at a terminal pays for it.
        live = import_module("loadpath.report.live")
        color = wants_color(flags["color"], stderr=True)
        sink: EventSink = live.LiveLine(verbose=flags["verbose"], color=color)
        return sink
    return PlainLines(sys.stderr, verbose=flags["verbose"])

"""What `run` and `ask` share: load the setup, record, print, and the exit code."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from loadpath import __version__
from loadpath.answer import Answer
from loadpath.cli.github import print_github
from loadpath.cli.options import form_of, progress, style_for, wants_color
from loadpath.cli.printing import print_json, print_text
from loadpath.cli.started import load_setup, run_until_interrupted, shown, width
from loadpath.errors import ExitCode, LoadpathError, RecordingError
from loadpath.events import EventSink
from loadpath.experiment.depth import Depth, fitted
from loadpath.faults import check, parse_fault
from loadpath.questions import QUESTIONS, ask
from loadpath.recording import Run, RunInfo
from loadpath.recording.files import replace_with
from loadpath.recording.redact import redact_command
from loadpath.recording.runs import create_run
from loadpath.report.files import write_output
from loadpath.report.markdown import markdown
from loadpath.report.page import render_page
from loadpath.report.pictures import write_pictures
from loadpath.report.results import exit_code, results_json, title
from loadpath.report.terminal import Style, plain, render
from loadpath.spec import Setup


def measure(
    names: Sequence[str], depth: Depth, *, directory: Path, next_command: str | None, **flags: Any
) -> int:
    """Ask those questions of the service in `directory`; returns the exit code."""
    setup = load_setup(directory, flags)
    faults = [
        check(parse_fault(text), setup, tapped=True, root=os.geteuid() == 0)
        for text in flags.get("faults", ())
    ]
    if faults:
        depth = msgspec.structs.replace(depth, faults=len(faults))
    run = new_run(setup, {"questions": list(names)}, flags)
    questions = [QUESTIONS[name] for name in names]
    depth = fitted(
        depth,
        flags["budget_s"],
        lambda d: sum(q.estimate(setup, d) for q in questions),
        hold_s=flags["duration_s"],
    )

    def work(emit: EventSink) -> Coroutine[Any, Any, Sequence[Answer]]:
        return ask(
            questions,
            setup,
            depth,
            run=run,
            emit=emit,
            budget_s=flags["budget_s"],
            audit=flags["audit"],
            faults=faults,
        )

    return recorded(run, work, directory=directory, next_command=next_command, flags=flags)


def new_run(setup: Setup, notes: dict[str, Any], flags: dict[str, Any]) -> Run:
    """The folder of a run that begins now; `notes` is what it has to be told by again."""
    return create_run(
        setup.service.directory,
        RunInfo(
            service=setup.service.name,
            command=redact_command(("loadpath", *sys.argv[1:])),
            started_s=time.time(),
            loadpath_version=__version__,
            notes=notes,
        ),
        runs=flags["runs"],
    )


def recorded(
    run: Run,
    work: Callable[[EventSink], Coroutine[Any, Any, Sequence[Answer]]],
    *,
    directory: Path,
    next_command: str | None,
    flags: dict[str, Any],
    interrupted: Callable[[], Sequence[Answer]] | None = None,
) -> int:
    """Do the work of a run and show its answers; returns the exit code, which is kept with it.

    `interrupted` derives what is shown when the user ends it early; None: only where it is kept.
    """
    try:
        with progress(flags) as emit:
            answers = run_until_interrupted(work(emit))
    except LoadpathError as error:
        # On a full disk this fails too, and the first error says more.
        with contextlib.suppress(RecordingError):
            _write_exit_code(run, error.exit_code)
        raise
    except KeyboardInterrupt:
        with contextlib.suppress(RecordingError):
            _write_exit_code(run, ExitCode.INTERRUPTED)
        click.echo(f"\nInterrupted. What was recorded is kept in {shown(run.directory)}", err=True)
        if flags["runs"] is None:
            where = f"{run.name} -C {shlex.quote(str(directory))}"
        else:
            where = shlex.quote(shown(run.directory))
        again = f"loadpath report {where}"
        click.echo(f"`{again}` derives what it carries.", err=True)
        if interrupted is not None:
            with contextlib.suppress(LoadpathError):
                show(interrupted(), run, directory=directory, flags=flags, next_command=None)
        return ExitCode.INTERRUPTED
    code = show(answers, run, directory=directory, flags=flags, next_command=next_command)
    _write_exit_code(run, code)
    return code


def show(
    answers: Sequence[Any],
    run: Run,
    *,
    directory: Path,
    flags: dict[str, Any],
    next_command: str | None,
) -> int:
    """Print answers as the flags ask, write the run's page; the exit code they stand for."""
    as_json = results_json(answers, run)
    said, where = title(run), shown(run.directory)
    page, report = _page(answers, run, title=said, next_command=next_command)

    def text(columns: int, style: Style) -> str:
        return render(
            answers,
            title=said,
            recording=where,
            report=report,
            next_command=next_command,
            width=columns,
            style=style,
        )

    as_markdown = markdown(answers, said, next_command=next_command)
    form = form_of(flags)
    if form == "json":
        print_json(as_json)
    elif form == "markdown":
        print_text(as_markdown, color=False)
    elif form == "github":
        as_text = text(width(), style_for(flags["color"]))
        print_github(answers, directory, title=said, text=as_text)
    else:
        as_text = text(width(), style_for(flags["color"]))
        print_text(as_text, color=wants_color(flags["color"]))
    if flags["output"] is not None:
        contents = {".txt": text(80, plain), ".json": as_json, ".md": as_markdown, ".html": page}
        write_output(flags["output"], contents)
    return exit_code(answers)


def _page(
    answers: Sequence[Any], run: Run, *, title: str, next_command: str | None
) -> tuple[str, str]:
    """The run's page, written beside its recordings with its pictures; and where, or why not."""
    drawn: dict[str, list[str]] = {}
    failure: Exception | None = None
    for answer in answers:
        try:
            files = write_pictures([answer], run)
            drawn[answer.question] = [file.read_text("utf-8") for file in files]
        except (OSError, RecordingError) as error:
            failure = error
    page = render_page(
        answers,
        title=title,
        recording=shown(run.directory),
        pictures=drawn,
        next_command=next_command,
    )
    file = run.directory / "report.html"
    try:
        replace_with(file, page.encode())
    except (OSError, RecordingError) as error:
        failure = error
    return page, shown(file) if failure is None else f"not written whole: {failure}"


def _write_exit_code(run: Run, code: int) -> None:
    run.write_info(msgspec.structs.replace(run.read_info(), exit_code=int(code)))

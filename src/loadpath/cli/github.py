"""`--format github`: annotations on stdout, a summary where GitHub Actions reads it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from loadpath.answer import Answer
from loadpath.cli.printing import print_text
from loadpath.errors import ConfigurationError
from loadpath.report.github import workflow_commands
from loadpath.report.markdown import markdown
from loadpath.spec import read_source

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
ROOT_VARIABLE = "GITHUB_WORKSPACE"


def print_github(answers: Sequence[Answer], directory: Path, *, title: str, text: str) -> None:
    """The answers as text, then annotations; the summary is added to GITHUB_STEP_SUMMARY.

    Raises `ConfigurationError` when that file cannot be written.
    """
    source = read_source(directory)
    root = os.environ.get(ROOT_VARIABLE) or str(Path.cwd())
    print_text(text, color=False)
    print_text(workflow_commands(answers, source, os.path.relpath(source.file, root)), color=False)
    file = os.environ.get(SUMMARY_VARIABLE)
    if not file:
        return
    try:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(markdown(answers, title))
    except OSError as error:
        raise ConfigurationError(f"{SUMMARY_VARIABLE}={file}: {error.strerror}") from error

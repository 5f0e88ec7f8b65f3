"""The pictures that belong to a run's answers, written beside its recordings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from loadpath.answer import Answer
from loadpath.experiment.crash.outcome import Outcome
from loadpath.recording import Run
from loadpath.recording.files import replace_with
from loadpath.report.timeline import render_timeline

PICTURES = "pictures"


def write_pictures(answers: Sequence[Answer], run: Run) -> list[Path]:
    """Write a timeline of each fault; their files, in order. Raises `RecordingError`."""
    written = []
    for answer in answers:
        for number, outcome in enumerate(answer.figures.get("faults", ()), start=1):
            assert isinstance(outcome, Outcome)
            said = said_of(answer, outcome)
            drawn = render_timeline(outcome, said)
            if drawn is None:
                continue
            folder = run.directory / PICTURES
            folder.mkdir(exist_ok=True)
            slug = re.sub(r"[^a-z0-9]+", "-", outcome.fault.name.lower()).strip("-")[:60]
            path = folder / f"{number:02d}-{slug}.svg"
            replace_with(path, drawn.encode())
            written.append(path)
    return written


def said_of(answer: Answer, outcome: Outcome) -> str:
    """What the answer's own line says of that fault."""
    for line in answer.lines:
        if line.subject == outcome.fault.name:
            return " · ".join(part for part in (line.verdict, line.cause) if part)
    return ""

"""The pictures that belong to a run's answers, written beside its recordings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from loadpath.answer import Answer
from loadpath.experiment.assess import Assessment
from loadpath.experiment.attribution.short import short_shape
from loadpath.experiment.caching.outcome import OperationCache
from loadpath.experiment.caching.statements import StatementCache
from loadpath.experiment.crash.outcome import Outcome
from loadpath.experiment.mixknee import LoadPoint
from loadpath.questions.cache_statements import HITS_SHOWN
from loadpath.questions.growth_figures import Growth, StatementGrowth
from loadpath.recording import Run
from loadpath.recording.files import replace_with
from loadpath.report.cache_picture import render_cache_picture
from loadpath.report.growth_picture import render_growth
from loadpath.report.knee_picture import render_knee_picture
from loadpath.report.timeline import render_timeline

PICTURES = "pictures"
STATEMENTS_MAX = 24
"""More pictures of statements than this nobody looks at."""


def write_pictures(answers: Sequence[Answer], run: Run) -> list[Path]:
    """Write response time against load, hits and staleness of what may be cached, a picture of each
    statement on grown data and a timeline of each fault; their files, in order.

    Raises `RecordingError`.
    """
    written = []
    for answer in answers:
        knee = _of_knee(answer)
        if knee is not None:
            written.append(_write(run, "load", knee))
        for number, cached in enumerate(answer.figures.get("caches", ()), start=1):
            assert isinstance(cached, OperationCache)
            curves = _of_cache(answer, cached)
            if curves is not None:
                name = f"cache-{number:02d}-{_slug(cached.operation)}"
                written.append(_write(run, name, curves))
        for number, kept in enumerate(_statements(answer), start=1):
            curves = _of_statement(kept)
            if curves is not None:
                written.append(_write(run, f"cache-statement-{number:02d}", curves))
        written += _growth_pictures(answer, run)
        for number, outcome in enumerate(answer.figures.get("faults", ()), start=1):
            assert isinstance(outcome, Outcome)
            said = said_of(answer, outcome)
            drawn = render_timeline(outcome, said)
            if drawn is None:
                continue
            written.append(_write(run, f"{number:02d}-{_slug(outcome.fault.name)}", drawn))
    return written


def _of_knee(answer: Answer) -> str | None:
    """Response time against load, where loads were held."""
    points, today = answer.figures.get("held", ()), answer.figures.get("today")
    if not points or not isinstance(today, Assessment) or not today.limits:
        return None
    quantiles = ", ".join(f"p{limit.quantile * 100:g}" for limit in today.limits)
    now = LoadPoint(
        rate_per_s=today.offered_per_s,
        stretch=max(limit.stretch for limit in today.limits),
        met=today.met,
        disturbed=False,
    )
    return render_knee_picture(
        _said(answer, "the mix"),
        (now, *points),
        knee=answer.figures.get("mix_knee_per_s"),
        today_per_s=today.offered_per_s,
        limit=f"the limit of {quantiles}",
    )


def _of_cache(answer: Answer, cached: OperationCache) -> str | None:
    """Hits and staleness against the TTL, where anything was replayed."""
    if not cached.points:
        return None
    return render_cache_picture(
        cached.operation,
        _said(answer, cached.operation),
        cached.points,
        chosen_ttl_s=None if cached.point is None else cached.point.ttl_s,
        allowed=cached.allowed,
    )


def _statements(answer: Answer) -> list[StatementCache]:
    """What might be kept inside the service, what would answer most first."""
    kept: Sequence[StatementCache] = answer.figures.get("statements", ())
    return [each for each in kept if each.verdict == "yes" or each.most_hits >= HITS_SHOWN][
        :STATEMENTS_MAX
    ]


def _of_statement(kept: StatementCache) -> str | None:
    """The same of a statement whose rows the service might keep."""
    said = kept.verdict if not kept.why else f"{kept.verdict}: {kept.why}"
    return render_cache_picture(
        f"{kept.dependency}: {short_shape(kept.shape, 60)}",
        said,
        kept.points,
        chosen_ttl_s=None if kept.point is None else kept.point.ttl_s,
        allowed=kept.allowed,
    )


def _growth_pictures(answer: Answer, run: Run) -> list[Path]:
    """Statements, those that are accused first and with them whatever grows most."""
    growth = answer.figures.get("growth")
    if growth is None:
        return []
    assert isinstance(growth, Growth)
    every = [each for database in growth.databases for each in database.statements]
    every.sort(key=lambda each: (not each.findings, -_last_pages(each)))
    drawn = [(each, picture) for each in every if (picture := render_growth(each)) is not None]
    return [
        _write(run, f"growth-{number:02d}-{_slug(_named(each))}", picture)
        for number, (each, picture) in enumerate(drawn[:STATEMENTS_MAX], start=1)
    ]


def _last_pages(each: StatementGrowth) -> float:
    return 0.0 if each.course is None else each.course.last.buffers


def _named(each: StatementGrowth) -> str:
    return each.operations[0] if each.operations else short_shape(each.shape, 40)


def _write(run: Run, name: str, drawn: str) -> Path:
    folder = run.directory / PICTURES
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.svg"
    replace_with(path, drawn.encode())
    return path


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]


def said_of(answer: Answer, outcome: Outcome) -> str:
    """What the answer's own line says of that fault."""
    return _said(answer, outcome.fault.name)


def _said(answer: Answer, subject: str) -> str:
    for line in answer.lines:
        if line.subject == subject:
            return " · ".join(part for part in (line.verdict, line.cause) if part)
    return ""

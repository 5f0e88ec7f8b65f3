"""What is wrong with statements whose work grows with the data: one rule each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

from loadpath.statements.course import Course, runs_of, sizes_along, worst
from loadpath.statements.exponent import LOG_MAX, LOOKUP_MAX
from loadpath.statements.reading import Read, read
from loadpath.statements.record import StatementRecord

Kind: TypeAlias = Literal[
    "missing_index",
    "unbounded_list",
    "count",
    "aggregate",
    "offset",
    "spills",
    "hot_key",
    "n_plus_one",
    "held",
    "too_long",
]

PAGES_MIN: Final = 24.0
"""Below so many pages at the largest size nobody would notice that it grew."""

ROWS_MIN: Final = 20.0
SKIPPED_MIN: Final = 20.0
APART: Final = 0.4
"""Exponents that differ by this much are not of the same thing."""

TOO_LONG: Final = "it took too long"
"""What is said of a statement that was not waited for any longer."""

THROWN_TIMES: Final = 4.0
"""A scan that throws away so many times what it gives looks through what an index would find."""

HOT_TIMES: Final = 8.0
"""A hot key's work is at least so many times that of a usual one."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a statement: what was seen, and what would mend it."""

    kind: Kind
    said: str
    advice: str


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A statement with its worst course and what is wrong with it, the gravest first."""

    number: int
    shape: str
    course: Course | None
    findings: tuple[Finding, ...]
    problem: str = ""


def judged(records: Sequence[StatementRecord]) -> list[Judged]:
    """Judge every statement by itself."""
    return [_judged(number, record) for number, record in enumerate(records)]


def _judged(number: int, record: StatementRecord) -> Judged:
    found = worst(record)
    problem = next((each.problem for each in record.at if each.problem), "")
    findings: list[Finding] = []
    if found is not None:
        seen = _Seen(record, read(record.shape), found)
        findings = [each for rule in RULES if (each := rule(seen)) is not None]
    if any(each.problem == TOO_LONG and each.size is not None for each in record.at):
        findings.append(
            Finding(
                kind="too_long",
                said="on grown data it does not end in time",
                advice="See its plan there.",
            )
        )
    return Judged(
        number=number,
        shape=record.shape,
        course=found,
        findings=tuple(findings),
        problem=problem if found is None or problem == TOO_LONG else "",
    )


class _Seen:
    """What the rules look at."""

    def __init__(self, record: StatementRecord, statement: Read, found: Course) -> None:
        self.record = record
        self.statement = statement
        self.course = found
        self.pages = found.pages.value if found.pages else 0.0
        self.rows = found.rows.value if found.rows else 0.0
        self.scanned = found.scanned.value if found.scanned else 0.0
        self.last_runs = runs_of(sizes_along(record, found.axis)[found.last.times])

    @property
    def grows(self) -> bool:
        """Whether the pages it touches grow like the data, and to more than a few."""
        pages = self.course.pages
        return (
            pages is not None
            and pages.value > LOG_MAX
            and pages.low > LOOKUP_MAX
            and max(run.buffers for run in self.last_runs) >= PAGES_MIN
        )

    @property
    def aggregates(self) -> bool:
        """Whether one row comes of all that it reads."""
        return self.statement.verb == "SELECT" and "Aggregate" in self.course.last.plan

    @property
    def growth(self) -> str:
        """`pages 12 → 190 when users × 16`."""
        first, last = self.course.first, self.course.last
        return f"{first.buffers:,.0f} → {last.buffers:,.0f} pages at {times_words(self.course)}"


def times_words(found: Course) -> str:
    """`16 × users`, `16 × history`."""
    return f"{found.last.times} × {found.axis}"


def _missing_index(seen: _Seen) -> Finding | None:
    if not seen.grows or _skipped(seen) >= SKIPPED_MIN:
        return None
    grow_too = seen.rows > seen.pages - APART
    if grow_too and not _throws_away(seen):
        return None
    if seen.aggregates and seen.scanned > seen.pages - APART and not _throws_away(seen):
        # All that it reads belongs to what it computes.
        return None
    what = "most of what it reads is thrown away" if grow_too else "its rows do not grow"
    return Finding(
        kind="missing_index",
        said=f"{seen.growth}, and {what}: no index serves it",
        advice="An index on what it looks for and orders by.",
    )


def _throws_away(seen: _Seen) -> bool:
    """Whether most of what a scan reads does not pass its filter."""
    scans = [scan for run in seen.last_runs for scan in run.scans]
    removed, rows = sum(s.removed for s in scans), sum(s.rows for s in scans)
    return removed > THROWN_TIMES * rows


def _unbounded(seen: _Seen) -> Finding | None:
    rows = max(run.rows for run in seen.last_runs)
    grows = seen.rows > LOG_MAX and rows >= ROWS_MIN
    if seen.statement.verb != "SELECT" or seen.statement.limited or not grows:
        return None
    first, last = seen.course.first, seen.course.last
    return Finding(
        kind="unbounded_list",
        said=f"{first.rows:,.0f} → {last.rows:,.0f} rows at {times_words(seen.course)}, no LIMIT",
        advice="A LIMIT, and a page at a time by key.",
    )


def _count(seen: _Seen) -> Finding | None:
    if not seen.grows or not seen.aggregates or seen.scanned <= seen.pages - APART:
        return None
    if _throws_away(seen):
        return None
    if seen.statement.counts:
        return Finding(
            kind="count",
            said=f"COUNT over all that matches: {seen.growth}",
            advice="Keep the count, bound it (count no more than 1,000), or leave it out.",
        )
    if seen.rows > LOG_MAX:
        return None
    return Finding(
        kind="aggregate",
        said=f"computed anew from all that matches: {seen.growth}",
        advice="Keep a running figure, or compute it for a bounded time.",
    )


def _skipped(seen: _Seen) -> float:
    every = [run for at in seen.record.at for run in runs_of(at)]
    return max((run.skipped_rows for run in every), default=0.0)


def _offset(seen: _Seen) -> Finding | None:
    skipped = _skipped(seen)
    if not seen.statement.offset or skipped < SKIPPED_MIN:
        return None
    return Finding(
        kind="offset",
        said=f"OFFSET reads up to {skipped:,.0f} rows to throw them away, more on each page",
        advice="Page by key: WHERE (created_at, id) < ($1, $2) ORDER BY … LIMIT.",
    )


def _spills(seen: _Seen) -> Finding | None:
    for times, at in sizes_along(seen.record, seen.course.axis).items():
        spilled = next((run for run in runs_of(at) if run.spilled or run.temp_blocks), None)
        if spilled is not None:
            when = "today" if times == 1 else f"at {times} × {seen.course.axis}"
            return Finding(
                kind="spills",
                said=f"its {spilled.spilled or 'result'} does not fit into work_mem {when}: "
                f"{spilled.temp_blocks:,.0f} pages to disk",
                advice="An index in that order, fewer rows, or more work_mem for it.",
            )
    return None


def _hot_key(seen: _Seen) -> Finding | None:
    """Work that grows for a few keys alone."""
    by_set = seen.course.by_set
    last = np.array(by_set[seen.course.last.times], float)
    first = np.array(by_set[1], float)
    known = ~(np.isnan(last) | np.isnan(first))
    if known.sum() < 3:
        return None
    last, first = last[known], first[known]
    usual, hot = float(np.median(last)), float(last.max())
    grew = hot / max(float(first[last.argmax()]), 1.0)
    if hot < PAGES_MIN or hot < HOT_TIMES * max(usual, 1.0):
        return None
    if np.log(grew) / np.log(seen.course.last.times) <= LOG_MAX:
        return None
    return Finding(
        kind="hot_key",
        said=f"one key touches {hot:,.0f} pages at {times_words(seen.course)}, the usual one "
        f"{usual:,.0f}: a few have most of the rows",
        advice="Bound what is read of one key, or keep what is computed of it.",
    )


RULES: Final[tuple[Callable[[_Seen], Finding | None], ...]] = (
    _missing_index,
    _offset,
    _count,
    _unbounded,
    _spills,
    _hot_key,
)

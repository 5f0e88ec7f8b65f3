"""The ledger as a page: what stands between the marks of docs/reference/accuracy.md. Pure."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from accuracy.catalog import EXPLAINED, Case
from accuracy.scoring import COVERAGE, GOALS, NAMED, PRECISION, Entry, Row, summary
from loadpath.answer import Interval
from loadpath.figures import ms

BEGIN = "<!-- ledger: written by `make ledger` -->"
END = "<!-- end of ledger -->"


def rendered(cases: Sequence[Case], rows: Sequence[Row]) -> str:
    """Goals, then every case in the order of the catalog."""
    by_name = {row.foretold.case: row for row in rows}
    parts = [_about(cases, rows), "### Goals", _goals(rows), "### Changes", _table(cases, by_name)]
    return "\n\n".join([*parts, "### Each prediction", *_each(cases, by_name)])


def write(page: Path, body: str) -> None:
    """Put it between the marks. Raises `SystemExit` without them."""
    text = page.read_text("utf-8")
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise SystemExit(f"{page}: expected `{BEGIN}` and `{END}`")
    page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", "utf-8")


def _about(cases: Sequence[Case], rows: Sequence[Row]) -> str:
    machines = sorted({row.measured.machine for row in rows})
    commits = sorted({row.foretold.commit for row in rows})
    on = f" on {' and '.join(machines)}" if machines else ""
    by = f", predicted by the code of commit {' and '.join(commits)}" if commits else ""
    clean = sum(row.measured.why_not is None for row in rows)
    days = sorted(time.strftime("%Y-%m-%d", time.gmtime(r.measured.began_s)) for r in rows)
    dated = f", {days[0]}" + (f" to {days[-1]}" if days[-1] != days[0] else "") if days else ""
    return (
        f"{len(rows)} of {len(cases)} changes were measured{dated}{on}{by}. "
        f"{clean} of them count; the others were disturbed and are to be measured again."
    )


def _goals(rows: Sequence[Row]) -> str:
    entries = [entry for row in rows for entry in row.entries]
    lines = [
        "| figure | counted | not measured well enough | median error (goal) | worst (goal) "
        "| 90 % interval held |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kind, goal in GOALS.items():
        of = summary(entries, kind)
        lines.append(
            f"| {kind} (measured to ±{PRECISION[kind]:.0%}) | {of.count} | {of.uncounted} "
            f"| {_share(of.median)} (≤ {goal.median:.0%}) | {_share(of.worst)} (≤ {goal.worst:.0%})"
            f" | {_share(of.held)} |"
        )
    every = summary(entries)
    low, high = COVERAGE
    lines.append(
        f"| all | {every.count} | {every.uncounted} | {_share(every.median)} "
        f"| {_share(every.worst)} | {_share(every.held)} ({low:.0%} to {high:.0%}) |"
    )
    named = [row.named_right for row in rows if row.named_right is not None]
    said = f"{sum(named)} of {len(named)}" if named else "none judged yet"
    return "\n".join(lines) + f"\n\nBottleneck named right: {said} (goal: {NAMED:.0%} or more)."


def _table(cases: Sequence[Case], rows: dict[str, Row]) -> str:
    lines = [
        "| change | capacity ratio: foretold, measured | error | mean: worst error "
        "| p99: worst error | intervals held | gives out first | what explains it |",
        "|---|---|--:|--:|--:|--:|---|---|",
    ]
    for case in cases:
        what = f"{case.service}: {case.said}"
        if case.name not in rows:
            lines.append(f"| {what} | not measured yet | | | | | | |")
            continue
        row = rows[case.name]
        if row.measured.why_not is not None:
            lines.append(f"| {what} | not counted: {row.measured.why_not} | | | | | | |")
            continue
        entries = row.entries
        capacity = next((e for e in entries if e.kind == "capacity"), None)
        counted = [e for e in entries if e.counted]
        held = f"{sum(e.score.held is True for e in counted)} of {len(counted)}"
        lines.append(
            f"| {what} | {_capacity(capacity)} | {_error(capacity)} "
            f"| {_worst(entries, 'mean')} | {_worst(entries, 'p99')} | {held} | {_named(row)} "
            f"| {EXPLAINED.get(case.name, '')} |"
        )
    return "\n".join(lines)


def _each(cases: Sequence[Case], rows: dict[str, Row]) -> list[str]:
    found = []
    for case in cases:
        row = rows.get(case.name)
        if row is None:
            continue
        digest = row.measured.digest[:12]
        found.append(
            f"**{case.service}: {case.said}.** Foretold {_clock(row.foretold.made_s)} "
            f"(`{digest}`), measured {_clock(row.measured.began_s)} to "
            f"{_clock(row.measured.ended_s)}."
            + (f" Not counted: {row.measured.why_not}." if row.measured.why_not else "")
        )
        lines = [
            "| figure | foretold, 90 % | measured | error | held |",
            "|---|---|---|--:|---|",
        ]
        for entry in row.entries:
            score = entry.score
            say = _ratio if entry.kind == "capacity" else ms
            held = "not measured well enough"
            if row.measured.why_not is not None:
                held = "not counted"
            elif entry.counted:
                held = "yes" if score.held else "**no**"
            figure = "capacity ratio" if entry.kind == "capacity" else score.figure
            lines.append(
                f"| {figure} | {_interval(score.predicted, say)} "
                f"| {_interval(score.measured, say)} | {_signed(score.error)} | {held} |"
            )
        found.append("\n".join(lines))
    return found


def _capacity(entry: Entry | None) -> str:
    if entry is None:
        return "no figure: the objective was not missed within the ramp"
    score = entry.score
    said = f"{score.predicted.value:.2f}, {score.measured.value:.2f}"
    return said if entry.counted else f"{said}: not measured well enough"


def _error(entry: Entry | None) -> str:
    return _signed(entry.score.error) if entry is not None and entry.counted else "–"


def _worst(entries: Sequence[Entry], kind: str) -> str:
    errors = [e.score.error for e in entries if e.kind == kind and e.counted]
    return _signed(max(errors, key=abs)) if errors else "–"


def _named(row: Row) -> str:
    told = " or ".join(row.foretold.gives_out) or "nothing"
    if row.named_right is None:
        return told
    return told if row.named_right else f"**{told}**; it was {row.measured.gave_out}"


def _interval(of: Interval, say: Callable[[float], str]) -> str:
    if not math.isfinite(of.high):
        return f"{say(of.value)} (one round: no interval)"
    return f"{say(of.value)} ({say(of.low)} to {say(of.high)})"


def _ratio(value: float) -> str:
    return f"{value:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f} %"


def _signed(error: float) -> str:
    return f"{'−' if error < 0 else '+'}{abs(error) * 100:.1f} %"


def _clock(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at_s))

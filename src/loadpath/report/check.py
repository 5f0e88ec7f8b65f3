"""What `loadpath check` found, as text and as JSON."""

from __future__ import annotations

import re

import msgspec

from loadpath.errors import ExitCode
from loadpath.experiment.probe import OperationProbe, ServiceProbe
from loadpath.experiment.tracing import TapCost
from loadpath.figures import ms
from loadpath.report.outside import strip_controls
from loadpath.report.paths import render_path
from loadpath.report.terminal import Style, plain, wrapped

NAME_WIDTH = 43
_FIGURES_WIDTH = 32
_SHORTEST_NAME = 12


class CheckDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `loadpath check --json` prints."""

    exit_code: int
    check: ServiceProbe


def render_check(found: ServiceProbe, *, width: int = 80, style: Style = plain) -> str:
    """A table: an operation a row, with its status, its first and its usual time."""
    lines = [f"{style(strip_controls(found.service), 'bold')} · ready in {found.started_s:.1f} s"]
    for name, what in found.dependencies.items():
        lines += _hanging(f"{strip_controls(name):<12} {what}", width, indent=2)
    beside = _beside(width)
    lines += ["", f"  {'operation':<{beside}} {'status':<12} {'first':>9} {'then':>9}"[:width]]
    advised: set[str] = set()
    for operation, path in zip(found.operations, found.paths, strict=True):
        lines += _rows(operation, width, style)
        if operation.problem:
            lines += _hanging(_without_layout(operation.problem)[:300], width, indent=6)
        if operation.advice and operation.advice not in advised:
            advised.add(operation.advice)
            lines += _hanging(f"→ {operation.advice}", width, indent=6)
        lines += render_path(path, width, style)
    failed = [operation for operation in found.operations if operation.problem]
    lines.append("")
    if found.last_lines:
        lines.append("  The last lines that the service printed:")
        for line in found.last_lines:
            lines += _hanging(line, width, indent=6)
        lines.append("")
    if found.unused:
        lines += _marked(f"{found.unused}. {found.unused_advice or ''}", width, style("✗", "red"))
    for tap, reasons in found.taps.unread.items():
        for why, times in reasons.items():
            said = f"{tap}: {times} of its connections could be relayed but not read: {why}"
            lines += _marked(said, width, style("!", "yellow"))
    suspicions = sum(len(path.suspicions) for path in found.paths)
    if suspicions:
        things = "thing looks" if suspicions == 1 else "things look"
        said = f"{suspicions} {things} suspicious, marked above"
        lines += _marked(said, width, style("!", "yellow"))
    if found.dependencies:
        lines += _hanging(_cost(found.taps), width, indent=2)
    count = len(found.operations)
    if failed:
        mark, color = "✗ failing", "red"
        said = f": {len(failed)} of {count} operations had a reply that is an error"
    else:
        mark, color = "✓ every operation answers", "green"
        said = f" ({count} of them)"
    first, *rest = wrapped(mark + said, width - 2)
    shown = style(mark, color) + first.removeprefix(mark) if first.startswith(mark) else first
    lines += [shown, *(f"  {row}" for row in rest)]
    return "\n".join(lines) + "\n"


def check_json(found: ServiceProbe) -> str:
    """The same as JSON, ending in a newline."""
    document = CheckDocument(exit_code=int(check_exit_code(found)), check=found)
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def check_exit_code(found: ServiceProbe) -> ExitCode:
    """Missed when any operation's reply was an error; a mistake in the file where a dependency is
    not the one that the service uses."""
    if found.unused:
        return ExitCode.USAGE
    if any(operation.problem for operation in found.operations):
        return ExitCode.OBJECTIVE_MISSED
    return ExitCode.OBJECTIVES_MET


def _cost(taps: TapCost) -> str:
    """What reading the wires took: it is no part of the times of a service without taps."""
    if not taps.exchanges:
        return "nothing crossed the wires to its dependencies"
    said = f"{taps.exchanges:,} exchanges were read on the wires"
    if taps.added_s is None:
        return f"{said} by relays, which add a little to each"
    return f"{said} by relays, which add {ms(max(0.0, taps.added_s))} to each"


def _marked(text: str, width: int, mark: str) -> list[str]:
    first, *rest = _hanging(text, width, indent=2)
    return [mark + first[1:], *rest]


def _rows(operation: OperationProbe, width: int, style: Style) -> list[str]:
    said = [str(status) if status else "none" for status in operation.statuses]
    statuses = ",".join(said[:3]) + ("…" if len(said) > 3 else "")
    mark = style("✗", "red") if operation.problem else style("✓", "green")
    figures = f"{statuses:<12} {ms(operation.first_s):>9} {ms(operation.median_s):>9}"
    name, *more = wrapped(operation.operation, width - 2)
    beside = _beside(width)
    if not more and len(name) <= beside:
        return [f"{mark} {name:<{beside}} {figures}"]
    rest = [f"  {row}" for row in more]
    if not beside:
        return [f"{mark} {name}", *rest, "    " + " ".join(figures.split())]
    return [f"{mark} {name}", *rest, " " * (beside + 3) + figures]


def _beside(width: int) -> int:
    """Columns for a name beside its figures; 0: there is no room, they stand below it."""
    left = width - 3 - _FIGURES_WIDTH
    return min(NAME_WIDTH, left) if left >= _SHORTEST_NAME else 0


def _without_layout(problem: str) -> str:
    """A failure in people's words, without what lays out a page: tags, and blanks in a row."""
    if re.search(r"<!doctype html|<html", problem, re.IGNORECASE):
        problem = re.sub(r"<[^>]*>", " ", problem)
    return " ".join(problem.replace("status ", "answered ", 1).split())


def _hanging(text: str, width: int, *, indent: int) -> list[str]:
    return [" " * indent + row for row in wrapped(text, width - indent)]

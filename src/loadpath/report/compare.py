"""Two runs side by side, as text and JSON, and the exit code for CI."""

from __future__ import annotations

import msgspec

from loadpath.errors import ExitCode
from loadpath.questions.compare import Difference, RunComparison
from loadpath.questions.words import change
from loadpath.report.outside import strip_controls
from loadpath.report.terminal import Style, plain, wrapped
from loadpath.stats.compare import Verdict

_MARKS = {
    Verdict.BETTER: ("✓", "green"),
    Verdict.SAME: ("=", "green"),
    Verdict.WORSE: ("✗", "red"),
    Verdict.CANNOT_TELL: ("?", "yellow"),
}


def render_comparison(found: RunComparison, *, width: int = 80, style: Style = plain) -> str:
    """A figure a block: what it is, before and after, the change with its interval, the verdict."""
    out = [f"before  {found.before}", f"after   {found.after}", ""]
    for difference in found.differences:
        out += _rows(difference, width, style)
    out.append("")
    for doubt in found.doubts:
        first, *rest = wrapped(f"! {doubt}", width - 2)
        out += [first, *(f"  {row}" for row in rest)]
    symbol, color = _MARKS[found.verdict]
    out.append(style(f"{symbol} {found.verdict.value}", color))
    return "\n".join(out) + "\n"


def comparison_json(found: RunComparison) -> str:
    """The same for a program, ending in a newline."""
    document = {"exit_code": int(comparison_exit_code(found)), "comparison": found}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def comparison_exit_code(found: RunComparison) -> ExitCode:
    """Worse outweighs doubt, doubt outweighs success."""
    if found.verdict is Verdict.WORSE:
        return ExitCode.OBJECTIVE_MISSED
    if found.verdict is Verdict.CANNOT_TELL:
        return ExitCode.INCONCLUSIVE
    return ExitCode.OBJECTIVES_MET


def _rows(difference: Difference, width: int, style: Style) -> list[str]:
    symbol, color = _MARKS[difference.verdict]
    moved = f" · {change(difference.ratio)}" if difference.ratio else ""
    said = f"{difference.before} → {difference.after}{moved} · {difference.verdict.value}"
    head = f"{symbol} {strip_controls(difference.figure)}"
    return [style(head[:1], color) + head[1:], *(f"    {row}" for row in wrapped(said, width - 4))]

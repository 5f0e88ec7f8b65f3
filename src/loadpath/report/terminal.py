"""Answers as text for a terminal: what to look at first, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from loadpath.answer import Answer, Line, State
from loadpath.report.outside import strip_controls

QUESTION_WIDTH = 12
SUBJECT_WIDTH = 21
NARROWEST = QUESTION_WIDTH + SUBJECT_WIDTH + 20
"""Columns below which a subject stands above what is said of it, not beside."""

SYMBOLS = {
    State.CONFIRMED: ("✓", "green"),
    State.REFUTED: ("✗", "red"),
    State.INCONCLUSIVE: ("?", "yellow"),
    State.PREDICTED: ("→", "cyan"),
}

Style = Callable[[str, str], str]
"""(text, color) -> the text so colored, or as it was."""


def plain(text: str, color: str) -> str:
    """A `Style` that leaves text alone."""
    return text


def render(
    answers: Sequence[Answer],
    *,
    title: str,
    recording: str,
    report: str | None = None,
    next_command: str | None = None,
    width: int = 80,
    style: Style = plain,
) -> str:
    """What was measured, the answers, the trust line and where everything lies."""
    out = [*wrapped(title, width), ""]
    for answer in answers:
        out += _answer(answer, width, style)
    out.append("")
    out += _labelled("Trust", trust(answers), width, style)
    for answer in answers:
        for check in answer.validity:
            if not check.passed:
                advice = f" {check.advice}" if check.advice else ""
                out += _labelled("", f"! {check.name}: {check.detail}{advice}", width, style)
    out += _labelled("Recording", recording, width, style, wrap=False)
    if report:
        out += _labelled("Report", report, width, style, wrap=False)
    if next_command:
        out += _labelled("Next", next_command, width, style, wrap=False)
    return "\n".join(out) + "\n"


def trust(answers: Sequence[Answer]) -> str:
    """One sentence on how far the answers may be believed."""
    checks = [check for answer in answers for check in answer.validity]
    held = sum(check.passed for check in checks)
    said = "; ".join(check.detail for check in checks if check.passed and check.detail)
    return f"{held} of {len(checks)} checks held" + (f" · {said}" if said else "")


def _answer(answer: Answer, width: int, style: Style) -> list[str]:
    symbol, color = SYMBOLS[answer.state]
    out: list[str] = []
    head = answer.question.upper()
    for position, line in enumerate(answer.lines):
        out += _line(head if position == 0 else "", line, width, style, color)
    pad = " " * _indent(width)
    mark = f"{symbol} {answer.state.value}"
    first, *rest = wrapped(f"{mark}: {answer.claim}", width - len(pad))
    out.append(pad + style(mark, color) + first.removeprefix(mark))
    out += [pad + row for row in rest]
    return out


def _line(head: str, line: Line, width: int, style: Style, color: str) -> list[str]:
    indent = _indent(width)
    text = f"{line.verdict} · {line.cause}" if line.cause else line.verdict
    rows = wrapped(text, width - indent)
    left = style(f"{head:<{QUESTION_WIDTH}}", "bold")
    if width < NARROWEST:
        # One below the other: question, subject, what is said of it.
        names = [style(head, "bold")] if head else []
        names += [" " * (indent // 2) + row for row in wrapped(line.subject, width - indent // 2)]
        return [*(name for name in names if name.strip()), *(" " * indent + row for row in rows)]
    pad = " " * QUESTION_WIDTH
    subject, *more = wrapped(line.subject, width - QUESTION_WIDTH)
    if not more and len(subject) < SUBJECT_WIDTH:
        first, *rows = rows
        return [f"{left}{subject:<{SUBJECT_WIDTH}}{first}", *(" " * indent + row for row in rows)]
    return [left + subject, *(pad + row for row in more), *(" " * indent + row for row in rows)]


def _indent(width: int) -> int:
    """How far what is said of a subject is indented."""
    return QUESTION_WIDTH + SUBJECT_WIDTH if width >= NARROWEST else 4


def wrapped(text: str, width: int) -> list[str]:
    """Text from outside in rows, at least one; only a word that is longer than a row is broken."""
    rows = textwrap.wrap(strip_controls(text), max(20, width), break_on_hyphens=False)
    return rows or [""]


def _labelled(label: str, text: str, width: int, style: Style, *, wrap: bool = True) -> list[str]:
    if width < NARROWEST:
        rows = wrapped(text, width - 2) if wrap else [strip_controls(text)]
        heads = [style(label, "bold")] if label else []
        return heads + ["  " + row for row in rows]
    rows = wrapped(text, width - QUESTION_WIDTH) if wrap else [strip_controls(text)]
    heads = [label] + [""] * len(rows)
    return [
        style(f"{head:<{QUESTION_WIDTH}}", "bold") + row
        for head, row in zip(heads, rows or [""], strict=False)
    ]

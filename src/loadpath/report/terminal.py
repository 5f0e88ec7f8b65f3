"""Answers as text for a terminal: what to look at first, in 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence

from loadpath.answer import Answer, Line, State

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

QUESTION_WIDTH = 12
SUBJECT_WIDTH = 21

_SYMBOL = {
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


def strip_controls(text: str) -> str:
    """Text from outside without the control characters that could steer a terminal."""
    return _CONTROL.sub("", text)


def render(
    answers: Sequence[Answer],
    *,
    title: str,
    recording: str,
    next_command: str | None = None,
    width: int = 80,
    style: Style = plain,
) -> str:
    """What was measured, the answers, the trust line and where everything lies."""
    out = [*textwrap.wrap(strip_controls(title), width), ""]
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
    symbol, color = _SYMBOL[answer.state]
    out: list[str] = []
    head = answer.question.upper()
    for position, line in enumerate(answer.lines):
        out += _line(head if position == 0 else "", line, width, style, color)
    mark = style(f"{symbol} {answer.state.value}", color)
    pad = " " * (QUESTION_WIDTH + SUBJECT_WIDTH)
    claim = textwrap.wrap(
        strip_controls(answer.claim), max(20, width - len(pad) - len(answer.state.value) - 4)
    ) or [""]
    out.append(f"{pad}{mark}: {claim[0]}")
    out += [f"{pad}{' ' * (len(answer.state.value) + 4)}{rest}" for rest in claim[1:]]
    return out


def _line(head: str, line: Line, width: int, style: Style, color: str) -> list[str]:
    indent = QUESTION_WIDTH + SUBJECT_WIDTH
    text = strip_controls(line.verdict)
    if line.cause:
        text += f" · {strip_controls(line.cause)}"
    subject = strip_controls(line.subject)
    rows = textwrap.wrap(text, max(20, width - indent), break_long_words=False) or [""]
    left = style(f"{head:<{QUESTION_WIDTH}}", "bold")
    if len(subject) >= SUBJECT_WIDTH:
        first = [f"{left}{subject}", *(f"{' ' * indent}{row}" for row in rows)]
        return first
    return [
        f"{left}{subject:<{SUBJECT_WIDTH}}{rows[0]}",
        *(f"{' ' * indent}{row}" for row in rows[1:]),
    ]


def _labelled(label: str, text: str, width: int, style: Style, *, wrap: bool = True) -> list[str]:
    text = strip_controls(text)
    rows = textwrap.wrap(text, max(20, width - QUESTION_WIDTH)) if wrap else [text]
    heads = [label] + [""] * len(rows)
    return [
        style(f"{head:<{QUESTION_WIDTH}}", "bold") + row
        for head, row in zip(heads, rows or [""], strict=False)
    ]

"""Answers as Markdown: for a pull request, a wiki, the summary of a CI step."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.answer import Answer, State
from loadpath.report.outside import strip_controls
from loadpath.report.terminal import trust

_MARKS = {
    State.CONFIRMED: "✅ confirmed",
    State.REFUTED: "❌ refuted",
    State.INCONCLUSIVE: "❔ inconclusive",
    State.PREDICTED: "➡️ predicted",
}


def markdown(answers: Sequence[Answer], title: str, *, next_command: str | None = None) -> str:
    """A heading, a table for each answer, what may be believed of it. Pictures are not linked: a
    summary is read where the files are not."""
    out = [f"### Loadpath: {cell(title)}", ""]
    for answer in answers:
        out += [
            f"**{answer.question}** · {_MARKS[answer.state]}: {cell(answer.claim)}",
            "",
            "| | verdict | cause |",
            "|---|---|---|",
            *(
                f"| {cell(line.subject)} | {cell(line.verdict)} | {cell(line.cause)} |"
                for line in answer.lines
            ),
            "",
        ]
    out += [f"Trust: {cell(trust(answers))}", ""]
    broken = [check for answer in answers for check in answer.validity if not check.passed]
    for check in broken:
        out.append(
            f"- ⚠️ {cell(check.name)}: {cell(check.detail)} {cell(check.advice or '')}".rstrip()
        )
    out += [""] if broken else []
    if next_command:
        out += [f"Next: `{strip_controls(next_command).replace('`', '')}`", ""]
    return "\n".join(out)


def cell(text: str) -> str:
    """Text from outside in a table cell: no markup, no new column."""
    text = strip_controls(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("|", "\\|").replace("`", "'")

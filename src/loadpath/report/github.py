"""Answers for GitHub Actions: annotations at the line of what was missed, and a step summary.

The formats are those of GitHub's workflow commands and of its job summaries (Markdown).
"""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.answer import Answer, State
from loadpath.experiment.assess import Assessment
from loadpath.figures import ms
from loadpath.report.outside import strip_controls
from loadpath.report.terminal import trust
from loadpath.spec import Source

_MARKS = {
    State.CONFIRMED: "✅ confirmed",
    State.REFUTED: "❌ refuted",
    State.INCONCLUSIVE: "❔ inconclusive",
    State.PREDICTED: "➡️ predicted",
}


def workflow_commands(answers: Sequence[Answer], source: Source, file: str) -> str:
    """Workflow commands, a line each: an error for what was missed, a warning for what is unknown.

    `file` is the service file as a path from the repository's root.
    """
    out = []
    for answer in answers:
        today = answer.figures.get("today")
        if answer.objectives_met is False and isinstance(today, Assessment):
            out += _missed(today, source, file)
        elif answer.state is State.INCONCLUSIVE:
            title = f"{answer.question}: inconclusive"
            out.append(
                _command("warning", file, source.line_of(("objective",)), title, answer.claim)
            )
    return "".join(f"{line}\n" for line in out)


def summary(answers: Sequence[Answer], title: str) -> str:
    """The answers as Markdown, for the step summary."""
    out = [f"### Loadpath: {_cell(title)}", ""]
    for answer in answers:
        out += [
            f"**{answer.question}** · {_MARKS[answer.state]}: {_cell(answer.claim)}",
            "",
            "| | verdict | cause |",
            "|---|---|---|",
            *(
                f"| {_cell(line.subject)} | {_cell(line.verdict)} | {_cell(line.cause)} |"
                for line in answer.lines
            ),
            "",
        ]
    out += [f"Trust: {_cell(trust(answers))}", ""]
    return "\n".join(out)


def _missed(today: Assessment, source: Source, file: str) -> list[str]:
    out = []
    for limit in today.limits:
        if limit.met is False:
            name = f"p{limit.quantile * 100:g}".replace(".", "")
            said = (
                f"{limit.slower.value * 100:.1f} % of requests were slower than their limit at the "
                f"workload's own load, {(1 - limit.quantile) * 100:g} % may be; "
                f"{name} was {ms(limit.response.value)}"
            )
            line = source.line_of(("objective", name))
            out.append(_command("error", file, line, f"objective {name} missed", said))
    if today.errors_met is False:
        said = f"{today.errors.value * 100:.2f} % of requests failed at the workload's own load"
        line = source.line_of(("objective", "errors"))
        out.append(_command("error", file, line, "objective errors missed", said))
    return out


def _command(kind: str, file: str, line: int, title: str, message: str) -> str:
    place = f"file={_property(file)},line={line},title={_property('Loadpath: ' + title)}"
    return f"::{kind} {place}::{_escaped(message)}"


def _escaped(text: str) -> str:
    """What may stand in a message: a line break would end the command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Text from outside in a table cell: no markup, no new column."""
    text = strip_controls(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("|", "\\|").replace("`", "'")

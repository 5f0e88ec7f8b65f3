"""Answers for GitHub Actions: annotations at the line of what was missed.

The format is that of GitHub's workflow commands; its step summary is Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.answer import Answer, State
from loadpath.experiment.assess import Assessment
from loadpath.experiment.attribution.short import short_shape
from loadpath.figures import ms
from loadpath.questions.growth_figures import Growth
from loadpath.questions.growth_lines import accused
from loadpath.spec import Source


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
        growth = answer.figures.get("growth")
        if isinstance(growth, Growth):
            out += _grows(growth, source, file)
    return "".join(f"{line}\n" for line in out)


def _grows(growth: Growth, source: Source, file: str) -> list[str]:
    """A warning for each statement that is accused, at the operation that makes it."""
    out = []
    for database in growth.databases:
        for each in accused(database):
            place = ("operations", each.operations[0]) if each.operations else ("workload",)
            kind = each.findings[0].kind.replace("_", " ")
            title = f"growth: {kind}" + (f" in {each.operations[0]}" if each.operations else "")
            said = f"{each.findings[0].said}: {short_shape(each.shape, 100)}"
            out.append(_command("warning", file, source.line_of(place), title, said))
    return out


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

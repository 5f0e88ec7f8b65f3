"""Answers as a page to look at: one file that loads nothing from outside and needs no script."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape, unescape
from pathlib import Path

from loadpath.answer import Answer, Check, Line
from loadpath.report.outside import strip_controls
from loadpath.report.terminal import SYMBOLS, trust

_CSS = Path(__file__).with_name("assets") / "report.css"
_DESCRIBED = re.compile(r"<desc[^>]*>(.*?)</desc>", re.DOTALL)
_TITLED = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL)


def render_page(
    answers: Sequence[Answer],
    *,
    title: str,
    recording: str,
    pictures: Mapping[str, Sequence[str]] | None = None,
    next_command: str | None = None,
) -> str:
    """The whole page. `pictures`: SVG documents by question. Everything from outside is escaped."""
    drawn = pictures or {}
    service, _, measured = title.partition(" · ")
    body = [
        f"<header><h1>{_text(service)}</h1><p>{_text(measured)}</p></header>",
        "<main>",
        *_overview(answers),
        f'<p class="trust">{_text(trust(answers))}</p>',
        *(_section(answer, n, drawn.get(answer.question, ())) for n, answer in enumerate(answers)),
        "</main>",
        f"<footer><p>Recording: <code>{_text(recording)}</code></p>",
        f"<p>Next: <code>{_text(next_command)}</code></p>" if next_command else "",
        "</footer>",
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # Nothing but what is in the file is ever fetched or run, whatever a service is called.
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
            f"<title>{_text(service)} · Loadpath</title>",
            f"<style>{_CSS.read_text('utf-8')}</style></head>",
            "<body>",
            *(part for part in body if part),
            "</body></html>",
            "",
        ]
    )


def _overview(answers: Sequence[Answer]) -> list[str]:
    """One entry a question, where there are several."""
    if len(answers) < 2:
        return []
    entries = [
        f'<a class="{answer.state.value}" href="#q{n}"><strong>{_text(answer.question)}</strong>'
        f'<span class="state">{_state(answer)}</span> {_text(answer.claim)}</a>'
        for n, answer in enumerate(answers)
    ]
    return ['<nav aria-label="Questions">', *entries, "</nav>"]


def _section(answer: Answer, number: int, pictures: Sequence[str]) -> str:
    rows = [_row(line) for line in answer.lines]
    return "\n".join(
        [
            f'<section id="q{number}" class="{answer.state.value}">',
            f"<h2>{_text(answer.question)}</h2>",
            f'<p class="claim"><span class="state">{_state(answer)}</span>: '
            f"{_text(answer.claim)}</p>",
            "<table><thead><tr><th>of</th><th>found</th><th>why</th></tr></thead><tbody>",
            *rows,
            "</tbody></table>",
            *(_figure(picture) for picture in pictures),
            *_checks(answer.validity),
            "</section>",
        ]
    )


def _row(line: Line) -> str:
    return (
        f'<tr><th scope="row">{_text(line.subject)}</th><td>{_text(line.verdict)}</td>'
        f'<td class="cause">{_text(line.cause)}</td></tr>'
    )


def _figure(picture: str) -> str:
    """As an image of its own: its styles and names are not to meet those of the page."""
    told = ": ".join(
        unescape(found[1]) for part in (_TITLED, _DESCRIBED) if (found := part.search(picture))
    )
    encoded = base64.b64encode(picture.encode()).decode()
    return (
        f'<figure><img alt="{_text(told)}" src="data:image/svg+xml;base64,{encoded}">'
        f"<figcaption>{_text(told)}</figcaption></figure>"
    )


def _checks(checks: Sequence[Check]) -> list[str]:
    if not checks:
        return []
    held = sum(check.passed for check in checks)
    opened = "" if held == len(checks) else " open"
    items = []
    for check in checks:
        words = f"{_text(check.name)}: {_text(check.detail)}" if check.detail else _text(check.name)
        if check.passed:
            items.append(f"<li>✓ {words}</li>")
        else:
            items.append(
                f'<li><span class="broken">! {words}</span> {_text(check.advice or "")}</li>'
            )
    return [
        f"<details{opened}><summary>{held} of {len(checks)} checks held</summary><ul>",
        *items,
        "</ul></details>",
    ]


def _state(answer: Answer) -> str:
    return f"{SYMBOLS[answer.state][0]} {answer.state.value}"


def _text(text: str) -> str:
    return escape(strip_controls(text))

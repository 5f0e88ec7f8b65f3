"""A fault over time as a picture: goodput and errors, the fault shaded, recovery marked. SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from loadpath.experiment.crash.outcome import Outcome, Picture
from loadpath.report.outside import strip_controls

_Scale = Callable[[float], float]
_WIDTH, _HEIGHT = 760, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 744, 66, 252
_SMOOTH_S = 0.2
"""What is drawn are rates over so long: single requests in bins of 50 ms are noise."""
_STYLE = """
text{font:12px system-ui,sans-serif;fill:#1f2933}
.title{font-size:15px;font-weight:600}.small{font-size:11px;fill:#5b6773}
.axis{stroke:#9aa5b1;stroke-width:1}.grid{stroke:#9aa5b1;stroke-opacity:.25}
.due{fill:none;stroke:#5b6773;stroke-width:1;stroke-dasharray:3 3}
.good{fill:none;stroke:#2e7d4f;stroke-width:2}.failed{fill:none;stroke:#c2455a;stroke-width:2;
stroke-dasharray:7 3}.fault{fill:#d9822b;fill-opacity:.22}
.mark{stroke:#3b7dd8;stroke-width:1.5;stroke-dasharray:2 3}
@media (prefers-color-scheme:dark){svg{background:#14191f}text{fill:#e6ebf0}.small{fill:#a3b0bc}
.good{stroke:#5cc98a}.failed{stroke:#f07a8c}.due{stroke:#a3b0bc}}
"""


def render_timeline(outcome: Outcome, said: str) -> str | None:
    """A picture of one fault; None where nothing was recorded to draw. `said`: what it came to."""
    picture = outcome.picture
    if picture is None or not picture.due:
        return None
    span_s = len(picture.due) * picture.bin_s
    lines = {
        "due": _rates(picture, picture.due),
        "good": _rates(picture, picture.good),
        "failed": _rates(picture, picture.failed),
    }
    most = _round_up(max(max(line) for line in lines.values()) or 1.0)

    def x(at_s: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * min(max(at_s, 0.0), span_s) / span_s

    def y(rate: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * rate / most

    title = _text(outcome.fault.name)
    end_s = span_s if picture.healed_s is None else picture.healed_s
    body = [
        *(_level(most * share, y) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        *(_second(second, x) for second in range(int(span_s) + 1)),
        f'<rect class="fault" x="{x(picture.onset_s):.1f}" y="{_TOP}" '
        f'width="{max(1.0, x(end_s) - x(picture.onset_s)):.1f}" height="{_BOTTOM - _TOP}"/>',
        f'<text class="small" x="{x(picture.onset_s) + 3:.1f}" y="{_TOP + 12}">fault</text>',
        *(_line(name, line, picture.bin_s, x, y) for name, line in lines.items()),
        *_recovery(picture, x),
        *_legend(),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-labelledby="t d">',
            f'<title id="t">{title}</title><desc id="d">{_text(said)}</desc>',
            f"<style>{_STYLE}</style>",
            f'<text class="title" x="14" y="24">{title}</text>',
            f'<text class="small" x="14" y="42">{_text(_shortened(said))}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def _rates(picture: Picture, counts: Sequence[int]) -> list[float]:
    """Requests a second around each bin, over `_SMOOTH_S`."""
    half = max(1, round(_SMOOTH_S / picture.bin_s / 2))
    found = []
    for at in range(len(counts)):
        near = counts[max(0, at - half) : at + half]
        found.append(sum(near) / (len(near) * picture.bin_s) if near else 0.0)
    return found


def _round_up(most: float) -> float:
    size = 10.0
    while size < most:
        for step in (1.0, 2.0, 4.0):
            if size * step >= most:
                return size * step
        size *= 10
    return size


def _level(rate: float, y: _Scale) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y(rate):.1f}" y2="{y(rate):.1f}"/>'
        f'<text class="small" x="{_LEFT - 6}" y="{y(rate) + 4:.1f}" text-anchor="end">'
        f"{rate:g}/s</text>"
    )


def _second(second: int, x: _Scale) -> str:
    return (
        f'<line class="axis" x1="{x(second):.1f}" x2="{x(second):.1f}" y1="{_BOTTOM}" '
        f'y2="{_BOTTOM + 4}"/><text class="small" x="{x(second):.1f}" y="{_BOTTOM + 17}" '
        f'text-anchor="middle">{second} s</text>'
    )


def _line(name: str, rates: Sequence[float], bin_s: float, x: _Scale, y: _Scale) -> str:
    points = " ".join(f"{x((n + 0.5) * bin_s):.1f},{y(r):.1f}" for n, r in enumerate(rates))
    return f'<polyline class="{name}" points="{points}"/>'


def _recovery(picture: Picture, x: _Scale) -> list[str]:
    if picture.recovered_s is None:
        return []
    at = x(picture.recovered_s)
    return [
        f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>',
        f'<text class="small" x="{at + 4:.1f}" y="{_TOP + 26}">back to normal</text>',
    ]


def _legend() -> list[str]:
    told = (("due", "requests due"), ("good", "good replies"), ("failed", "failed requests"))
    return [
        f'<line class="{name}" x1="{_LEFT + 150 * n}" x2="{_LEFT + 150 * n + 26}" y1="284" '
        f'y2="284"/><text x="{_LEFT + 150 * n + 32}" y="288">{words}</text>'
        for n, (name, words) in enumerate(told)
    ] + [
        f'<rect class="fault" x="{_LEFT + 450}" y="277" width="26" height="14"/>'
        f'<text x="{_LEFT + 482}" y="288">while the fault lasts</text>'
    ]


def _shortened(said: str) -> str:
    return said if len(said) <= 118 else said[:117] + "…"


def _text(text: str) -> str:
    return escape(strip_controls(text))

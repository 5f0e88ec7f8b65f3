"""A fault over time as a picture: goodput and errors, the fault shaded, recovery marked. SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loadpath.experiment.crash.outcome import Outcome, Picture
from loadpath.questions.outages import outage_words
from loadpath.report.drawing import curve, framed

_Scale = Callable[[float], float]
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 744, 74, 252
_SMOOTH_S = 0.2
"""What is drawn are rates over so long: single requests in bins of 50 ms are noise."""
_STYLE = """
.due{fill:none;stroke:#5b6773;stroke-width:1;stroke-dasharray:3 3}
.good{fill:none;stroke:#2e7d4f;stroke-width:2}.failed{fill:none;stroke:#c2455a;stroke-width:2;
stroke-dasharray:7 3}.fault{fill:#d9822b;fill-opacity:.22}
"""
_DARK = ".good{stroke:#5cc98a}.failed{stroke:#f07a8c}.due{stroke:#a3b0bc}"


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
    return framed(
        outcome.fault.name, said, body, style=_STYLE, dark=_DARK, more=outage_words(outcome)
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
    return curve(name, [(x((n + 0.5) * bin_s), y(rate)) for n, rate in enumerate(rates)])


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

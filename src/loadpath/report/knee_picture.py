"""Response time against load as a picture: the limit, the knee, and today. SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from loadpath.answer import Interval
from loadpath.experiment.mixknee import LoadPoint
from loadpath.figures import per_second
from loadpath.report.drawing import curve, framed

_Scale = Callable[[float], float]
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 744, 66, 240
_STYLE = """
.held{fill:none;stroke:#5b6773;stroke-width:1.5;stroke-opacity:.6}
.met{fill:#2e7d4f}.missed{fill:#c2455a}.unknown{fill:#d9822b}
.disturbed{fill-opacity:.25;stroke:#5b6773;stroke-width:1}
.limit{stroke:#c2455a;stroke-width:1.5;stroke-dasharray:7 3}
.knee{fill:#3b7dd8;fill-opacity:.18}
"""
_DARK = ".met{fill:#5cc98a}.missed{fill:#f07a8c}.limit{stroke:#f07a8c}.held{stroke:#a3b0bc}"
_LEVELS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def render_knee_picture(
    said: str,
    points: Sequence[LoadPoint],
    *,
    knee: Interval | None,
    today_per_s: float | None,
    limit: str,
) -> str | None:
    """Loads that were held and how near their limit each came; None for fewer than two of them.

    `said`: what it came to. `limit` names the objective. Both axes are logarithmic: a queue grows
    by multiples, and today's load may be a tenth of the knee.
    """
    drawn = [p for p in points if p.rate_per_s > 0 and 0 < p.stretch < math.inf]
    drawn.sort(key=lambda point: point.rate_per_s)
    if len(drawn) < 2:
        return None
    rates = [p.rate_per_s for p in drawn]
    rates += [today_per_s] if today_per_s else []
    rates += [knee.value] if knee is not None else []
    low, high = math.log(min(rates) * 0.9), math.log(max(rates) * 1.1)
    stretches = [1.0, *(p.stretch for p in drawn)]
    levels = [level for level in _LEVELS if min(stretches) / 2.5 <= level <= max(stretches) * 2.5]
    bottom, top = math.log(levels[0]), math.log(levels[-1])

    def x(rate: float) -> float:
        at = (math.log(min(max(rate, math.exp(low)), math.exp(high))) - low) / (high - low)
        return _LEFT + (_RIGHT - _LEFT) * at

    def y(stretch: float) -> float:
        inside = min(max(math.log(stretch), bottom), top)
        return _BOTTOM - (_BOTTOM - _TOP) * (inside - bottom) / (top - bottom)

    body = [
        *(_level(level, y) for level in levels),
        *(_tick(rate, x) for rate in _spread(rates, x)),
        *_knee(knee, x),
        f'<line class="limit" x1="{_LEFT}" x2="{_RIGHT}" y1="{y(1):.1f}" y2="{y(1):.1f}"/>',
        *_today(today_per_s, x),
        curve("held", [(x(p.rate_per_s), y(p.stretch)) for p in drawn if not p.disturbed]),
        *(_point(p, x, y) for p in drawn),
        *_legend(limit),
    ]
    return framed("the mix: response time against load", said, body, style=_STYLE, dark=_DARK)


def _level(level: float, y: _Scale) -> str:
    at = y(level)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="small" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">'
        f"{level:g} ×</text>"
    )


def _spread(rates: Sequence[float], x: _Scale) -> list[float]:
    """Those rates that can be written below the axis without touching."""
    told: list[float] = []
    for rate in sorted(rates):
        if not told or x(rate) - x(told[-1]) >= 62:
            told.append(rate)
    return told


def _tick(rate: float, x: _Scale) -> str:
    at = x(rate)
    return (
        f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{_BOTTOM}" y2="{_BOTTOM + 4}"/>'
        f'<text class="small" x="{at:.1f}" y="{_BOTTOM + 17}" text-anchor="middle">'
        f"{per_second(rate)}</text>"
    )


def _knee(knee: Interval | None, x: _Scale) -> list[str]:
    if knee is None:
        return []
    low, high = x(knee.low), x(knee.high if math.isfinite(knee.high) else math.inf)
    at = x(knee.value)
    return [
        f'<rect class="knee" x="{low:.1f}" y="{_TOP}" width="{max(1.0, high - low):.1f}" '
        f'height="{_BOTTOM - _TOP}"/>',
        f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>',
    ]


def _today(rate: float | None, x: _Scale) -> list[str]:
    if not rate:
        return []
    at = x(rate)
    return [
        f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>',
        f'<text class="small" x="{at + 4:.1f}" y="{_TOP + 12}">today</text>',
    ]


def _point(point: LoadPoint, x: _Scale, y: _Scale) -> str:
    kind = {True: "met", False: "missed", None: "unknown"}[point.met]
    kind += " disturbed" if point.disturbed else ""
    at, height = x(point.rate_per_s), y(point.stretch)
    told = f"{per_second(point.rate_per_s)}: {point.stretch:.2g} × the limit"
    told += ", disturbed" if point.disturbed else ""
    return (
        f'<circle class="{kind}" cx="{at:.1f}" cy="{height:.1f}" r="4">'
        f"<title>{told}</title></circle>"
    )


def _legend(limit: str) -> list[str]:
    dots = (("met", "met"), ("missed", "missed"), ("unknown", "cannot tell"))
    told = [
        f'<circle class="{kind}" cx="{_LEFT + 6 + 92 * n}" cy="284" r="4"/>'
        f'<text x="{_LEFT + 16 + 92 * n}" y="288">{words}</text>'
        for n, (kind, words) in enumerate(dots)
    ]
    at = _LEFT + 300
    return [
        *told,
        f'<line class="limit" x1="{at}" x2="{at + 26}" y1="284" y2="284"/>'
        f'<text x="{at + 32}" y="288">{limit}</text>',
        f'<rect class="knee" x="{at + 230}" y="277" width="26" height="14"/>'
        f'<text x="{at + 262}" y="288">the knee</text>',
    ]

"""Hit ratio and staleness against TTL as a picture, with the TTL chosen. SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from loadpath.caching.staleness import TtlPoint
from loadpath.figures import lifetime
from loadpath.report.drawing import curve, framed

_Scale = Callable[[float], float]
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 696, 66, 240
_STYLE = """
.hits{fill:none;stroke:#2e7d4f;stroke-width:2}.stale{fill:none;stroke:#c2455a;stroke-width:2;
stroke-dasharray:7 3}.band{fill:#c2455a;fill-opacity:.15}
.allowed{stroke:#c2455a;stroke-width:1;stroke-dasharray:2 3}.point{fill:#3b7dd8}
"""
_DARK = ".hits{stroke:#5cc98a}.stale,.allowed{stroke:#f07a8c}.band{fill:#f07a8c}"


def render_cache_picture(
    name: str, said: str, points: Sequence[TtlPoint], *, chosen_ttl_s: float | None, allowed: float
) -> str | None:
    """A picture of one operation; None where fewer than two TTLs can be drawn.

    `said`: what it came to. Hits are read off the left axis, staleness with the interval of its
    share off the right one, which ends where staleness has long been too much. TTLs of 0 and
    without end have no place on a logarithmic axis.
    """
    drawn = sorted(
        (p for p in points if 0 < p.ttl_s < math.inf and p.requests), key=lambda p: p.ttl_s
    )
    if len(drawn) < 2:
        return None
    judged = [p for p in drawn if p.staleness.judged]
    most = _top(max((p.staleness.share.value for p in judged), default=0.0), allowed)
    low, high = math.log(drawn[0].ttl_s), math.log(drawn[-1].ttl_s)

    def x(ttl_s: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (math.log(ttl_s) - low) / (high - low)

    def y_hits(ratio: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * ratio

    def y_stale(ratio: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * min(ratio, most) / most

    body = [
        *(_level(share, y_hits, most) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        *(_tick(p.ttl_s, x) for p in _spread(drawn, x)),
        *_band(judged, x, y_stale),
        f'<line class="allowed" x1="{_LEFT}" x2="{_RIGHT}" y1="{y_stale(allowed):.1f}" '
        f'y2="{y_stale(allowed):.1f}"/>',
        curve("hits", [(x(p.ttl_s), y_hits(p.hit_ratio)) for p in drawn]),
        curve("stale", [(x(p.ttl_s), y_stale(p.staleness.share.value)) for p in judged]),
        *_chosen(drawn, chosen_ttl_s, x, y_hits),
        *_legend(allowed, with_chosen=chosen_ttl_s is not None),
    ]
    return framed(name, said, body, style=_STYLE, dark=_DARK)


def _top(stale: float, allowed: float) -> float:
    """Where the axis of staleness ends: at all there is, but not beyond ten times what is allowed,
    where the bound itself could no longer be seen."""
    wanted = max(2 * allowed, min(stale, 10 * allowed), 0.001)
    for step in (0.001, 0.002, 0.004, 0.01, 0.02, 0.04, 0.1, 0.2, 0.4):
        if step >= wanted:
            return step
    return 1.0


def _level(share: float, y: _Scale, most: float) -> str:
    at = y(share)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="small" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{share:.0%}</text>'
        f'<text class="small" x="{_RIGHT + 6}" y="{at + 4:.1f}">{100 * share * most:.3g} %</text>'
    )


def _spread(points: Sequence[TtlPoint], x: _Scale) -> list[TtlPoint]:
    """Those TTLs that can be written below the axis without touching."""
    told: list[TtlPoint] = []
    for point in points:
        if not told or x(point.ttl_s) - x(told[-1].ttl_s) >= 54:
            told.append(point)
    return told


def _tick(ttl_s: float, x: _Scale) -> str:
    return (
        f'<line class="axis" x1="{x(ttl_s):.1f}" x2="{x(ttl_s):.1f}" y1="{_BOTTOM}" '
        f'y2="{_BOTTOM + 4}"/><text class="small" x="{x(ttl_s):.1f}" y="{_BOTTOM + 17}" '
        f'text-anchor="middle">{lifetime(ttl_s)}</text>'
    )


def _band(judged: Sequence[TtlPoint], x: _Scale, y: _Scale) -> list[str]:
    if len(judged) < 2:
        return []
    upper = [(x(p.ttl_s), y(p.staleness.share.high)) for p in judged]
    lower = [(x(p.ttl_s), y(p.staleness.share.low)) for p in reversed(judged)]
    path = " ".join(f"{at:.1f},{height:.1f}" for at, height in [*upper, *lower])
    return [f'<polygon class="band" points="{path}"/>']


def _chosen(points: Sequence[TtlPoint], ttl_s: float | None, x: _Scale, y: _Scale) -> list[str]:
    found = [p for p in points if p.ttl_s == ttl_s]
    if not found:
        return []
    at = x(found[0].ttl_s)
    return [
        f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>',
        f'<circle class="point" cx="{at:.1f}" cy="{y(found[0].hit_ratio):.1f}" r="5"/>',
    ]


def _legend(allowed: float, *, with_chosen: bool) -> list[str]:
    told = [
        ("hits", "hits (left)"),
        ("stale", "stale hits (right)"),
        ("allowed", f"allowed: {100 * allowed:g} %"),
    ]
    if with_chosen:
        told.append(("mark", "TTL chosen"))
    return [
        f'<line class="{name}" x1="{_LEFT + 165 * n}" x2="{_LEFT + 165 * n + 26}" y1="284" '
        f'y2="284"/><text x="{_LEFT + 165 * n + 32}" y="288">{words}</text>'
        for n, (name, words) in enumerate(told)
    ]

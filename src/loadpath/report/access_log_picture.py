"""What a cache could answer, by an access log: hits against TTL and against size. SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadpath.caching.logs.judge import LogFindings
from loadpath.figures import data_size, lifetime
from loadpath.report.drawing import curve, framed, text

_TOP, _BOTTOM = 76, 240
_PANELS = ((62, 360), (436, 734))
_STYLE = ".hits{fill:none;stroke:#2e7d4f;stroke-width:2}.point{fill:#2e7d4f}"
_DARK = ".hits{stroke:#5cc98a}.point{fill:#5cc98a}"
_APART = 46
"""Pixels that the words of one mark below the axis take."""


def render_log_picture(found: LogFindings, name: str) -> str | None:
    """A picture of all operations together; None where there are too few points for a curve."""
    ttls = [(p.ttl_s, p.hit_ratio) for p in found.all.by_ttl if p.ttl_s is not None]
    sizes = [(float(p.size_bytes), p.hit_ratio) for p in found.all.by_size]
    if len(ttls) < 2 or len(sizes) < 2:
        return None
    said = "hits of GET and HEAD, at most: a log cannot tell how stale they would be"
    body = [
        *_panel(0, "TTL, room for everything", ttls, [lifetime(ttl_s) for ttl_s, _ in ttls]),
        *_panel(1, "size (LRU), no TTL", sizes, [data_size(size) for size, _ in sizes]),
    ]
    return framed(name, said, body, style=_STYLE, dark=_DARK)


def _panel(
    place: int, heading: str, points: Sequence[tuple[float, float]], names: Sequence[str]
) -> list[str]:
    left, right = _PANELS[place]
    low, high = math.log(points[0][0]), math.log(points[-1][0])
    drawn = [
        (
            left + (right - left) * (math.log(value) - low) / (high - low),
            _BOTTOM - (_BOTTOM - _TOP) * ratio,
        )
        for value, ratio in points
    ]
    out = [f'<text class="small" x="{left}" y="{_TOP - 10}">{text(heading)}</text>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = _BOTTOM - (_BOTTOM - _TOP) * share
        out.append(
            f'<line class="grid" x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="small" x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{share:.0%}'
            "</text>"
        )
    told = -math.inf
    for (x, y), name in zip(drawn, names, strict=True):
        out.append(f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        if x - told >= _APART:
            told = x
            out.append(
                f'<text class="small" x="{x:.1f}" y="{_BOTTOM + 17}" text-anchor="middle">'
                f"{text(name)}</text>"
            )
    return [*out, curve("hits", drawn)]

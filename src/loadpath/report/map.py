"""The map of a service as a picture: operations, what their time goes to, widths by time. SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import msgspec

from loadpath.experiment.attribution import LoadPath
from loadpath.figures import ms
from loadpath.report.outside import strip_controls

INSIDE = "the service itself"

_WIDTH = 760
_LEFT, _RIGHT = 270, 520  # where the bands begin and end
_NODE = 10
_GAP = 16
_TOP = 58
_BAND_MIN = 1.5
_ROW_MIN = 30  # two lines of text must fit beside each node
_COLORS = ("#3b7dd8", "#d9822b", "#2e9c6a", "#a05ab5", "#c2455a", "#6b8e23", "#1f9db0")
_INSIDE_COLOR = "#8a94a0"
_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2933}
.small{font-size:11px;fill:#5b6773}.title{font-size:15px;font-weight:600}
.node{fill:#5b6773}.band{fill-opacity:.5}.band:hover{fill-opacity:.8}
@media (prefers-color-scheme:dark){text{fill:#e6ebf0}.small{fill:#a3b0bc}.node{fill:#a3b0bc}}
"""


class _Node(msgspec.Struct):
    """A bar on one side: `size` in seconds per average request, `top` and `height` in pixels."""

    name: str
    note: str
    size: float = 0.0
    top: float = 0.0
    height: float = 0.0
    used: float = 0.0


def render_map(service: str, paths: Sequence[LoadPath], weights: Mapping[str, float]) -> str:
    """A picture of how the time of the workload's average request divides over the dependencies.

    `weights` are the operations' shares of the mix; one that is missing counts 1. The width of a
    band is the share of the mix's time that one operation waits for one dependency.
    """
    flows = _flows(paths, weights)
    left = {
        path.operation: _Node(path.operation, f"{ms(path.response_time_s)} a request")
        for path in paths
    }
    names = dict.fromkeys(destination for _, destination in flows)
    right = {name: _Node(name, "") for name in sorted(names, key=lambda each: each == INSIDE)}
    total = sum(flows.values()) or 1.0
    for (operation, destination), size in flows.items():
        left[operation].size += size
        right[destination].size += size
    for node in right.values():
        node.note = f"{node.size / total:.0%} of the time"
    height = max(_laid_out(list(left.values()), total), _laid_out(list(right.values()), total))
    colors = dict(zip([n for n in right if n != INSIDE], _cycle(len(right)), strict=False))
    title = escape(f"Load paths of {strip_controls(service)}")
    body = [
        *(
            _band(left[operation], right[destination], size, total, colors.get(destination))
            for (operation, destination), size in flows.items()
        ),
        *(_bar(node, _LEFT - _NODE, anchor="end") for node in left.values()),
        *(_bar(node, _RIGHT, anchor="start") for node in right.values()),
    ]
    said = "; ".join(f"{node.name}: {node.note}" for node in right.values())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" '
            f'width="{_WIDTH}" height="{height:.0f}" role="img" aria-labelledby="t d">',
            f'<title id="t">{title}</title><desc id="d">{_text(said)}</desc>',
            f"<style>{_STYLE}</style>",
            f'<text class="title" x="14" y="24">{title}</text>',
            '<text class="small" x="14" y="41">What the time of a request goes to, each operation '
            "probed alone and weighted by its share of the mix</text>",
            *body,
            "</svg>",
            "",
        ]
    )


def _flows(paths: Sequence[LoadPath], weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """(operation, destination) → seconds per average request of the mix."""
    total = sum(weights.get(path.operation, 1.0) for path in paths) or 1.0
    flows: dict[tuple[str, str], float] = {}
    for path in paths:
        share = weights.get(path.operation, 1.0) / total
        for use in path.uses:
            flows[path.operation, use.dependency] = share * use.time_s
        flows[path.operation, INSIDE] = share * path.inside_s
    return flows


def _laid_out(nodes: list[_Node], total: float) -> float:
    """Stack the bars of one side; returns where they end."""
    top = float(_TOP)
    for node in nodes:
        node.top = top
        node.height = max(_BAND_MIN, _pixels(node.size, total))
        top += max(node.height, _ROW_MIN) + _GAP
    return top + 4


def _pixels(size: float, total: float) -> float:
    return 260.0 * size / total


def _band(left: _Node, right: _Node, size: float, total: float, color: str | None) -> str:
    thick = max(_BAND_MIN, _pixels(size, total))
    y0, y1 = left.top + left.used, right.top + right.used
    left.used += _pixels(size, total)
    right.used += _pixels(size, total)
    middle = (_LEFT + _RIGHT) / 2
    said = f"{left.name} → {right.name}: {size / total:.1%} of the mix's time"
    return (
        f'<path class="band" fill="{color or _INSIDE_COLOR}" d="M{_LEFT},{y0:.1f} '
        f"C{middle},{y0:.1f} {middle},{y1:.1f} {_RIGHT},{y1:.1f} "
        f"L{_RIGHT},{y1 + thick:.1f} C{middle},{y1 + thick:.1f} {middle},{y0 + thick:.1f} "
        f'{_LEFT},{y0 + thick:.1f} Z"><title>{_text(said)}</title></path>'
    )


def _bar(node: _Node, x: float, *, anchor: str) -> str:
    at = x - 8 if anchor == "end" else x + _NODE + 8
    name = strip_controls(node.name)
    shown = name if len(name) <= 34 else name[:33] + "…"
    return (
        f'<rect class="node" x="{x}" y="{node.top:.1f}" width="{_NODE}" '
        f'height="{node.height:.1f}" rx="2"><title>{_text(name)}</title></rect>'
        f'<text x="{at}" y="{node.top + 11:.1f}" text-anchor="{anchor}">{_text(shown)}</text>'
        f'<text class="small" x="{at}" y="{node.top + 26:.1f}" text-anchor="{anchor}">'
        f"{_text(node.note)}</text>"
    )


def _cycle(count: int) -> list[str]:
    return [_COLORS[n % len(_COLORS)] for n in range(count)]


def _text(text: str) -> str:
    return escape(strip_controls(text))

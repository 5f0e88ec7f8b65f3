"""What all pictures share: the frame, its title and description, text from outside, curves. SVG.

A picture stands alone: it names no file, follows the reader's color scheme, and says in words
(`desc`) what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from loadpath.report.outside import strip_controls

WIDTH, HEIGHT = 760, 300
_STYLE = """
text{font:12px system-ui,sans-serif;fill:#1f2933}
.title{font-size:15px;font-weight:600}.small{font-size:11px;fill:#5b6773}
.axis{stroke:#9aa5b1;stroke-width:1}.grid{stroke:#9aa5b1;stroke-opacity:.25}
.mark{stroke:#3b7dd8;stroke-width:1.5;stroke-dasharray:2 3}
"""
_SUBTITLE_MAX = 118


def framed(
    title: str,
    said: str,
    body: Sequence[str],
    *,
    style: str,
    dark: str,
    more: str = "",
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> str:
    """A whole picture: title and what it came to above, and below that `more`; then `body`.

    `style` and `dark` (on a dark background) are rules of CSS for what the body draws.
    """
    width, height = size
    name = text(title)
    whole = f"{said} · {more}" if more else said
    rules = f"{_STYLE}{style}\n@media (prefers-color-scheme:dark){{svg{{background:#14191f}}"
    rules += f"text{{fill:#e6ebf0}}.small{{fill:#a3b0bc}}{dark}}}\n"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="t d">',
            f'<title id="t">{name}</title><desc id="d">{text(whole)}</desc>',
            f"<style>{rules}</style>",
            f'<text class="title" x="14" y="24">{name}</text>',
            *(
                f'<text class="small" x="14" y="{y}">{text(_shown(each))}</text>'
                for each, y in ((said, 42), (more, 57))
                if each
            ),
            *body,
            "</svg>",
            "",
        ]
    )


def _shown(said: str) -> str:
    return said if len(said) <= _SUBTITLE_MAX else said[: _SUBTITLE_MAX - 1] + "…"


def text(said: str) -> str:
    """Text from outside, as it may stand in a picture."""
    return escape(strip_controls(said))


def curve(name: str, points: Sequence[tuple[float, float]]) -> str:
    """A line of class `name` through points, in pixels."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{name}" points="{path}"/>'

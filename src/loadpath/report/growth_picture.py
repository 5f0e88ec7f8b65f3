"""A statement's work against the size of the data, both on logarithmic scales. SVG."""

from __future__ import annotations

import math
from collections.abc import Callable

from loadpath.experiment.attribution.short import short_shape
from loadpath.questions.growth_figures import StatementGrowth
from loadpath.report.drawing import curve, framed
from loadpath.statements.course import Course

_WIDTH, _HEIGHT = 560, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 540, 66, 268
_STYLE = """
.mean{fill:none;stroke:#3b7dd8;stroke-width:2.5}.set{fill:#3b7dd8;fill-opacity:.35}
.linear{fill:none;stroke:#5b6773;stroke-width:1;stroke-dasharray:4 4}
"""
_DARK = ".mean{stroke:#6ea8ff}.set{fill:#6ea8ff}.linear{stroke:#a3b0bc}"


def render_growth(each: StatementGrowth) -> str | None:
    """A picture of one statement: the mean over its parameters as a line, each as a dot, and
    dashed what growth in proportion would be. None where it did not run at two sizes."""
    course = each.course
    if course is None:
        return None
    most = _decade(_most(course), up=True)
    least = _decade(_least(course), up=False)
    times_max = course.last.times

    def x(times: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * math.log(times) / math.log(times_max)

    def y(pages: float) -> float:
        share = math.log(max(pages, least) / least) / math.log(most / least)
        return _BOTTOM - (_BOTTOM - _TOP) * min(share, 1.0)

    proportional = min(times_max, most / max(course.first.buffers, 1.0))
    dots = [
        f'<circle class="set" cx="{x(times):.1f}" cy="{y(pages):.1f}" r="3.5"/>'
        for times, values in course.by_set.items()
        for pages in values
        if pages is not None
    ]
    body = [
        *_levels(least, most, y),
        *(
            f'<line class="axis" x1="{x(p.times):.1f}" x2="{x(p.times):.1f}" y1="{_BOTTOM}" '
            f'y2="{_BOTTOM + 4}"/><text class="small" x="{x(p.times):.1f}" '
            f'y="{_BOTTOM + 18}" text-anchor="middle">{p.times} ×</text>'
            for p in course.points
        ),
        f'<text class="small" x="{(_LEFT + _RIGHT) / 2}" y="{_BOTTOM + 38}" '
        f'text-anchor="middle">{course.axis}</text>',
        f'<path class="linear" d="M{x(1):.1f},{y(course.first.buffers):.1f} '
        f'L{x(proportional):.1f},{y(course.first.buffers * proportional):.1f}"/>',
        *dots,
        curve("mean", [(x(p.times), y(p.buffers)) for p in course.points]),
    ]
    title = short_shape(each.shape, 70)
    size = (_WIDTH, _HEIGHT)
    return framed(title, _said(each, course), body, style=_STYLE, dark=_DARK, size=size)


def _said(each: StatementGrowth, course: Course) -> str:
    first, last = course.first, course.last
    said = f"{first.buffers:,.0f} → {last.buffers:,.0f} pages at {last.times} × {course.axis}"
    if course.pages is not None:
        said += f", exponent {course.pages.value:.2f}"
    kinds = ", ".join(finding.kind.replace("_", " ") for finding in each.findings)
    return f"{said} · {kinds}" if kinds else said


def _values(course: Course) -> list[float]:
    of_sets = [v for values in course.by_set.values() for v in values if v is not None]
    return [*of_sets, *(point.buffers for point in course.points)]


def _most(course: Course) -> float:
    return max([10.0, *_values(course)])


def _least(course: Course) -> float:
    return min([1e9, *(max(1.0, value) for value in _values(course))])


def _decade(value: float, *, up: bool) -> float:
    power = math.log10(max(value, 1.0))
    return float(10 ** (math.ceil(power + 1e-9) if up else math.floor(power)))


def _levels(least: float, most: float, y: Callable[[float], float]) -> list[str]:
    found = []
    level = least
    while level <= most * 1.001:
        at = y(level)
        found.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="small" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">'
            f"{level:,.0f} page{'' if level == 1 else 's'}</text>"
        )
        level *= 10
    return found

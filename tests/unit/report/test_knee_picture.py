"""Response time against load as a picture."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from loadpath.answer import Interval
from loadpath.experiment.mixknee import LoadPoint
from loadpath.report.knee_picture import render_knee_picture

SVG = "{http://www.w3.org/2000/svg}"


def point(rate: float, stretch: float, *, disturbed: bool = False) -> LoadPoint:
    met = None if 0.95 < stretch < 1.05 else stretch < 1
    return LoadPoint(rate_per_s=rate, stretch=stretch, met=met, disturbed=disturbed)


def drawn(points: list[LoadPoint], knee: Interval | None = None) -> ET.Element:
    picture = render_knee_picture(
        "misses at 220/s <b>", points, knee=knee, today_per_s=20.0, limit="the limit of p99"
    )
    assert picture is not None
    return ET.fromstring(picture)


def circles(root: ET.Element) -> list[tuple[str, float, float]]:
    """Those that stand for a load: class, x, y."""
    found = [c for c in root.iter(f"{SVG}circle") if c.find(f"{SVG}title") is not None]
    return [(c.attrib["class"], float(c.attrib["cx"]), float(c.attrib["cy"])) for c in found]


def test_more_load_is_to_the_right_and_slower_is_higher() -> None:
    root = drawn([point(240, 2.2), point(20, 0.2), point(200, 0.8), point(220, 1.0)])
    kinds, xs, ys = zip(*circles(root), strict=True)
    assert kinds == ("met", "met", "unknown", "missed")
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)
    limit = next(line for line in root.iter(f"{SVG}line") if line.attrib["class"] == "limit")
    assert float(limit.attrib["y1"]) == pytest.approx(ys[2])


def test_the_knee_is_shaded_over_its_interval_even_one_without_end() -> None:
    loads = [point(100, 0.3), point(300, 2.0)]
    for high in (240.0, math.inf):
        root = drawn(loads, Interval(220.0, 200.0, high, 0.95, "by hand", 3))
        band = next(r for r in root.iter(f"{SVG}rect") if r.attrib["class"] == "knee")
        (_, below, _), (_, above, _) = circles(root)
        left = float(band.attrib["x"])
        assert below < left < above
        assert left + float(band.attrib["width"]) < 760


def test_what_was_disturbed_is_pale_and_no_part_of_the_line() -> None:
    root = drawn([point(100, 0.3), point(200, 0.6), point(150, 4.0, disturbed=True)])
    assert "missed disturbed" in [kind for kind, _, _ in circles(root)]
    line = next(p for p in root.iter(f"{SVG}polyline") if p.attrib["class"] == "held")
    assert len(line.attrib["points"].split()) == 2


@pytest.mark.parametrize("points", [[], [point(10, 1.0)], [point(10, math.inf), point(20, 0.5)]])
def test_too_little_is_not_drawn(points: list[LoadPoint]) -> None:
    assert render_knee_picture("", points, knee=None, today_per_s=None, limit="") is None

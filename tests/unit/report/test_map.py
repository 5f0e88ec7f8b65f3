"""The picture of a service's load paths."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from loadpath.experiment.attribution import DependencyUse, LoadPath
from loadpath.report.map import render_map

SVG = "{http://www.w3.org/2000/svg}"


def path(operation: str, inside_s: float = 0.001, **uses_s: float) -> LoadPath:
    return LoadPath(
        operation=operation,
        visits=5,
        response_time_s=inside_s + sum(uses_s.values()),
        inside_s=inside_s,
        calls=(),
        uses=tuple(
            DependencyUse(dependency=name, calls=1.0, time_s=time_s, first_use_s=0.0, held_s=time_s)
            for name, time_s in uses_s.items()
        ),
        suspicions=(),
    )


def titles(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}title")]


def test_every_use_is_a_band_with_its_share_of_the_mixs_time() -> None:
    svg = render_map("shop", [path("GET /a", database=0.003), path("GET /b", cache=0.001)], {})
    said = titles(svg)
    assert "GET /a → database: 50.0% of the mix's time" in said
    assert "GET /b → cache: 16.7% of the mix's time" in said
    assert "GET /b → the service itself: 16.7% of the mix's time" in said


def test_weights_are_those_of_the_mix() -> None:
    svg = render_map(
        "shop",
        [path("GET /a", 0.0, database=0.001), path("GET /b", 0.0, cache=0.001)],
        {"GET /a": 9},
    )
    assert "GET /a → database: 90.0% of the mix's time" in titles(svg)


def test_a_band_is_as_wide_as_its_share() -> None:
    svg = render_map("shop", [path("GET /a", 0.001, database=0.003)], {})
    widths = [
        float(low) - float(high) for high, low in re.findall(r"520,([\d.]+) L520,([\d.]+)", svg)
    ]
    assert widths == pytest.approx([195, 65], abs=0.11)


def test_names_from_outside_stay_text() -> None:
    svg = render_map("<script>", [path('GET /"><script>alert(1)</script>')], {})
    assert "<script>" not in svg
    ElementTree.fromstring(svg)


def test_a_service_that_asks_nobody_anything_still_has_a_picture() -> None:
    said = titles(render_map("shop", [path("GET /a")], {}))
    assert "GET /a → the service itself: 100.0% of the mix's time" in said

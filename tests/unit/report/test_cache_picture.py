"""The picture of a cache's TTLs shows what was found; what came from outside is text in it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np

from loadpath.caching.staleness import TtlPoint, ttl_curve
from loadpath.caching.stream import make_stream
from loadpath.report.cache_picture import render_cache_picture

SVG = "{http://www.w3.org/2000/svg}"


def curve() -> tuple[TtlPoint, ...]:
    rng = np.random.default_rng(1)
    at_s = np.sort(rng.uniform(0, 300, 4000))
    key = rng.zipf(1.5, 4000) % 90
    stream = make_stream(at_s, key, digest=(at_s / 100).astype(int))
    return ttl_curve(stream, [0, 1, 3, 10, 30, 100, 300, float("inf")])


def test_it_draws_both_curves_over_the_ttls_and_marks_the_chosen_one() -> None:
    points = curve()
    drawn = render_cache_picture("GET /a", "yes", points, chosen_ttl_s=10.0, allowed=0.01)
    assert drawn is not None
    root = ET.fromstring(drawn)
    lines = {e.get("class"): e for e in root.iter(f"{SVG}polyline")}
    hits = [tuple(map(float, p.split(","))) for p in (lines["hits"].get("points") or "").split()]
    assert len(hits) == 6  # neither 0 nor no end
    assert [x for x, _ in hits] == sorted(x for x, _ in hits)
    assert [y for _, y in hits] == sorted((y for _, y in hits), reverse=True)
    mark = next(e for e in root.iter(f"{SVG}circle"))
    assert (float(mark.get("cx") or 0), float(mark.get("cy") or 0)) == hits[2]
    said = [e.text for e in root.iter(f"{SVG}text")]
    assert {"1 s", "100 s", "5 min", "allowed: 1 %", "TTL chosen"} <= set(said)


def test_names_from_outside_are_text() -> None:
    drawn = render_cache_picture(
        "<script>\x1b[31m", "a & b", curve(), chosen_ttl_s=None, allowed=0.01
    )
    assert drawn is not None
    root = ET.fromstring(drawn)
    assert not list(root.iter(f"{SVG}script"))
    assert not list(root.iter(f"{SVG}circle"))
    assert "\x1b" not in drawn


def test_where_one_ttl_was_looked_at_there_is_nothing_to_draw() -> None:
    assert render_cache_picture("a", "", curve()[:2], chosen_ttl_s=None, allowed=0.01) is None

"""The picture of a fault: drawn to scale from what was counted, and safe to show."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import msgspec
import pytest

from loadpath.answer import Interval
from loadpath.experiment.crash.backlog import Waiting
from loadpath.experiment.crash.outcome import Outcome, Picture
from loadpath.recording import FaultRecord, OutageRecord
from loadpath.report.timeline import render_timeline

FAULT = FaultRecord(
    segment=1,
    name="database stopped, for 2s",
    target="database",
    layer="process",
    summary="",
    onset_s=10.0,
    healed_s=12.0,
    hits=4,
    proof="4 processes seen stopped",
)
PICTURE = Picture(
    bin_s=0.05,
    due=(5,) * 200,
    good=(5,) * 40 + (0,) * 40 + (5,) * 120,
    failed=(0,) * 40 + (5,) * 40 + (0,) * 120,
    onset_s=2.0,
    healed_s=4.0,
    recovered_s=4.5,
)


def outcome(**changes: Any) -> Outcome:
    return Outcome(
        **{
            "fault": FAULT,
            "requests": 1000,
            "rate_per_s": 100.0,
            "control_bad_ratio": 0.0,
            "course": None,
            "operations": (),
            "worse": (),
            "goodput_ratio": 1.0,
            "picture": PICTURE,
            **changes,
        }
    )


def drawn(**changes: Any) -> str:
    svg = render_timeline(outcome(**changes), "3 hang")
    assert svg is not None
    ET.fromstring(svg)
    return svg


def points(svg: str, name: str) -> list[tuple[float, float]]:
    found = re.search(rf'<polyline class="{name}" points="([^"]*)"', svg)
    assert found
    return [tuple(map(float, each.split(","))) for each in found[1].split()]  # type: ignore[misc]


def test_goodput_falls_to_nothing_while_the_fault_is_shaded() -> None:
    svg = drawn()
    shaded = re.search(r'class="fault" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    assert shaded
    begin, width = float(shaded[1]), float(shaded[2])
    good = points(svg, "good")
    base = max(y for _, y in points(svg, "failed"))
    inside = [y for x, y in good if begin + 10 < x < begin + width - 10]
    outside = [y for x, y in good if x < begin - 10 or x > begin + width + 10]
    assert inside
    assert all(y == base for y in inside)
    # 100 a second are drawn as high as the axis says, and no higher than what was due.
    assert all(y == pytest.approx(min(y for _, y in points(svg, "due"))) for y in outside)
    assert ">100/s<" in svg


def test_recovery_is_marked_where_it_was_and_only_if_it_was() -> None:
    svg = drawn()
    mark = re.search(r'class="mark" x1="([\d.]+)"', svg)
    shaded = re.search(r'class="fault" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    assert mark
    assert shaded
    heal = float(shaded[1]) + float(shaded[2])
    assert float(mark[1]) == pytest.approx(heal + 0.5 / 10 * (744 - 62), abs=0.2)
    never = drawn(picture=msgspec.structs.replace(PICTURE, recovered_s=None))
    assert "back to normal" not in never


def test_a_fault_that_never_healed_is_shaded_to_the_end() -> None:
    svg = drawn(picture=msgspec.structs.replace(PICTURE, healed_s=None, recovered_s=None))
    shaded = re.search(r'class="fault" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    assert shaded
    assert float(shaded[1]) + float(shaded[2]) == pytest.approx(744)


def test_what_was_foretold_stands_below_what_was_seen() -> None:
    told = Interval(200.0, 180.0, 220.0, 0.9, "fluid", 1)
    foretold = OutageRecord(segment=1, fault=FAULT.name, manner="waits", waiting=told)
    waiting = Waiting(usual=1.0, usual_most=2, usual_high=4, most=190, retries=0, drained_s=0.4)
    svg = drawn(foretold=foretold, waiting=waiting)
    assert "foretold: 200 (180 to 220) requests waiting at most" in svg
    assert "measured 190" in svg


def test_without_requests_there_is_nothing_to_draw() -> None:
    assert render_timeline(outcome(picture=None), "") is None
    nothing = msgspec.structs.replace(PICTURE, due=(), good=(), failed=())
    assert render_timeline(outcome(picture=nothing), "") is None


def test_names_from_outside_are_escaped() -> None:
    name = 'database locked <b> rows a < 1 & b > "c"'
    svg = drawn(fault=msgspec.structs.replace(FAULT, name=name))
    assert "<b>" not in svg
    assert "&lt;b&gt;" in svg

"""`loadpath ask crash`: planted flaws are found and named, their clean twin is not accused.

Once each and briefly; `make acceptance` does all of them many times.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

Place = Any

_FILE = Path(__file__).parents[1] / "flawed" / "flaws.py"
_SPEC = importlib.util.spec_from_file_location("flaws", _FILE)
assert _SPEC is not None and _SPEC.loader is not None
flaws: Any = importlib.util.module_from_spec(_SPEC)
sys.modules["flaws"] = flaws
_SPEC.loader.exec_module(flaws)

TOGETHER = ("not idempotent", "hard cache")
"""Flaws that one service may have at once, each found by a fault of its own."""

ALONE = "early acknowledgement"
BRIEFLY = ("--duration", "2")
"""Long enough for what these faults do at once."""


def asked(place: Place, *names: str, planted: bool) -> Any:
    """The answer about a service with those flaws, or its clean twin, and the exit code."""
    first, *others = names
    flaws.write_folder(place.folder, flaws.FLAWS[first], planted=planted, beside=others)
    words = [word for name in names for word in ("--faults", flaws.FLAWS[name].fault)]
    ended = place.run("ask", "crash", "--json", "-q", *BRIEFLY, *words)
    assert "Traceback" not in ended.err, ended
    assert place.left_in_the_end() == []
    return json.loads(ended.out)["answers"][0], ended.code


@pytest.mark.parametrize("names", [(ALONE,), TOGETHER], ids=" and ".join)
def test_planted_flaws_are_found_and_named(place: Place, names: tuple[str, ...]) -> None:
    answer, code = asked(place, *names, planted=True)
    findings = answer["figures"]["findings"]
    for name in names:
        flaw = flaws.FLAWS[name]
        found = {each["harm"] for each in findings if each["fault"] == flaw.fault}
        assert flaw.harm in found, answer
    # The worst is claimed: something lost, or done twice.
    worst = flaws.FLAWS[names[0]]
    assert worst.fault in answer["claim"]
    assert worst.harm in ("lost", "duplicated")
    assert code == 1
    pictures = place.folder / ".loadpath" / "runs" / "latest" / "pictures"
    assert len(list(pictures.glob("0*-*.svg"))) == len(names)


def test_the_clean_twin_is_accused_of_nothing_and_loses_nothing(place: Place) -> None:
    answer, code = asked(place, *TOGETHER, ALONE, planted=False)
    assert answer["figures"]["findings"] == [], answer
    faults = answer["figures"]["faults"]
    judged = [each["writes"] for each in faults]
    for writes in judged:
        # What became of each that was acknowledged is known of most: some are asked for too late.
        assert writes["acknowledged"] > writes["unknown"]
        assert writes["lost"] == writes["duplicates"] == writes["unexpected"] == 0
        assert writes["stale"] == writes["disordered"] == 0
        assert writes["state"] == ("unknown" if writes["unknown"] else "held")
    assert [each["fault"]["hits"] > 0 for each in faults] == [True] * 3
    assert [each["fault"]["failed"] + each["fault"]["ended"] for each in faults] == [""] * 3
    # How soon it comes back, and whether its control is clean, others on this machine have a say
    # in; the answer tells when they had, and then doubts: it never accuses.
    doubts = {check["name"] for check in answer["validity"] if not check["passed"]}
    assert doubts <= {"nothing else ran", "control run"}
    assert doubts or all(each["came_back"] and each["goodput_ratio"] > 0.9 for each in faults)
    assert answer["state"] == ("inconclusive" if doubts else "confirmed")
    assert answer["objectives_met"] is (None if "control run" in doubts else True)
    assert code == (3 if doubts else 0)
    # An outage among them was foretold before it was made.
    assert set(answer["figures"]["outages"]) == {"cache killed, for 2s", "service killed"}
    again = place.run("report", "latest", "--json")
    assert json.loads(again.out)["answers"][0]["claim"] == answer["claim"]


def test_a_fault_that_cannot_be_done_is_refused_before_anything_starts(place: Place) -> None:
    flaws.write_folder(place.folder, flaws.FLAWS["no timeout"], planted=False)
    ended = place.run("ask", "crash", "--faults", "databse killed")
    assert ended.code == 2
    assert "did you mean database?" in ended.err
    assert not (place.folder / ".loadpath").exists()


def test_every_fault_is_explained(place: Place) -> None:
    ended = place.run("ask", "crash", "--list-faults")
    assert ended.code == 0
    assert "TARGET killed" in ended.out
    assert "drop ack after commit of UNIT" in ended.out

"""`loadpath ask crash`: planted flaws are found and named, their clean twin is not accused, and
nothing is left of a fault whatever ends Loadpath.

Once each and briefly; `make acceptance` does all of them many times.
"""

from __future__ import annotations

import importlib.util
import json
import signal
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

BRIEF = ("early acknowledgement", "not idempotent", "hard cache")
"""Flaws whose faults share a workload, so that one clean run answers for all of them."""


def asked(place: Place, flaw: Any, *faults: str, planted: bool) -> Any:
    """The answer about a service with that flaw, or its clean twin."""
    flaws.write_folder(place.folder, flaw, planted=planted)
    words = [word for fault in faults for word in ("--faults", fault)]
    ended = place.run("ask", "crash", "--json", "-q", *words)
    assert "Traceback" not in ended.err, ended
    assert place.left_in_the_end() == []
    answer = json.loads(ended.out)["answers"][0]
    return answer, ended.code


@pytest.mark.parametrize("name", BRIEF)
def test_a_planted_flaw_is_found_and_named(place: Place, name: str) -> None:
    flaw = flaws.FLAWS[name]
    answer, code = asked(place, flaw, flaw.fault, planted=True)
    found = {each["harm"]: each for each in answer["figures"]["findings"]}
    assert flaw.harm in found, answer
    assert flaw.fault in answer["claim"]
    assert code == (1 if flaw.harm in ("lost", "duplicated") else 0)
    pictures = place.folder / ".loadpath" / "runs" / "latest" / "pictures"
    assert len(list(pictures.glob("01-*.svg"))) == 1


def test_the_clean_twin_is_accused_of_nothing_and_loses_nothing(place: Place) -> None:
    faults = [flaws.FLAWS[name].fault for name in BRIEF]
    answer, _ = asked(place, flaws.FLAWS["not idempotent"], *faults, planted=False)
    assert answer["figures"]["findings"] == [], answer
    judged = [each["writes"] for each in answer["figures"]["faults"]]
    assert all(writes["lost"] == writes["duplicates"] == 0 for writes in judged)
    assert all(writes["acknowledged"] > writes["unknown"] for writes in judged)
    assert [each["fault"]["hits"] > 0 for each in answer["figures"]["faults"]] == [True] * 3
    again = place.run("report", "latest", "--json")
    assert json.loads(again.out)["answers"][0]["claim"] == answer["claim"]


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_fault_when_loadpath_is_ended_in_it(place: Place, sig: int) -> None:
    flaws.write_folder(place.folder, flaws.FLAWS["no timeout"], planted=False)
    fault = "database stopped, for 60s"
    started = place.start("ask", "crash", "--json", "--faults", fault)
    # A second after the last of these, every process of the database is stopped.
    started.until_event(event="PhaseStarted", phase=fault)
    failing = {"event": "LoadProgress", "phase": fault}
    started.until(
        lambda: any(failing.items() <= e.items() and e["errors"] for e in started.events())
    )
    ended = started.end(sig)
    assert place.left_in_the_end(20.0) == []
    assert "Traceback" not in ended.err


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

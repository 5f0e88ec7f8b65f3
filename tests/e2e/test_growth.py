"""`loadpath ask growth`: what grows is named with its operation, its clean twin is not accused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

Place = Any

GROWING = Path(__file__).parents[1] / "growing"
LIGHT = "workload.arrivals.open=20/s"
OPERATIONS = ("faulty/missing-index", "clean/missing-index", "faulty/notes", "clean/notes")


def hold_shop(place: Place) -> None:
    """The shop of planted faults, with so many of its operations."""
    ignored = shutil.ignore_patterns("__pycache__", ".loadpath", "loadpath.toml")
    shutil.copytree(GROWING, place.folder, ignore=ignored, dirs_exist_ok=True)
    head = (GROWING / "loadpath.toml").read_text().partition("\n[operations.")[0]
    keys = "keys = { zipf = 1.0, count = 400 }\n"
    asked = [
        f'[operations."GET /{name}/{{n}}"]\nrequest = "GET /{name}/{{n}}"\n{keys}'
        for name in OPERATIONS
    ]
    text = head.replace('"python ', f'"{sys.executable} ') + "\n" + "\n".join(asked)
    (place.folder / "loadpath.toml").write_text(text)


def test_what_grows_is_named_with_its_operation_and_no_twin_is_accused(place: Place) -> None:
    hold_shop(place)
    ended = place.run("ask", "growth", "--json", "-q", "--budget", "100", "--set", LIGHT)
    assert "Traceback" not in ended.err, ended
    assert ended.code == 0, ended
    answer = json.loads(ended.out)["answers"][0]
    (database,) = answer["figures"]["growth"]["databases"]
    found = {
        (name, finding["kind"])
        for statement in database["statements"]
        for finding in statement["findings"]
        for name in statement["operations"]
    }
    faulty = {(name, kind) for name, kind in found if "/clean/" not in name}
    assert ("GET /faulty/missing-index/{n}", "missing_index") in faulty
    assert ("GET /faulty/notes/{n}", "unbounded_list") in faulty
    assert ("GET /faulty/notes/{n}", "n_plus_one") in faulty
    assert found == faulty, "a clean twin is accused"
    pictures = place.folder / ".loadpath" / "runs" / "latest" / "pictures"
    assert list(pictures.glob("growth-01-*.svg"))
    again = place.run("report", "latest")
    assert "GROWTH" in again.out
    assert answer["claim"].split(":")[0] in again.out
    assert max(map(len, again.out.splitlines())) <= 80
    assert place.left_in_the_end() == []

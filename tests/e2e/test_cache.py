"""`loadpath ask cache`: what is planted is found and named, and its clean twins are not accused.

One short recording each; what is recommended is put in place by `make acceptance`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from loadpath.experiment.caching.outcome import OperationCache
from loadpath.report.schemas import schema_of

Place = Any

_FILE = Path(__file__).parents[1] / "cached" / "traps.py"
_SPEC = importlib.util.spec_from_file_location("traps", _FILE)
assert _SPEC is not None and _SPEC.loader is not None
traps: Any = importlib.util.module_from_spec(_SPEC)
sys.modules["traps"] = traps
_SPEC.loader.exec_module(traps)


@pytest.mark.parametrize("planted", [True, False])
def test_every_trap_is_found_and_no_twin_accused(place: Place, planted: bool) -> None:
    traps.write_folder(place.folder, planted=planted)
    ended = place.run("ask", "cache", "--json", "-q", "--budget", "10")
    assert "Traceback" not in ended.err, ended
    assert place.left_in_the_end() == []
    answer = json.loads(ended.out)["answers"][0]
    found = {each["operation"]: each for each in answer["figures"]["caches"]}
    accused = {
        name: {each["kind"] for each in cached["accusations"]} for name, cached in found.items()
    }
    wanted = {name: {kind} for name, kind in traps.TRAPS.items()} if planted else {}
    assert {name: kinds for name, kinds in accused.items() if kinds} == wanted
    assert found[traps.EDIT]["why"] == "it writes"
    assert ended.code == (1 if planted else 3)
    assert set(found[traps.PAGE]) == set(
        schema_of("cache")["$defs"]["OperationCache"]["properties"]
    )
    assert len(OperationCache.__struct_fields__) == len(found[traps.PAGE])
    if not planted:
        return
    again = place.run("report", "latest")
    assert "GET /account: the headers let a shared cache" in " ".join(again.out.split())
    assert max(map(len, again.out.splitlines())) <= 80
    pictures = place.folder / ".loadpath" / "runs" / "latest" / "pictures"
    assert list(pictures.glob("cache-*.svg"))

"""The examples do what they say: the script from nothing, the notebook on what that recorded."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import loadpath
from loadpath import library
from loadpath.experiment.verifying import VerifyDepth

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a known service, so that its recordings go with the test."""
    home = tmp_path_factory.mktemp("services")
    shutil.copy(CHECKOUT / "tests/known/service.py", home)
    ignored = shutil.ignore_patterns(".loadpath")
    return Path(shutil.copytree(CHECKOUT / "tests/known/cpu", home / "cpu", ignore=ignored))


@pytest.fixture(scope="module")
def recorded(service: Path) -> loadpath.Run:
    """What the library recorded of it, as briefly as it can."""
    with pytest.MonkeyPatch.context() as patch:
        with_python(patch)
        return loadpath.record(service, budget_s=15.0)


def with_python(patch: pytest.MonkeyPatch) -> None:
    """`python` is this one, and what verifies does so briefly."""
    brief = partial(VerifyDepth, warmup_s=0.5, hold_s=2.0, ramp_s=5.0)
    patch.setattr(library, "VerifyDepth", brief)
    patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def cells(notebook: Path) -> list[str]:
    read = json.loads(notebook.read_text("utf-8"))
    assert read["nbformat"] == 4
    return ["".join(c["source"]) for c in read["cells"] if c["cell_type"] == "code"]


def test_the_script_records_predicts_and_verifies(
    service: Path,
    recorded: loadpath.Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_python(monkeypatch)
    # Recorded once for both examples: the script's own call takes minutes.
    monkeypatch.setattr(loadpath, "record", lambda folder: recorded)
    scope: dict[str, Any] = {"__name__": "example"}
    exec(compile((EXAMPLES / "what_if.py").read_text("utf-8"), "what_if.py", "exec"), scope)
    scope["main"](str(service), "users x1.2", 1)
    said = capsys.readouterr().out
    assert "foretold: " in said
    assert "users x1.2" in said
    assert "Trust" in said


def test_the_cells_of_the_notebook_run_in_order_inside_a_running_loop(
    service: Path,
    recorded: loadpath.Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_python(monkeypatch)
    for name, value in {"FOLDER": service, "ROUNDS": 1}.items():
        monkeypatch.setenv(name, str(value))
    scope: dict[str, Any] = {}

    # The script's run is the newest, and leads to the one that has the model.
    assert loadpath.find_run(service) == recorded

    async def kernel() -> None:
        for cell in cells(EXAMPLES / "changes.ipynb"):
            exec(compile(cell, "cell", "exec"), scope)

    asyncio.run(kernel())
    assert set(scope["ratios"]) == {"users x1.2", "cores=1"}
    assert isinstance(scope["answer"], loadpath.Answer)
    assert scope["answer"].measurement is not None or scope["answer"].validity
    assert "users x1.2" in capsys.readouterr().out


def test_what_is_wrong_is_said_in_the_projects_own_words(tmp_path: Path) -> None:
    with pytest.raises(loadpath.LoadpathError, match=r"loadpath\.toml"):
        loadpath.record(tmp_path)
    with pytest.raises(loadpath.LoadpathError, match="expected questions among bottleneck"):
        loadpath.ask(CHECKOUT / "tests/known/cpu", "weather")

"""The public names: what there is, what importing it costs, and that type checkers know it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import loadpath

PACKAGE = Path(loadpath.__file__).parent

USES = """
import loadpath

def all_of_it(folder: str) -> str:
    run: loadpath.Run = loadpath.record(folder, budget_s=30)
    model: loadpath.Fitted = loadpath.fit(run)
    forecast: loadpath.Forecast = loadpath.predict(run, "users x2", model=model)
    prediction: loadpath.Prediction | None = forecast.prediction
    answer: loadpath.Answer = loadpath.verify(folder, "users x2", source=run, rounds=1)
    state: loadpath.State = answer.state
    measured: loadpath.Interval | None = answer.measurement
    answers: list[loadpath.Answer] = loadpath.ask(loadpath.load(folder), "bottleneck")
    return loadpath.render(answers)
"""

WRONG = """
import loadpath

loadpath.record(1)
loadpath.fit("folder")
loadpath.verify("folder", 5)
loadpath.nothing
"""


def test_every_public_name_is_there_and_no_other_is() -> None:
    names = set(loadpath.__all__)
    assert len(names) <= 25
    for name in names:
        assert getattr(loadpath, name) is not None
    assert names <= set(dir(loadpath))
    with pytest.raises(AttributeError, match="nothing"):
        loadpath.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_type_checkers_are_told_the_same_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text("utf-8"))
    told = {a.asname for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    told |= {n.target.id for n in tree.body if isinstance(n, ast.AnnAssign)}  # type: ignore[union-attr]
    assert told == set(loadpath.__all__)


def test_the_public_calls_are_typed(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(USES)
    wrong.write_text(WRONG)
    checkout = PACKAGE.parents[1]

    def check(file: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mypy", "--strict", str(file)]
        return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)

    assert check(right).returncode == 0, check(right).stdout
    said = check(wrong).stdout
    assert [n for n in (4, 5, 6, 7) if f"wrong.py:{n}: error" not in said] == [], said


@pytest.mark.parametrize("module", ["loadpath", "loadpath.cli.main"])
def test_importing_it_pays_for_no_model(module: str) -> None:
    program = f"import sys, {module}; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert {"numba", "scipy", "pyarrow", "loadpath.library", "loadpath.model"}.isdisjoint(loaded)

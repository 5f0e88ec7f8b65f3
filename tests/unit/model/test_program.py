"""Models that cannot be meant, and what is said of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadpath.errors import ConfigurationError
from loadpath.model import jit
from loadpath.model.network import Acquire, Attempt, Delay, Law, Maybe, Release, Serve, Spawn, Step
from loadpath.model.program import compile_model
from loadpath.model.simulate import OpenRate, simulate

from .models import constant, model, pool, station

MISTAKES: tuple[tuple[tuple[Step, ...], str], ...] = (
    ((Serve("gone", constant(1)),), "names 'gone', expected one of s"),
    ((Acquire("gone"),), "names 'gone', expected one of p"),
    ((Acquire("p"),), "ends without giving back p"),
    ((Release("p"),), "gives back 'p', which it does not hold"),
    ((Maybe(0.5, (Acquire("p"),)), Release("p")), "holds other pools after a Maybe's steps"),
    ((Acquire("p"), Spawn((Release("p"),)), Release("p")), "does not hold"),
    ((Attempt((Acquire("p"),), 1.0), Release("p")), "ends without giving back p"),
    ((Maybe(1.5, ()),), "probability is 1.5"),
    ((Attempt((), 0.0),), "timeout_s is 0.0, expected more than 0"),
    ((Attempt((), 1.0, 1, -1.0),), "backoff_s is -1.0"),
    ((Spawn((), 0.0),), "every is 0.0"),
    ((Acquire("p", patience_s=-1.0), Release("p")), "patience_s is -1.0"),
    ((Delay(constant(-1.0)),), "a law has -1.0"),
    ((Delay(Law(kind="empirical", mean_s=1.0)),), "no values_s"),
)


@pytest.mark.parametrize(("steps", "said"), MISTAKES, ids=lambda x: x if isinstance(x, str) else "")
def test_a_program_that_cannot_be_meant_is_told_by_its_operation(
    steps: tuple[Step, ...], said: str
) -> None:
    with pytest.raises(ConfigurationError, match="'visit'") as caught:
        compile_model(model(*steps, stations=(station(),), pools=(pool("p", 1),)))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cores": 0.0}, "cores: 0.0"),
        ({"stations": (station(servers=0),)}, "servers of station 's': 0"),
        ({"pools": (pool("p", 0),)}, "size of pool 'p': 0"),
        ({"stations": (station(), station())}, "two stations have the same name"),
        ({"programs": ()}, "weights of the programs"),
        ({"programs": model().programs * 257}, "257 operations, expected 256 at most"),
    ],
)
def test_a_model_that_cannot_be_meant_is_told(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        compile_model(msgspec.structs.replace(model(), **changed))


@pytest.mark.parametrize(
    "load", [{"rate_per_s": 0.0}, {"rate_per_s": float("inf")}, {"rate_per_s": -1.0}]
)
def test_a_load_must_be_more_than_nothing(load: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="expected more than 0"):
        simulate(model(Delay(constant(1))), OpenRate(**load))


def test_the_command_line_does_not_pay_for_the_compiler() -> None:
    """Importing numba takes longer than most commands."""
    commands = ", ".join(f"loadpath.cli.{name}" for name in ("main", "init", "check", "serve"))
    code = f"import sys, loadpath, {commands}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same() -> None:
    """A function without a file has no place for its cache, as one in a read-only folder has none
    when the user's own is not writable either."""
    names: dict[str, Any] = {}
    exec("def twice(x):\n    return 2 * x\n", names)
    assert jit.kept(names["twice"])(21) == 42


def test_what_was_kept_is_not_taken_once_another_file_of_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in jit.SOURCES:
        (tmp_path / name).write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    before = jit.digest()
    assert before == jit.digest()
    (tmp_path / "heap.py").write_text("x = 2\n", encoding="utf-8")
    assert jit.digest() != before


def test_every_file_that_is_compiled_is_looked_at() -> None:
    folder = Path(jit.__file__).parent
    compiled = {
        f.name for f in folder.glob("*.py") if "loadpath.model.jit import" in f.read_text("utf-8")
    }
    constants = {"program.py", "state.py", "jit.py"}
    assert set(jit.SOURCES) == compiled | constants

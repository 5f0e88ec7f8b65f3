"""Calls the command line in this process, and makes golden recordings importable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from loadpath.cli import main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "questions" / "golden"))


class Ended(msgspec.Struct, frozen=True):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def loadpath(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run `loadpath` with those words, nothing of the caller's environment set for it."""
    for name in ("NO_COLOR", "LOADPATH_TRACEBACK", "CI"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["loadpath", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, out, err)

    return run

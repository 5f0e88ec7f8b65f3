"""What `make acceptance` writes down: a result replaces its own row and leaves the others."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools/acceptance"
ORDER = ["install", "review", "test"]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOL))
    monkeypatch.delitem(sys.modules, "page", raising=False)
    return importlib.import_module("page")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOL))
    monkeypatch.delitem(sys.modules, "known", raising=False)
    return importlib.import_module("known")


def written(page: ModuleType, file: Path, title: str, seen: str) -> list[str]:
    """The rows of the page after that result."""
    line = page.row(title, "yes", seen, "2026-11-23", "abc", "2 cores")
    page.write(file, title, line, ORDER)
    return [row for row in file.read_text("utf-8").splitlines() if row.startswith("| ")][1:]


def test_a_result_takes_the_place_of_the_one_before_and_leaves_the_others(
    page: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "acceptance.md"
    file.write_text(f"by hand\n\n{page.BEGIN}\n\n{page.END}\n\nmore by hand\n", "utf-8")
    written(page, file, "test", "100 s")
    written(page, file, "install", "50 s")
    rows = written(page, file, "test", "90 s\nof | two")
    assert rows == [
        "| install | yes | 50 s | 2026-11-23 | abc | 2 cores |",
        "| test | yes | 90 s of ¦ two | 2026-11-23 | abc | 2 cores |",
    ]
    text = file.read_text("utf-8")
    assert text.startswith("by hand\n")
    assert text.endswith("\nmore by hand\n")


def test_a_page_without_its_marks_is_not_overwritten(page: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "acceptance.md"
    file.write_text("by hand\n", "utf-8")
    with pytest.raises(SystemExit, match="expected a table between"):
        written(page, file, "test", "100 s")
    assert file.read_text("utf-8") == "by hand\n"


def test_a_series_is_told_with_the_reasons_of_what_was_inconclusive(known: ModuleType) -> None:
    noisy = {"service": "cpu", "verdict": "inconclusive", "why": "quiet machine: 0.9 cores"}
    outcomes = [{"service": "cpu", "verdict": "right", "why": ""}, noisy, noisy]
    outcomes.append({"service": "pool", "verdict": "wrong", "why": "+40 % off"})
    assert known.summary("cpu", outcomes) == ("cpu 1 of 3 right, 2 inconclusive (quiet machine 2)")
    assert known.summary("pool", outcomes) == "pool 0 of 1 right, 1 wrong"


def test_the_widths_of_the_intervals_that_were_right_are_told(known: ModuleType) -> None:
    of_it = {"service": "cpu", "verdict": "right", "why": ""}
    outcomes = [{**of_it, "width": width} for width in (0.08, 0.24, None)]
    outcomes.append({**of_it, "verdict": "inconclusive", "why": "too wide: ±40%", "width": 0.4})
    assert known.summary("cpu", outcomes) == (
        "cpu 3 of 4 right (knees known to ±8 to 24%), 1 inconclusive (too wide 1)"
    )

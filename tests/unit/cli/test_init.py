"""`loadpath init`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadpath.spec import load

Loadpath = Callable[..., Any]

SAMPLES = Path(__file__).parents[1] / "spec" / "samples"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small FastAPI service."""
    return Path(shutil.copytree(SAMPLES / "fastapi_requirements", tmp_path / "shop"))


def test_it_writes_a_file_that_loads_and_says_what_comes_next(
    loadpath: Loadpath, folder: Path
) -> None:
    ended = loadpath("init", folder)
    assert (ended.code, ended.err) == (0, "")
    assert f"wrote {folder / 'loadpath.toml'}" in ended.out
    assert f"loadpath check {folder}" in ended.out
    assert load(folder, environ={}).service.name == "shop"


def test_here_is_the_default(
    loadpath: Loadpath, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert loadpath("init").code == 0
    assert (folder / "loadpath.toml").is_file()


def test_what_is_there_is_overwritten_only_when_told_so(loadpath: Loadpath, folder: Path) -> None:
    file = folder / "loadpath.toml"
    file.write_text("# mine\n")
    ended = loadpath("init", folder)
    assert ended.code == 2
    assert "is there already" in ended.err
    assert "--force" in ended.err
    assert file.read_text() == "# mine\n"
    assert loadpath("init", "--force", folder).code == 0
    assert file.read_text() != "# mine\n"


def test_a_folder_that_is_not_there(loadpath: Loadpath, tmp_path: Path) -> None:
    ended = loadpath("init", tmp_path / "nothing")
    assert ended.code == 2
    assert "nothing" in ended.err
    assert "Traceback" not in ended.err


def test_a_file_instead_of_a_folder(loadpath: Loadpath, folder: Path) -> None:
    ended = loadpath("init", folder / "requirements.txt")
    assert ended.code == 2
    assert "is a file" in ended.err


def test_a_folder_without_a_service(loadpath: Loadpath, tmp_path: Path) -> None:
    ended = loadpath("init", tmp_path)
    assert ended.code == 2
    assert not (tmp_path / "loadpath.toml").exists()
    assert "there is no source code in" in ended.err


def test_a_place_where_nobody_can_write(loadpath: Loadpath, folder: Path) -> None:
    (folder / "loadpath.toml").mkdir()
    ended = loadpath("init", "--force", folder)
    assert ended.code == 2
    assert "cannot be written" in ended.err

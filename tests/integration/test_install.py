"""`make install` on machines that lack something, and in a checkout that moved.

The real Makefile and script, on a project that needs no download.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

# A build backend of a few lines, so that nothing has to be fetched to install the project.
BACKEND = """\
import base64, hashlib, zipfile
from pathlib import Path

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "small-1.0-py3-none-any.whl"
    files = {
        "small.pth": str(Path.cwd()),
        "small-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n",
        "small-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\n"
        "Tag: py3-none-any\\n",
    }
    with zipfile.ZipFile(Path(directory, name), "w") as wheel:
        record = "small-1.0.dist-info/RECORD"
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(record, "".join(f"{p},,\\n" for p in (*files, record)))
    return name
"""
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "small"
version = "1.0"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with a space in its path, that has nothing to download."""
    folder = tmp_path / "a checkout"
    (folder / "tools").mkdir(parents=True)
    shutil.copy(CHECKOUT / "Makefile", folder)
    shutil.copy(CHECKOUT / "tools/install.sh", folder / "tools")
    (folder / "requirements.lock").write_text("# nothing\n")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


def install(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "install", f"PYTHON={python}"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def fake(folder: Path, script: str) -> str:
    """A python that does `script` first, and else is the one that runs this test."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\n{script}\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return str(path)


def where_small_is(folder: Path) -> str:
    command = [str(folder / ".venv/bin/python"), "-c", "import backend; print(backend.__file__)"]
    return subprocess.run(
        command, cwd=folder.parent, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_it_installs_once_and_again_where_the_checkout_moved(project: Path) -> None:
    # What an interrupted attempt may have left is no obstacle.
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to("/nowhere/python")
    first = install(project, sys.executable)
    assert first.returncode == 0, first.stderr
    assert where_small_is(project) == str(project / "backend.py")

    again = install(project, sys.executable)
    assert "Nothing to be done" in again.stdout

    moved = project.rename(project.with_name("elsewhere"))
    after = install(moved, sys.executable)
    assert after.returncode == 0, after.stderr
    assert "This checkout has moved" in after.stdout
    assert where_small_is(moved) == str(moved / "backend.py")


def test_a_python_without_ensurepip_is_told_what_to_install(project: Path) -> None:
    no_venv = """
case "$*" in
    "-m venv"*) echo "ensurepip is not available"; mkdir -p .venv; exit 1 ;;
    "-m pip"*|"-m virtualenv"*) exit 1 ;;
esac"""
    done = install(project, fake(project, no_venv))
    assert done.returncode != 0
    assert "ensurepip is not available" in done.stderr
    assert "apt install python3-venv" in done.stderr
    assert not (project / ".venv").exists()


def test_a_python_that_is_too_old_is_named(project: Path) -> None:
    too_old = """
case "$*" in
    *version_info*) exit 1 ;;
    -V) echo "Python 3.9.1"; exit 0 ;;
esac"""
    done = install(project, fake(project, too_old))
    assert done.returncode != 0
    assert "needs Python 3.11 or later" in done.stderr
    assert "is Python 3.9.1" in done.stderr


def test_no_python_at_all_is_said(project: Path) -> None:
    done = install(project, "python9")
    assert done.returncode != 0
    assert "No 'python9' on the PATH" in done.stderr


@pytest.mark.parametrize(
    ("code", "ends_in", "says"),
    [
        (0, 0, ""),
        (1, 0, "its answer is that an objective is missed"),
        (3, 0, "its answer is inconclusive"),
        (4, 4, ""),
        (130, 130, ""),
    ],
)
def test_make_review_fails_only_when_there_is_no_review(
    project: Path, code: int, ends_in: int, says: str
) -> None:
    loadpath = project / ".venv/bin/loadpath"
    loadpath.parent.mkdir(parents=True)
    loadpath.write_text(f"#!/bin/sh\nexit {code}\n")
    loadpath.chmod(0o755)
    (project / "stamp").touch()
    done = subprocess.run(
        ["make", "review", "STAMP=stamp"],
        cwd=project,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    # make itself ends in 2 for any failure of a recipe, whose own code it prints.
    assert (done.returncode == 0) is (ends_in == 0)
    assert says in done.stdout
    if ends_in:
        assert f"Error {ends_in}" in done.stderr

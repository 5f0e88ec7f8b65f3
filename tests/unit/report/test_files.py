"""`-o FILE`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loadpath.errors import ConfigurationError, ExitCode
from loadpath.report.files import SUFFIXES, check_output, write_output


@pytest.mark.parametrize(("name", "content"), [("a.json", "{}\n"), ("b.txt", "✓ text\n")])
def test_the_suffix_decides_the_format(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    check_output(path, SUFFIXES)
    write_output(path, {".txt": "✓ text\n", ".json": "{}\n"})
    assert path.read_text("utf-8") == content


def test_what_is_there_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a longer text than before")
    write_output(path, {".txt": "new"})
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("report.pdf", "expected a file ending in .txt or .json"),
        ("report", "expected a file ending in .txt or .json"),
        ("no/such/folder/a.json", "there is no folder"),
        ("file/a.json", "there is no folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_and_after(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    path = tmp_path / name
    empty = dict.fromkeys(SUFFIXES, "")
    for write in (lambda p: check_output(p, SUFFIXES), lambda p: write_output(p, empty)):
        with pytest.raises(ConfigurationError, match=said) as caught:
            write(path)
        assert caught.value.exit_code is ExitCode.USAGE
        assert str(path) in str(caught.value)
    assert not path.exists()


FULL = """
import resource, sys
from pathlib import Path
from loadpath.errors import ConfigurationError
from loadpath.report.files import write_output
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    write_output(Path(sys.argv[1]), {".txt": "x" * 1000})
except ConfigurationError as error:
    print(error)
"""


def test_a_file_that_finds_no_room_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk; the failing write is the same."""
    (tmp_path / "answers.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("answers.txt")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "link.txt")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "link.txt: File too large: the disk of " in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.txt", "link.txt"]
    assert (tmp_path / "answers.txt").read_text() == "old"
    write_output(tmp_path / "link.txt", {".txt": "new"})
    assert (tmp_path / "answers.txt").read_text() == "new"
    assert (tmp_path / "link.txt").is_symlink()


def test_a_place_where_nobody_can_write_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"-o /proc/loadpath\.json: "):
        write_output(Path("/proc/loadpath.json"), {".json": ""})

"""`-o FILE`."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadpath.errors import ConfigurationError, ExitCode
from loadpath.report.files import check_output, write_output


@pytest.mark.parametrize(("name", "content"), [("a.json", "{}\n"), ("b.txt", "✓ text\n")])
def test_the_suffix_decides_the_format(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    check_output(path)
    write_output(path, text="✓ text\n", json="{}\n")
    assert path.read_text("utf-8") == content


def test_what_is_there_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a longer text than before")
    write_output(path, text="new", json="")
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("report.html", "expected a file ending in .json or .txt"),
        ("report", "expected a file ending in .json or .txt"),
        ("no/such/folder/a.json", "there is no folder"),
        ("file/a.json", "there is no folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_and_after(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    path = tmp_path / name
    for write in (check_output, lambda p: write_output(p, text="", json="")):
        with pytest.raises(ConfigurationError, match=said) as caught:
            write(path)
        assert caught.value.exit_code is ExitCode.USAGE
        assert str(path) in str(caught.value)
    assert not path.exists()


def test_a_place_where_nobody_can_write_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"-o /proc/loadpath\.json: "):
        write_output(Path("/proc/loadpath.json"), text="", json="")

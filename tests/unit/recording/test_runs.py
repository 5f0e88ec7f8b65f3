"""Where runs are kept and how they are found again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadpath.errors import RecordingError
from loadpath.recording import RunInfo
from loadpath.recording.runs import create_run, find_run, list_runs

STARTED_S = 1_795_338_843.0


def info(started_s: float = STARTED_S) -> RunInfo:
    """A run of a shop."""
    return RunInfo(service="shop", command=("loadpath", "run"), started_s=started_s)


def test_a_run_is_named_after_its_start(tmp_path: Path) -> None:
    """In local time, sortable, without characters that a shell minds."""
    run = create_run(tmp_path, info())
    assert run.directory.parent == tmp_path / ".loadpath" / "runs"
    assert run.name.count("-") == 4
    assert "T" in run.name
    assert ":" not in run.name
    assert run.read_info() == info()


def test_runs_of_one_second_do_not_meet(tmp_path: Path) -> None:
    """Each has its own folder, and they are listed in the order made."""
    names = [create_run(tmp_path, info()).name for _ in range(11)]
    assert len(set(names)) == 11
    assert [run.name for run in list_runs(tmp_path)] == names


def test_recordings_are_numbered_beyond_ninety_nine(tmp_path: Path) -> None:
    """None is written over another, and they stay in the order made."""
    run = create_run(tmp_path, info())
    names = []
    for _ in range(102):
        made = run.new_recording("mix")
        made.mkdir(parents=True)
        (made / "recording.json").touch()
        names.append(made.name)
    assert names[-4:] == ["99-mix", "100-mix", "101-mix", "102-mix"]
    assert [path.name for path in run.recordings()] == names


def test_many_processes_may_start_at_once(tmp_path: Path) -> None:
    """Folders are made by the one call that cannot succeed twice."""
    script = f"""
import sys
from pathlib import Path
from loadpath.recording.runs import RunInfo, create_run
info = RunInfo(service="shop", command=(), started_s={STARTED_S})
print(create_run(Path(sys.argv[1]), info).name)
"""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(4)
    ]
    names = {process.communicate()[0] for process in started}
    assert len(names) == 4
    assert find_run(tmp_path).name.encode() + b"\n" in names


def test_latest_follows_the_newest(tmp_path: Path) -> None:
    """A link, replaced at once: there is no moment without it."""
    first = create_run(tmp_path, info())
    assert find_run(tmp_path).directory == first.directory.resolve()
    second = create_run(tmp_path, info(STARTED_S + 60))
    assert find_run(tmp_path).directory == second.directory.resolve()
    assert (tmp_path / ".loadpath" / "runs" / "latest").is_symlink()
    assert [run.name for run in list_runs(tmp_path)] == [first.name, second.name]


def test_a_run_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    """Whichever the user has at hand."""
    run = create_run(tmp_path, info())
    assert find_run(tmp_path, run.name).directory == run.directory.resolve()
    assert find_run(tmp_path / "elsewhere", str(run.directory)).directory == run.directory.resolve()


def test_an_unknown_run_names_those_there_are(tmp_path: Path) -> None:
    """Newest first."""
    with pytest.raises(RecordingError, match="nothing was run in"):
        find_run(tmp_path)
    older, newer = (create_run(tmp_path, info(STARTED_S + at)).name for at in (0, 60))
    with pytest.raises(RecordingError, match="no run called 'tuesday'") as raised:
        find_run(tmp_path, "tuesday")
    assert raised.value.advice == f"The newest are {newer}, {older}."


def test_runs_stay_out_of_version_control(tmp_path: Path) -> None:
    """Without a line in the user's own .gitignore; one that is there is left alone."""
    create_run(tmp_path, info())
    ignore = tmp_path / ".loadpath" / ".gitignore"
    assert ignore.read_text() == "*\n"
    ignore.write_text("runs/\n")
    create_run(tmp_path, info())
    assert ignore.read_text() == "runs/\n"


def test_recordings_are_numbered_in_the_order_made(tmp_path: Path) -> None:
    """The folder's listing tells the story of the run."""
    run = create_run(tmp_path, info())
    for name in ("baseline", "second-worker"):
        folder = run.new_recording(name)
        folder.mkdir(parents=True)
        (folder / "recording.json").write_text("{}")
    assert [path.name for path in run.recordings()] == ["01-baseline", "02-second-worker"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Says which and why; a file in the way fails for every user, root included."""
    (tmp_path / ".loadpath").write_text("not a folder")
    with pytest.raises(RecordingError, match=r"cannot record in .*\.loadpath") as raised:
        create_run(tmp_path, info())
    assert raised.value.advice is not None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    """The same for a folder of somebody else."""
    tmp_path.chmod(0o500)
    with pytest.raises(RecordingError, match="Permission denied"):
        create_run(tmp_path, info())


def test_a_damaged_run_file_is_named(tmp_path: Path) -> None:
    """Never a bare traceback."""
    run = create_run(tmp_path, info())
    (run.directory / "run.json").write_text("{")
    with pytest.raises(RecordingError, match=r"run\.json is damaged"):
        find_run(tmp_path).read_info()

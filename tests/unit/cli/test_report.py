"""`loadpath report`: the answers again, from recordings made by formula."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden_recordings import Golden, Truth, arm_recordings, mix_recording, setup, today

from loadpath.recording import RunInfo
from loadpath.recording.runs import create_run
from loadpath.report.results import Results
from loadpath.spec import OpenArrivals

Loadpath = Callable[..., Any]

BETTER = [(1000.0, 1300.0), (1010.0, 1320.0), (990.0, 1280.0)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service's folder with three runs: the newest conclusive, a missed one, an early one."""
    folder = tmp_path_factory.mktemp("shop")
    info = RunInfo(
        service="shop",
        command=("loadpath", "run"),
        started_s=time.time() - 20,
        took_s=61.0,
        notes={"questions": ["bottleneck"]},
    )
    early = create_run(folder, msgspec.structs.replace(info, status="interrupted"))
    Golden(early.directory / "recordings", setup(), Truth()).writer.finish("interrupted")
    info = msgspec.structs.replace(info, status="complete", started_s=time.time() - 10)
    missed = create_run(folder, info)
    busy = setup(arrivals=OpenArrivals(960.0))
    today(Golden(missed.directory / "recordings", busy, Truth()))
    whole = create_run(folder, msgspec.structs.replace(info, started_s=time.time()))
    recordings = whole.directory / "recordings"
    mix_recording(recordings, setup(), Truth())
    arm_recordings(recordings, setup(), BETTER, Truth())
    return folder


def runs(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / ".loadpath/runs").iterdir() if p.name != "latest")


def test_the_newest_run_is_told_unless_another_is_named(loadpath: Loadpath, shop: Path) -> None:
    newest = loadpath("report", "-C", shop)
    assert (newest.code, newest.err) == (0, "")
    assert newest.out.startswith("shop · 1 operation · no dependencies · 2 cores · took 1.0 min\n")
    assert "✓ confirmed: the one worker's event loop" in newest.out
    assert "Trust       6 of 6 checks held" in newest.out
    assert loadpath("report", runs(shop)[-1], "-C", shop) == newest


def test_the_exit_code_is_the_one_the_answers_stand_for(loadpath: Loadpath, shop: Path) -> None:
    missed = loadpath("report", runs(shop)[1], "-C", shop)
    assert missed.code == 1
    assert "already at today's 960/s" in missed.out


def test_a_run_can_be_named_by_its_path(
    loadpath: Loadpath, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = loadpath("report", shop / ".loadpath/runs" / runs(shop)[1])
    assert found.code == 1


def test_a_run_that_recorded_nothing_says_so(loadpath: Loadpath, shop: Path) -> None:
    found = loadpath("report", runs(shop)[0], "-C", shop)
    assert (found.code, found.out) == (2, "")
    assert "ended before any load was recorded" in found.err
    assert "loadpath check" in found.err


def test_a_name_that_is_none_lists_those_there_are(loadpath: Loadpath, shop: Path) -> None:
    found = loadpath("report", "yesterday", "-C", shop)
    assert found.code == 2
    assert "'yesterday'" in found.err
    assert runs(shop)[-1] in found.err


def test_where_nothing_was_run_yet(loadpath: Loadpath, tmp_path: Path) -> None:
    found = loadpath("report", "-C", tmp_path)
    assert found.code == 2
    assert "loadpath run" in found.err


def test_json_is_the_same_by_either_flag_and_in_a_file(
    loadpath: Loadpath, shop: Path, tmp_path: Path
) -> None:
    target = tmp_path / "answers.json"
    found = loadpath("report", "-C", shop, "--json", "-o", target)
    assert found.code == 0
    assert loadpath("report", "-C", shop, "--format", "json").out == found.out
    assert target.read_text("utf-8") == found.out
    results = msgspec.json.decode(found.out, type=Results)
    assert (results.service, results.exit_code) == ("shop", 0)
    assert results.run == runs(shop)[-1]
    assert results.answers[0].state == "confirmed"


def test_text_goes_to_a_file_without_color(loadpath: Loadpath, shop: Path, tmp_path: Path) -> None:
    target = tmp_path / "answers.txt"
    found = loadpath("report", "-C", shop, "--color", "always", "-o", target)
    assert "\x1b[" in found.out
    assert target.read_text("utf-8") == loadpath("report", "-C", shop).out


@pytest.mark.parametrize(
    ("words", "environment", "colored"),
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {}, False),
    ],
)
def test_color_is_for_terminals_and_for_those_who_ask(
    loadpath: Loadpath,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    environment: dict[str, str],
    colored: bool,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in loadpath("report", "-C", shop, *words).out) is colored


def test_reading_a_run_changes_nothing_but_what_is_drawn_of_it(
    loadpath: Loadpath, shop: Path
) -> None:
    run = shop / ".loadpath/runs" / runs(shop)[1]

    def kept() -> dict[Path, bytes]:
        files = (path for path in run.rglob("*") if path.is_file() and path.suffix != ".svg")
        return {path: path.read_bytes() for path in files if path.name != "report.html"}

    before = kept()
    assert loadpath("report", run).code == 1
    assert kept() == before
    assert "<h2>bottleneck</h2>" in (run / "report.html").read_text("utf-8")


def test_a_run_that_cannot_be_written_to_is_told_all_the_same(
    loadpath: Loadpath, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("loadpath.cli.measure.replace_with", refuse)
    found = loadpath("report", shop / ".loadpath/runs" / runs(shop)[1])
    assert found.code == 1
    assert "BOTTLENECK" in found.out
    assert "not written whole: " in found.out


@pytest.mark.parametrize(
    ("suffix", "begins"), [(".md", "### Loadpath: shop"), (".html", "<!doctype html>")]
)
def test_answers_can_be_written_in_other_formats(
    loadpath: Loadpath, shop: Path, tmp_path: Path, suffix: str, begins: str
) -> None:
    file = tmp_path / f"answers{suffix}"
    assert loadpath("report", "-C", shop, "-o", file).err == ""
    assert file.read_text("utf-8").startswith(begins)


def test_answers_are_printed_as_markdown(loadpath: Loadpath, shop: Path) -> None:
    found = loadpath("report", "-C", shop, "--format", "markdown")
    assert found.out.startswith("### Loadpath: shop")
    assert "| the mix |" in found.out


def test_a_damaged_run_is_named(loadpath: Loadpath, tmp_path: Path) -> None:
    info = RunInfo(service="shop", command=(), started_s=1.0, notes={"questions": ["bottleneck"]})
    run = create_run(tmp_path, info)
    today(Golden(run.directory / "recordings", setup(), Truth()))
    (run.directory / "recordings/mix/recording.json").write_text("{")
    found = loadpath("report", "-C", tmp_path)
    assert found.code == 2
    assert "recording.json" in found.err
    assert "damaged" in found.err


class TestHalfARun:
    """What a kill, a full disk or a careless hand leaves: said by `report` and by `compare`."""

    @pytest.fixture
    def halved(self, shop: Path, tmp_path: Path) -> Path:
        """A copy of the shop whose runs may be damaged."""
        return Path(shutil.copytree(shop, tmp_path / "shop", symlinks=True))

    def refused(self, loadpath: Loadpath, folder: Path) -> str:
        """What both say of the newest run: the same, and in the same code."""
        told = loadpath("report", "-C", folder)
        compared = loadpath("compare", runs(folder)[1], "latest", "-C", folder)
        assert (told.code, told.out) == (compared.code, compared.out) == (2, "")
        assert told.err == compared.err
        return str(told.err)

    @pytest.mark.parametrize("kind", ["requests", "threads"])
    @pytest.mark.parametrize("left", [0, 0.5])
    def test_a_table_that_is_cut_off(
        self, loadpath: Loadpath, halved: Path, kind: str, left: float
    ) -> None:
        run = (halved / ".loadpath/runs/latest").resolve()
        table = run / f"recordings/mix/{kind}/0003.parquet"
        table.write_bytes(table.read_bytes()[: int(left * table.stat().st_size)])
        said = self.refused(loadpath, halved)
        assert f"{table} cannot be read: " in said
        assert "measure again" in said

    def test_a_header_that_is_cut_off(self, loadpath: Loadpath, halved: Path) -> None:
        header = (halved / ".loadpath/runs/latest").resolve() / "recordings/mix/recording.json"
        header.write_bytes(header.read_bytes()[:100])
        assert f"{header} is damaged: " in self.refused(loadpath, halved)

    @pytest.mark.parametrize("notes", ["{}", '{"questions": ["weather"]}'])
    def test_a_run_of_questions_that_nobody_here_knows(
        self, loadpath: Loadpath, halved: Path, notes: str
    ) -> None:
        file = halved / ".loadpath/runs/latest/run.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "notes": json.loads(notes)}))
        found = loadpath("report", "-C", halved)
        assert (found.code, found.out) == (2, "")
        assert "expected questions in run.json that this Loadpath knows" in found.err

    def test_latest_that_points_to_a_run_that_was_removed(
        self, loadpath: Loadpath, halved: Path
    ) -> None:
        newest = (halved / ".loadpath/runs/latest").resolve()
        shutil.rmtree(newest)
        said = self.refused(loadpath, halved)
        assert f"latest points to {newest.name}, which is not there any more" in said
        assert runs(halved)[-1] in said

    def test_one_that_was_killed_is_compared_and_that_is_told(
        self, loadpath: Loadpath, halved: Path
    ) -> None:
        header = halved / ".loadpath/runs/latest/recordings/mix/recording.json"
        header.write_text(header.read_text().replace('"complete"', '"running"', 1))
        found = loadpath("compare", "latest", "latest", "-C", halved)
        assert found.code in (0, 1, 3), found
        told = " ".join(found.out.split())
        assert f"! {runs(halved)[-1]} was ended early: it has only what was measured" in told


class TestPipes:
    def piped(self, folder: Path, *words: str) -> list[str]:
        code = "from loadpath.cli import main; main()"
        return [sys.executable, "-c", code, "report", "-C", str(folder), *words]

    def test_whoever_reads_may_go(self, shop: Path) -> None:
        process = subprocess.Popen(
            self.piped(shop), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
        process.stderr.close()

    def test_a_terminal_that_lacks_characters_gets_others(self, shop: Path) -> None:
        ended = subprocess.run(
            self.piped(shop),
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        )
        assert ended.returncode == 0, ended.stderr
        assert b"? confirmed: the one worker's event loop" in ended.stdout

    def test_json_is_utf_8_wherever_it_goes(self, shop: Path) -> None:
        ended = subprocess.run(
            self.piped(shop, "--json"),
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        )
        assert "≤" in json.loads(ended.stdout.decode("utf-8"))["answers"][0]["lines"][0]["verdict"]

"""How commands end that cannot do what was asked; nothing is started here."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadpath.errors import (
    ConfigurationError,
    ExitCode,
    InconclusiveError,
    LoadpathError,
    UnsafeTargetError,
    WouldNotRunError,
)

Loadpath = Callable[..., Any]

SERVICE_FILE = """\
[service]
start = "python service.py {port}"

[workload]
arrivals = { open = "50/s" }

[operations."GET /"]
request = "GET /"
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "loadpath.toml").write_text(SERVICE_FILE)
    return tmp_path


COMMANDS = [["check"], ["run"], ["ask", "bottleneck"], ["serve"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
class TestBeforeAnythingStarts:
    def test_an_unknown_key_is_named_with_its_line_and_the_nearest(
        self, loadpath: Loadpath, shop: Path, command: list[str]
    ) -> None:
        (shop / "loadpath.toml").write_text(SERVICE_FILE.replace("start =", "strat =", 1))
        ended = loadpath(*command, shop)
        assert (ended.code, ended.out) == (2, "")
        assert "loadpath.toml:2: unknown key `strat` in [service]" in ended.err
        assert "did you mean `start`?" in ended.err
        assert not (shop / ".loadpath").exists()

    def test_a_wrong_type_is_named_with_what_was_expected_and_what_came(
        self, loadpath: Loadpath, shop: Path, command: list[str]
    ) -> None:
        (shop / "loadpath.toml").write_text(SERVICE_FILE.replace('"50/s"', "50"))
        ended = loadpath(*command, shop)
        assert ended.code == 2
        assert "loadpath.toml:5: `workload.arrivals.open`: expected a rate" in ended.err
        assert "got 50" in ended.err

    def test_a_flag_is_blamed_for_what_it_said(
        self, loadpath: Loadpath, shop: Path, command: list[str]
    ) -> None:
        ended = loadpath(*command, shop, "--set", "service.wrokers=2")
        assert ended.code == 2
        assert "--set service.wrokers=2: unknown key `wrokers`" in ended.err
        assert "did you mean `workers`?" in ended.err

    def test_a_folder_without_a_service_file(
        self, loadpath: Loadpath, tmp_path: Path, command: list[str]
    ) -> None:
        ended = loadpath(*command, tmp_path)
        assert ended.code == 2
        assert "there is no loadpath.toml" in ended.err
        assert "loadpath init" in ended.err

    def test_a_file_or_nothing_instead_of_a_folder(
        self, loadpath: Loadpath, shop: Path, command: list[str]
    ) -> None:
        ended = loadpath(*command, shop / "loadpath.toml")
        assert ended.code == 2
        assert "expected the folder of a service, found a file" in ended.err
        ended = loadpath(*command, shop / "nowhere")
        assert ended.code == 2
        assert "found nothing" in ended.err


@pytest.mark.parametrize("command", COMMANDS[:3], ids=lambda words: words[0])
@pytest.mark.parametrize("target", ["answers.pdf", "no/such/folder/answers.json"])
def test_a_file_that_could_not_be_written_is_refused_before_measuring(
    loadpath: Loadpath, shop: Path, command: list[str], target: str
) -> None:
    ended = loadpath(*command, shop, "-o", shop / target)
    assert (ended.code, ended.out) == (2, "")
    assert f"-o {shop / target}: " in ended.err
    assert not (shop / ".loadpath").exists()


@pytest.mark.parametrize("command", COMMANDS[1:3], ids=lambda words: words[0])
def test_a_folder_that_cannot_hold_runs_is_named_before_anything_starts(
    loadpath: Loadpath, shop: Path, command: list[str]
) -> None:
    (shop / ".loadpath").write_text("a file where a folder should be")
    ended = loadpath(*command, shop)
    assert (ended.code, ended.out) == (2, "")
    assert f"cannot record in {shop / '.loadpath' / 'runs'}" in ended.err
    assert "writable" in ended.err
    assert "--runs" in ended.err


class TestHowErrorsAreShown:
    def raised(
        self,
        error: BaseException,
        loadpath: Loadpath,
        monkeypatch: pytest.MonkeyPatch,
        shop: Path,
    ) -> tuple[int, list[str]]:
        """How `check` ends when that is raised in it: its code and its lines on stderr."""

        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr("loadpath.cli.check.load_setup", fail)
        ended = loadpath("check", shop)
        assert ended.out == ""
        return ended.code, ended.err.splitlines()

    @pytest.mark.parametrize(
        ("error", "code", "lines"),
        [
            (
                ConfigurationError("not so", file="a.toml", line=3, advice="Do this."),
                ExitCode.USAGE,
                ["loadpath: a.toml:3: not so", "  Do this."],
            ),
            (
                WouldNotRunError("it ended", last_lines=("one", "two"), advice="Mend it."),
                ExitCode.WOULD_NOT_RUN,
                [
                    "loadpath: it ended",
                    "  the last lines it printed:",
                    "    one",
                    "    two",
                    "  Mend it.",
                ],
            ),
            (
                InconclusiveError("cannot be told"),
                ExitCode.INCONCLUSIVE,
                ["loadpath: cannot be told"],
            ),
            (UnsafeTargetError("not here"), ExitCode.USAGE, ["loadpath: not here"]),
            (LoadpathError("the engine is gone"), ExitCode.INTERNAL, None),
            (KeyboardInterrupt(), ExitCode.INTERRUPTED, None),
            (ZeroDivisionError("by zero"), ExitCode.INTERNAL, None),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
    )
    def test_every_kind_ends_in_its_code_without_a_traceback(
        self,
        error: BaseException,
        code: ExitCode,
        lines: list[str] | None,
        loadpath: Loadpath,
        monkeypatch: pytest.MonkeyPatch,
        shop: Path,
    ) -> None:
        found, said = self.raised(error, loadpath, monkeypatch, shop)
        assert found == code
        assert "Traceback" not in "".join(said)
        if lines is not None:
            assert said == lines

    def test_a_fault_of_its_own_says_so_and_how_to_see_more(
        self, loadpath: Loadpath, monkeypatch: pytest.MonkeyPatch, shop: Path
    ) -> None:
        _, said = self.raised(ZeroDivisionError("by zero"), loadpath, monkeypatch, shop)
        assert said[0] == "loadpath: a fault in Loadpath itself: ZeroDivisionError: by zero"
        assert "LOADPATH_TRACEBACK=1" in said[1]

    @pytest.mark.parametrize(
        "error", [BrokenPipeError(32, "Broken pipe"), EOFError("the server hung up")], ids=repr
    )
    def test_the_end_of_a_connection_is_not_taken_for_that_of_our_own_output(
        self,
        error: Exception,
        loadpath: Loadpath,
        monkeypatch: pytest.MonkeyPatch,
        shop: Path,
    ) -> None:
        code, said = self.raised(error, loadpath, monkeypatch, shop)
        assert code == ExitCode.INTERNAL
        assert type(error).__name__ in said[0]

    def test_a_full_disk_is_no_fault_of_its_own(
        self, loadpath: Loadpath, monkeypatch: pytest.MonkeyPatch, shop: Path
    ) -> None:
        error = OSError(errno.ENOSPC, "No space left on device", str(shop / "base" / "1"))
        code, said = self.raised(error, loadpath, monkeypatch, shop)
        assert code == ExitCode.WOULD_NOT_RUN
        assert said[0].startswith(f"loadpath: {shop}/base/1 could not be written: No space left")
        assert f"the disk of {shop} has " in said[0]
        assert "TMPDIR" in said[1]

    def test_nothing_from_outside_steers_the_terminal(
        self, loadpath: Loadpath, monkeypatch: pytest.MonkeyPatch, shop: Path
    ) -> None:
        bad = "x\x1b[2J\x07y\nforged"
        error = WouldNotRunError(bad, last_lines=(bad,), advice=bad)
        _, said = self.raised(error, loadpath, monkeypatch, shop)
        assert len(said) == 4
        assert not any(character in line for line in said for character in "\x1b\x07")

"""Logs as they come: nothing twice, nothing lost unsaid, nothing that steers a terminal."""

from __future__ import annotations

from pathlib import Path

from loadpath.report.follow import Following


def test_each_line_comes_once_with_the_name_of_its_part(tmp_path: Path) -> None:
    files = {"service": tmp_path / "service.log", "db": tmp_path / "db.log"}
    following = Following(files)
    assert following.poll() == []
    files["service"].write_text("one\ntwo\nthr")
    files["db"].write_text("ready\n")
    assert following.poll() == ["service | one", "service | two", "db      | ready"]
    assert following.poll() == []
    with files["service"].open("a") as file:
        file.write("ee\n")
    assert following.poll() == ["service | three"]


def test_a_log_that_was_cut_is_said_and_followed_on(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("a long line of before\n")
    following = Following({"service": log})
    following.poll()
    log.write_text("after\n")
    assert following.poll() == [
        "service | [the log was cut: some lines are not shown]",
        "service | after",
    ]


def test_a_flood_is_not_shown_whole(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_bytes(b"x" * 99 + b"\n" + b"0123456789abcde\n" * 100_000)
    lines = Following({"service": log}).poll()
    assert lines[0].startswith("service | [")
    assert lines[0].endswith(" bytes are not shown]")
    assert sum(map(len, lines)) < 1_000_000
    assert lines[-1] == "service | 0123456789abcde"


def test_a_line_without_an_end_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_bytes(b"x" * 200_000)
    (line,) = Following({"service": log}).poll()
    assert 1000 < len(line) < 10_000


def test_nothing_that_is_printed_steers_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_bytes(b"\x1b[31mred\x1b[0m \x07\xff done\n")
    (line,) = Following({"service": log}, style=lambda text, color: f"<{color}>{text}").poll()
    assert line.startswith("<cyan>service |")
    assert "\x1b" not in line
    assert "\x07" not in line
    assert "red" in line

"""What processes print: kept small, shown without secrets and control characters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadpath.deploy.logs import KEPT_BYTES, LIMIT_BYTES, Log, redact


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "part.log")
    yield made
    made.close()


def test_the_tail_is_the_last_lines_oldest_first(log: Log) -> None:
    os.write(log.file, "".join(f"line {n}\n\n" for n in range(100)).encode())
    assert log.tail(3) == ("line 97", "line 98", "line 99")
    assert len(log.tail()) == 20
    log.clear()
    assert log.tail() == ()


def test_the_tail_is_fit_to_be_shown(log: Log) -> None:
    os.write(log.file, b"\x1b[31mred\x1b[0m\x07 \xff end\r\n" + b"x" * 1000 + b"\nkey s3cret\n")
    red, long, key = log.tail(secrets=("s3cret", ""))
    assert red == "red � end"
    assert long == "x" * 500
    assert key == "key ***"


def test_a_log_that_grows_is_cut_to_its_last_part(log: Log, tmp_path: Path) -> None:
    block = b"".join(b"%07d\n" % n for n in range(131072))
    for _ in range(LIMIT_BYTES // len(block)):
        os.write(log.file, block)
    log.keep_small()
    assert log.path.stat().st_size == LIMIT_BYTES
    os.write(log.file, b"the last line\n")
    log.keep_small()
    assert log.path.stat().st_size == 0
    assert KEPT_BYTES <= log.older.stat().st_size < KEPT_BYTES + 100
    # The writer goes on with the same descriptor.
    os.write(log.file, b"after the cut\n")
    assert log.tail(2) == ("the last line", "after the cut")
    (tmp_path / "copies").mkdir()
    log.copy_to(tmp_path / "copies", ("last",))
    copy = (tmp_path / "copies" / "part.log").read_text()
    assert copy.startswith("[")
    assert copy.endswith("the *** line\nafter the cut\n")


def test_a_closed_log_is_still_read(log: Log) -> None:
    os.write(log.file, b"last words\n")
    log.close()
    log.close()
    log.keep_small()
    assert log.tail() == ("last words",)


def test_redacting_leaves_the_rest() -> None:
    assert redact("a password, twice: password", ("password", "")) == "a ***, twice: ***"

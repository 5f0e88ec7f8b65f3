"""What benchmarks have in common."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from systems_common.testing import cpu_s, resident_bytes, write_block

TWO = """\
before
<!-- measured: written by bench/one.py -->
old one
<!-- end of measured -->
between
<!-- measured: written by bench/two.py -->
old two
<!-- end of measured -->
after
"""


def test_a_block_takes_the_place_of_its_own_alone(tmp_path: Path) -> None:
    """Of several blocks the one of that name is written; all else stays."""
    file = tmp_path / "README.md"
    file.write_text(TWO)
    write_block(file, "bench/two.py", "new")
    text = file.read_text()
    assert "old two" not in text
    assert "\n\nnew\n\n<!-- end of measured -->\nafter\n" in text
    assert text.startswith(TWO.partition("<!-- measured: written by bench/two.py")[0])
    write_block(file, "bench/two.py", "new")
    assert file.read_text() == text


def test_a_file_without_the_block_is_left_as_it_is(tmp_path: Path) -> None:
    """The message names what was expected, and where."""
    file = tmp_path / "README.md"
    file.write_text(TWO)
    with pytest.raises(SystemExit, match=r"README\.md: expected a table between .*bench/three\.py"):
        write_block(file, "bench/three.py", "new")
    assert file.read_text() == TWO


def test_the_cpu_of_a_process_that_ended_is_its_parents() -> None:
    """Reaped children count for who started them; the ended process itself for nothing.

    The kernel counts whole ticks, so less is asked for than was spent.
    """
    before_s = cpu_s([os.getpid()])
    work = "import time\nwhile time.process_time() < 0.1: pass"
    child = subprocess.Popen([sys.executable, "-c", work])
    assert child.wait() == 0
    assert cpu_s([child.pid]) == 0.0
    assert cpu_s([os.getpid()]) - before_s >= 0.05
    assert resident_bytes([os.getpid()]) > 2**20

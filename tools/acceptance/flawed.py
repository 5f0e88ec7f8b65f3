"""The promise about planted flaws: each is found and named, and no clean twin is accused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from commands import Broken

MISSES_MAX = 1
"""In all, over every flaw."""


def flaws(clone: Path, *, times: int) -> str:
    """So many runs of each flawed service and its twin, continued where they were interrupted."""
    python, script = clone / ".venv/bin/python", clone / "tests/flawed/flaws.py"
    kept = clone.parent / "flaws.jsonl"
    command = [str(python), str(script), "--times", str(times), "--record", str(kept)]
    ended = subprocess.run(command, check=False, stdout=sys.stdout)
    if ended.returncode not in (0, 1):
        raise Broken(f"`{' '.join(command)}` ended in {ended.returncode}")
    return judged([json.loads(line) for line in kept.read_text("utf-8").splitlines()])


def judged(outcomes: list[dict[str, Any]]) -> str:
    """What they came to; `Broken` for a false accusation, or more misses than are allowed."""
    planted = [each for each in outcomes if each["planted"]]
    missed = [each["name"] for each in planted if not each["right"]]
    accused = [
        f"{each['name']}: {', '.join(each['found'])}"
        for each in outcomes
        if not each["planted"] and not each["right"]
    ]
    found = len(planted) - len(missed)
    said = f"{found} of {len(planted)} planted flaws found, {len(accused)} twins accused"
    if accused or len(missed) > MISSES_MAX:
        raise Broken(f"{said}. Missed: {missed}. Accused: {accused}")
    return said

"""The promise about known knees: right or inconclusive, never confidently wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from commands import Broken

SERVICES = ("cpu", "pool", "outside", "database")
BUDGET_S = 75
"""What the shortest depth of the tool takes with three rounds of one worker more."""


def knees(clone: Path, *, times: int) -> str:
    """So many runs of each known service, continued where an interrupted series was."""
    return series(clone, clone.parent / "knees.jsonl", times=times, services=SERVICES)


def stressed(clone: Path, *, times: int) -> str:
    """The same while stress-ng takes a core, or without it a busy loop of ours: it must say so, and
    not be wrong."""
    kept = clone.parent / "stressed.jsonl"
    command = "stress-ng --cpu 1" if shutil.which("stress-ng") else "burner"
    return series(clone, kept, "--beside", command, times=times, services=("cpu", "pool"))


def series(clone: Path, kept: Path, *words: str, times: int, services: tuple[str, ...]) -> str:
    """Run `tests/known/knees.py`, showing each outcome as it comes; what all of them came to."""
    python, script = clone / ".venv/bin/python", clone / "tests/known/knees.py"
    command = [str(python), str(script), "--times", str(times), "--budget", str(BUDGET_S)]
    ended = subprocess.run(
        [*command, "--record", str(kept), *words, *services], check=False, stdout=sys.stdout
    )
    if ended.returncode not in (0, 1):
        raise Broken(f"`{' '.join(command)}` ended in {ended.returncode}")
    outcomes = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    said = "; ".join(summary(name, outcomes) for name in services)
    if wrong := [o for o in outcomes if o["verdict"] == "wrong"]:
        raise Broken(f"{said}. Wrong: " + "; ".join(f"{o['service']}: {o['why']}" for o in wrong))
    return said


def summary(name: str, outcomes: list[dict[str, Any]]) -> str:
    """`pool 17 of 20 right (knees known to ±8 to 15%), 3 inconclusive (quiet machine 3)`."""
    of_it = [o for o in outcomes if o["service"] == name]
    counts = Counter(o["verdict"] for o in of_it)
    said = f"{name} {counts['right']} of {len(of_it)} right"
    if widths := [o["width"] for o in of_it if o["verdict"] == "right" and o.get("width")]:
        said += f" (knees known to ±{100 * min(widths):.0f} to {100 * max(widths):.0f}%)"
    if counts["inconclusive"]:
        reasons = Counter(
            o["why"].partition(":")[0] for o in of_it if o["verdict"] == "inconclusive"
        )
        why = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        said += f", {counts['inconclusive']} inconclusive ({why})"
    return said + (f", {counts['wrong']} wrong" if counts["wrong"] else "")

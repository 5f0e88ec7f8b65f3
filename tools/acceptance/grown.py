"""The promises about growing a database: quick enough, and other people's schemas kept whole."""

from __future__ import annotations

import shutil
from pathlib import Path

from commands import run

CHECKOUT = Path(__file__).resolve().parents[2]
OUTCOMES = "docs/reference/grown-schemas.md"


def speed(clone: Path) -> str:
    """A million rows to sixteen million, every constraint looked at."""
    script = "tools/acceptance/growing/speed.py"
    return run([str(clone / ".venv/bin/python"), script], clone).stdout.strip()


def schemas(clone: Path) -> str:
    """Real applications from the package index, 16 × on both axes; the outcomes go into a page."""
    script = "tools/acceptance/growing/try_apps.py"
    printed = run([str(clone / ".venv/bin/python"), script, "--write"], clone).stdout
    shutil.copyfile(clone / OUTCOMES, CHECKOUT / OUTCOMES)
    lines = printed.splitlines()
    refused = sum('"said":"refused' in line for line in lines)
    return f"{len(lines) - refused} kept, {refused} refused, none broken"

"""The promises about growing a database: quick enough, and other people's schemas kept whole."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from commands import Broken, loadpath, run

CHECKOUT = Path(__file__).resolve().parents[2]
OUTCOMES = "docs/reference/grown-schemas.md"
SYSTEM = "systems/shortener"
REDIRECT = "GET /{code}"
TIMES = 4


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


def indexed(clone: Path) -> str:
    """Asks about growth of the shortener without the index that finds a link's visits, and with it.

    Without it the answer must recommend one that begins with the link, and redirects on four times
    the data at four times the rate must have been driven faster with it; with it nobody is accused.
    """
    without = _growth(clone, "--set", "knobs.visit_index.default=off")
    [database] = without["databases"]
    named = [each["record"]["ddl"] for each in database["indexes"] if each["recommended"]]
    if not any(re.search(r"ON visit \(link_id\b", ddl) for ddl in named):
        raise Broken(f"without the index of visits it recommends {named}")
    p99_s = {
        each["recording"]: each["p99_s"]["value"]
        for each in without["driven"]
        if each["operation"] == REDIRECT and each["rate"] == TIMES and each["p99_s"]
    }
    if not p99_s["growth-4-indexed"] < p99_s["growth-4"]:
        raise Broken(f"driven with the index, redirects are no faster: {p99_s}")
    [database] = _growth(clone)["databases"]
    accused = [each["shape"] for each in database["statements"] if each["findings"]]
    named = [each["record"]["ddl"] for each in database["indexes"] if each["recommended"]]
    if accused or named:
        raise Broken(f"with the index of visits it accuses {accused} and recommends {named}")
    slow, quick = p99_s["growth-4"], p99_s["growth-4-indexed"]
    return (
        f"off: recommended and built; p99 of redirects on {TIMES} × the data and the rate "
        f"{1000 * slow:.0f} ms → {1000 * quick:.1f} ms. On: nobody accused"
    )


def _growth(clone: Path, *words: str) -> dict[str, Any]:
    printed = loadpath(clone, "ask", "growth", SYSTEM, "-q", "--json", *words)
    answer = json.loads(printed)["answers"][0]
    if answer["state"] != "confirmed":
        raise Broken(f"it is {answer['state']}: {answer['claim']}")
    figures: dict[str, Any] = answer["figures"]["growth"]
    return figures

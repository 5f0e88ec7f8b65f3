"""The page of results: a section a benchmark, each written again by its own run."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

from loadpath.meter import describe_machine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "benchmarks.md"


def write_section(name: str, title: str, body: str, versions: dict[str, str]) -> None:
    """Replace the section `name` of the page, or add it, with machine, versions and date."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    machine = describe_machine()
    said = ", ".join(f"{what} {version}" for what, version in versions.items())
    section = "\n".join(
        [
            begin,
            f"## {title}",
            "",
            f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}, commit {_commit()}. "
            f"{machine.cores} cores of {machine.cpu_model or 'an unnamed CPU'}"
            f"{f', {machine.virtualization}' if machine.virtualization else ''}, "
            f"{machine.system} {machine.kernel}, {machine.python}. {said}.",
            "",
            body,
            end,
        ]
    )
    text = PAGE.read_text(encoding="utf-8")
    if begin in text:
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + section + after
    else:
        text = text.rstrip("\n") + "\n\n" + section + "\n"
    PAGE.write_text(text, encoding="utf-8")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=PAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"

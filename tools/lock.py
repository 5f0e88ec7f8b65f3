"""Write requirements.lock: every package any part of this checkout needs, pinned, with hashes.

It gathers the requirements of all pyproject.toml files, leaves out the projects of this checkout
themselves, and lets uv resolve for every platform and Python from 3.11. The lock names no address
to download from, so it works with any index or mirror that pip is set up for.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOCK = CHECKOUT / "requirements.lock"
HEADER = """\
# Every package, pinned by hash, for Python 3.11 and later on every platform.
# Written by `make lock` from the pyproject.toml files; installed by `make install`.
"""


def normalized(requirement: str) -> str:
    """The project name of a requirement as package indexes compare them (PEP 503)."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    if name is None:
        raise SystemExit(f"tools/lock.py: cannot read the requirement {requirement!r}")
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def requirements(projects: list[dict[str, object]]) -> list[str]:
    """What all the projects ask for, each other left out."""
    found: set[str] = set()
    ours: set[str] = set()
    for document in projects:
        project = document["project"]
        assert isinstance(project, dict)
        ours.add(normalized(project["name"]))
        groups = document.get("dependency-groups", {})
        assert isinstance(groups, dict)
        for wanted in (
            project.get("dependencies", []),
            *project.get("optional-dependencies", {}).values(),
            *groups.values(),
        ):
            found.update(wanted)
    return sorted(r for r in found if normalized(r) not in ours)


def main() -> int:
    files = [CHECKOUT / "pyproject.toml", *sorted(CHECKOUT.glob("systems/*/pyproject.toml"))]
    wanted = requirements([tomllib.loads(f.read_text("utf-8")) for f in files])
    command = [
        *("uv", "pip", "compile", "-", "--universal", "--python-version", "3.11"),
        *("--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
        *("--output-file", str(LOCK), *sys.argv[1:]),
    ]
    # uv keeps the versions of an existing output file unless told to upgrade.
    done = subprocess.run(command, input="\n".join(wanted), text=True, check=False)
    if done.returncode:
        return done.returncode
    body = LOCK.read_text("utf-8")
    LOCK.write_text(HEADER + body.removeprefix(HEADER), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

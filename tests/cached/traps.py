"""What is planted in `service.py`, what has to be said of it, and a folder with it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent

TRAPS = {
    "GET /account": "leak",
    "GET /invoices": "leak",
    "GET /counter": "volatile",
    "GET /shaky": "error",
    "GET /search": "key",
    "GET /theme": "leak",
}
"""By operation, the kind of what has to be accused."""

PAGE = "GET /page"
EDIT = "POST /edit"

REQUESTS = {
    **{name: name for name in TRAPS},
    "GET /search": "GET /search?q={n}&utm_source=mail",
    PAGE: "GET /page?n={n}",
    EDIT: "POST /edit?n={n}",
}


def write_folder(folder: Path, *, planted: bool, rate_per_s: int = 300) -> None:
    """A service file for the trapped service, or for its clean twin under the same load."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("service.py", "workload.py"):
        shutil.copy(HERE / name, folder / name)
    operations = "".join(
        f"[operations.{json.dumps(name)}]\nrequest = {json.dumps(request)}\n"
        f"weight = {_weight(name)}\n"
        + ('keys = "n"\n' if "{n}" in request else "")
        + ("expect = [503]\n" if name == "GET /shaky" else "")
        for name, request in REQUESTS.items()
    )
    (folder / "loadpath.toml").write_text(
        f"""
[service]
name = "pages"
start = "{sys.executable} service.py {{port}}"
ready = "GET /health"
env = {{ TRAPS = "{"yes" if planted else "no"}" }}

[workload]
arrivals = {{ open = "{rate_per_s}/s" }}
flows = "workload.py"
identities = 6

[workload.keys.n]
count = 40
zipf = 1.0

{operations}
[objective]
p99 = "100ms"
errors = "1%"
""",
        encoding="utf-8",
    )


def _weight(name: str) -> float:
    return 6 if name == PAGE else 0.02 if name == EDIT else 1

"""What was detected, in a few lines to be read on a terminal."""

from __future__ import annotations

import shlex

from loadpath.spec.detect.found import Detected
from loadpath.spec.detect.render_operations import OPERATIONS_MAX, sort_routes

_KINDS = {"postgres": "PostgreSQL", "valkey": "Valkey (speaks Redis)", "nats": "NATS"}
_WIDTH = 80
_LABEL = 12


def render_summary(detected: Detected) -> str:
    """A line each for the start, the dependencies and their commands, and the operations."""
    rows = [(detected.framework or "start", " ".join(detected.start.words))]
    for found in detected.dependencies:
        rows.append((found.name, f"{_KINDS[found.kind]}, because of {found.because}"))
        for step, words in (("prepare", found.commands.prepare), ("seed", found.commands.seed)):
            if words:
                rows.append(("", f"{step}: {shlex.join(words)}"))
    rows += [
        ("not started", f"{name}, which Loadpath cannot start") for name in detected.unsupported
    ]
    ready, others = sort_routes(detected)
    count = min(len(ready), OPERATIONS_MAX) or 1
    more = len(others) + len(ready) - count if ready else len(others)
    left = f", and {more} commented out, each with why" if more else ""
    rows.append(("operations", f"{count}{left}"))
    return "".join(f"  {_line(label, text)}\n" for label, text in rows)


def _line(label: str, text: str) -> str:
    """A label and a text, cut to what fits: the file has it whole."""
    line = f"{label:<{_LABEL}} {text}"
    return line if len(line) <= _WIDTH - 2 else line[: _WIDTH - 3] + "…"

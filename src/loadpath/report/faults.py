"""Every kind of fault, as text for a terminal."""

from __future__ import annotations

from loadpath.faults import rows
from loadpath.report.terminal import wrapped

_INDENT = 4


def fault_list(width: int = 80) -> str:
    """How each is written, what it does and what it needs, by layer."""
    out: list[str] = []
    layer = ""
    for row in rows():
        if row.layer != layer:
            layer = row.layer
            out += ["", layer.upper()] if out else [layer.upper()]
        out += ["  " + line for line in wrapped(row.form, width - 2)]
        for text in (row.summary, f"Needs: {row.needs}. Example: {row.example}"):
            out += [" " * _INDENT + line for line in wrapped(text, width - _INDENT)]
    out += [
        "",
        "Behind each, after a comma: at 10s · for 2s · only 3rd · first 5 · 10% of the time.",
    ]
    return "\n".join(out) + "\n"

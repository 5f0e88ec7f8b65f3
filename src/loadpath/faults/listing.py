"""Every kind of fault in a row: for `--list-faults` and the reference."""

from __future__ import annotations

import msgspec

from loadpath.faults.fault import Fault, Layer, Needs
from loadpath.faults.registry import FAULTS

_TITLES = {"postgres": "PostgreSQL", "valkey": "Valkey", "nats": "NATS", "http": "HTTP"}


class Row(msgspec.Struct, frozen=True):
    """One kind. `needs` is what must be so for it, in words."""

    layer: Layer
    form: str
    example: str
    summary: str
    needs: str


def rows() -> tuple[Row, ...]:
    """All of them, by layer."""
    return tuple(_row(kind) for kind in FAULTS)


def _row(kind: type[Fault]) -> Row:
    return Row(kind.LAYER, kind.FORM, kind.EXAMPLE, kind.SUMMARY, needs_words(kind.NEEDS))


def needs_words(needs: Needs) -> str:
    """What a fault can be aimed at, and what else it needs."""
    targets = [_TITLES[kind] for kind in ("postgres", "valkey", "nats", "http")]
    named = [title for kind, title in _TITLES.items() if kind in needs.kinds]
    if needs.tap and not needs.kinds:
        named = ["any dependency"]
    elif named == targets:
        named = ["any dependency that is read"]
    if needs.service:
        named.append("the service")
    words = " or ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]
    also = [word for wanted, word in ((needs.tap, "a tap"), (needs.root, "root")) if wanted]
    if needs.started and needs.kinds:
        also.insert(0, "started by Loadpath")
    if needs.writes:
        also.insert(0, "started by Loadpath, or `--allow-writes`")
    return "; ".join([words, *also])


def reference_table() -> str:
    """The table of docs/reference/faults.md."""
    lines = ["| layer | written | needs | what it does |", "|---|---|---|---|"]
    for row in rows():
        form = row.form.replace("|", "\\|")
        told = f"{row.summary} Say: `{row.example}`"
        lines.append(f"| {row.layer} | `{form}` | {row.needs} | {told} |")
    return "\n".join(lines)

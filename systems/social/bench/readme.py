"""Puts what a benchmark measured into README.md, in the place of what it measured before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
END = "<!-- end of measured -->"


def write(begin: str, said: str, table: Sequence[str]) -> None:
    """Replace what stands between the marker `begin` and the next `END`."""
    head, marker, rest = README.read_text().partition(begin)
    if not marker:
        raise SystemExit(f"{README.name} has no {begin}")
    tail = rest.partition(END)[2]
    README.write_text("\n\n".join([head + begin, said, "\n".join(table), END + tail]))

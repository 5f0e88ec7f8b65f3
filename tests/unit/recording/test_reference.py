"""docs/reference/recording.md says what the schema says, all of it and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from loadpath.recording import (
    SCHEMA_VERSION,
    FaultRecord,
    Header,
    HoldsRecord,
    Machine,
    OutageRecord,
    RunInfo,
    SegmentRecord,
)
from loadpath.recording.schema import TABLES, TableSchema

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "recording.md"


def section(title: str) -> str:
    """The text below a heading, up to the next heading of any level."""
    found = re.search(
        rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", REFERENCE.read_text(), re.M | re.S
    )
    assert found, f"no section {title!r}"
    return found[1]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_is_explained(table: TableSchema) -> None:
    """Name, type, unit and meaning, in the order written."""
    text = section(table.name)
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w*) \| (.*) \|$", text, re.M)
    assert rows == [(c.name, c.type, c.unit, c.description) for c in table.columns]
    assert table.description in text


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("run.json", RunInfo),
        ("recording.json", Header),
        ("machine", Machine),
        ("segments.jsonl", SegmentRecord),
        ("holds.json", HoldsRecord),
        ("faults.jsonl", FaultRecord),
        ("outages.jsonl", OutageRecord),
    ],
)
def test_every_field_is_explained(title: str, kind: type[msgspec.Struct]) -> None:
    """Fields of the JSON files."""
    explained = re.findall(r"^\| `(\w+)` \|", section(title), re.M)
    assert sorted(explained) == sorted(kind.__struct_fields__)


def test_the_version_is_stated() -> None:
    """It changes rarely, so it would be forgotten."""
    assert f"Schema version: {SCHEMA_VERSION}." in REFERENCE.read_text()

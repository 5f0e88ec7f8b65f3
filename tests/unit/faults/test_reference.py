"""The reference says of every fault what Loadpath itself says, and the same of the rest."""

from __future__ import annotations

from pathlib import Path

from loadpath.faults import FAULTS
from loadpath.faults.listing import reference_table, rows

ROOT = Path(__file__).resolve().parents[3]


def test_every_fault_is_documented_as_it_is() -> None:
    page = (ROOT / "docs/reference/faults.md").read_text("utf-8")
    for line in reference_table().splitlines():
        assert line in page.splitlines()
    documented = [line for line in page.splitlines() if line.startswith("| ") and "Say: `" in line]
    assert len(documented) == len(FAULTS)


def test_every_file_of_a_fault_is_in_the_registry() -> None:
    folder = ROOT / "src/loadpath/faults"
    kinds = {
        file.stem for file in folder.glob("*.py") if "EXAMPLE: ClassVar" in file.read_text("utf-8")
    } - {"fault"}
    assert kinds == {kind.__module__.rpartition(".")[2] for kind in FAULTS}


def test_what_is_listed_is_one_sentence_or_two_and_says_what_it_needs() -> None:
    for row in rows():
        assert row.summary.endswith((".", ".)"))
        assert row.needs
    assert len({row.form for row in rows()}) == len(FAULTS)

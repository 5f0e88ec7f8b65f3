"""Plans with figures, as auto_explain tells them."""

from __future__ import annotations

from typing import Any

from loadpath.statements.plan import ran


def node(kind: str, *below: dict[str, Any], **more: Any) -> dict[str, Any]:
    words = {key.replace("_", " "): value for key, value in more.items()}
    return {
        "Node Type": kind,
        "Actual Loops": 1,
        "Shared Hit Blocks": 0,
        "Plans": list(below),
        **words,
    }


def test_pages_are_those_of_the_top_which_holds_all_below() -> None:
    scan = node(
        "Seq Scan",
        Relation_Name="t",
        Shared_Hit_Blocks=90,
        Actual_Rows=7,
        Rows_Removed_by_Filter=93,
    )
    top = node("Limit", scan, Shared_Hit_Blocks=90, Shared_Read_Blocks=10, Actual_Rows=5)
    found = ran([{"Plan": top}], affected=5, time_s=0.002)
    assert found.buffers == 100
    assert found.rows == 5
    assert found.skipped_rows == 2
    assert found.plan == "Limit(Seq Scan on t)"
    (seen,) = found.scans
    assert (seen.rows, seen.removed) == (7, 93)


def test_what_a_foreign_key_checks_afterwards_is_added_and_what_a_function_did_is_not() -> None:
    top = node("ModifyTable", Relation_Name="p", Shared_Hit_Blocks=3)
    check = {
        "Query Text": 'SELECT 1 FROM ONLY "v" x WHERE $1 = "p"',
        "Plan": node("Seq Scan", Relation_Name="v", Shared_Hit_Blocks=500),
    }
    inside = {"Query Text": "SELECT 2", "Plan": node("Result", Shared_Hit_Blocks=9)}
    assert ran([inside, check, {"Plan": top}], affected=1, time_s=0.0).buffers == 503


def test_a_plan_for_all_values_has_parameters_in_it() -> None:
    generic = node("Index Scan", Relation_Name="t", Index_Name="i", Index_Cond="(a = $1)")
    custom = node("Index Scan", Relation_Name="t", Index_Name="i", Index_Cond="(a = 5)")
    assert ran([{"Plan": generic}], affected=0, time_s=0.0).generic
    found = ran([{"Plan": custom}], affected=0, time_s=0.0)
    assert not found.generic
    assert found.plan == "Index Scan i on t"


def test_a_sort_on_disk_has_spilled() -> None:
    top = node("Sort", Sort_Space_Type="Disk", Temp_Written_Blocks=40)
    found = ran([{"Plan": top}], affected=1, time_s=0.0)
    assert (found.spilled, found.temp_blocks) == ("sort", 40)


def test_no_condition_and_so_no_value_is_kept() -> None:
    top = node("Seq Scan", Relation_Name="t", Filter="(mail = 'ada@example.org')")
    assert "ada" not in repr(ran([{"Plan": top}], affected=1, time_s=0.0))

"""What a plan with its figures (EXPLAIN ANALYZE, FORMAT JSON) says of the work that was done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loadpath.statements.record import Ran, Scan

_CHECKS_KEY = re.compile(r"^\s*(SELECT 1 FROM ONLY|DELETE FROM ONLY|UPDATE ONLY)\s", re.IGNORECASE)
_PARAMETER = re.compile(r"\$\d+")
_CONDITIONS = ("Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Join Filter", "Merge Cond")


def ran(plans: Sequence[Mapping[str, Any]], *, affected: int | None, time_s: float) -> Ran:
    """The work of a statement from the plans of all that ran for it, the statement's own last.

    What foreign keys check or cascade to is done in statements of PostgreSQL's own after the
    plan is over: their pages are added. `affected` is the number in the command tag.
    """
    top = plans[-1]["Plan"]
    nodes = list(_nodes(top))
    checks = [p["Plan"] for p in plans[:-1] if _CHECKS_KEY.match(str(p.get("Query Text", "")))]
    tops = [top, *checks]
    temp = sum(float(each.get("Temp Written Blocks", 0)) for each in tops)
    rows = float(affected) if affected is not None else _all_rows(top)
    return Ran(
        buffers=sum(_touched(each) for each in tops),
        rows=rows,
        time_s=time_s,
        plan=_tree(top),
        generic=any(
            _PARAMETER.search(str(node.get(key, ""))) for node in nodes for key in _CONDITIONS
        ),
        temp_blocks=temp,
        spilled=_spilled(nodes),
        wal_bytes=sum(float(each.get("WAL Bytes", 0)) for each in tops),
        skipped_rows=sum(_skipped(node) for node in nodes),
        scans=tuple(
            Scan(
                how=str(node["Node Type"]),
                table=str(node["Relation Name"]),
                index=str(node.get("Index Name", "")),
                rows=_all_rows(node),
                removed=_loops(node) * float(node.get("Rows Removed by Filter", 0)),
            )
            for node in nodes
            if "Relation Name" in node and "Scan" in str(node["Node Type"])
        ),
    )


def _touched(node: Mapping[str, Any]) -> float:
    kinds = ("Shared Hit Blocks", "Shared Read Blocks", "Local Hit Blocks", "Local Read Blocks")
    return float(sum(node.get(kind, 0) for kind in kinds))


def _loops(node: Mapping[str, Any]) -> float:
    return float(node.get("Actual Loops", 1))


def _all_rows(node: Mapping[str, Any]) -> float:
    """Actual rows are per loop, rounded before PostgreSQL 18."""
    return float(node.get("Actual Rows", 0)) * _loops(node)


def _skipped(node: Mapping[str, Any]) -> float:
    """Rows that a Limit took from below and did not pass on. It stops asking once it is full, so
    these are those of its OFFSET."""
    if node.get("Node Type") != "Limit":
        return 0.0
    return max(0.0, sum(_all_rows(child) for child in node.get("Plans", ())) - _all_rows(node))


def _spilled(nodes: Sequence[Mapping[str, Any]]) -> str:
    for node in nodes:
        if node.get("Sort Space Type") == "Disk":
            return "sort"
        if node.get("Hash Batches", 1) > 1 or node.get("HashAgg Batches", 1) > 1:
            return "hash"
    return ""


def _tree(node: Mapping[str, Any]) -> str:
    """`Limit(Sort(Seq Scan on visit))`: which nodes, on what, by which index."""
    said = str(node.get("Node Type", "?"))
    if node.get("Join Type") not in (None, "Inner"):
        said += f" {node['Join Type']}"
    if "Index Name" in node:
        said += f" {node['Index Name']}"
    if "Relation Name" in node:
        said += f" on {node['Relation Name']}"
    below = [_tree(child) for child in node.get("Plans", ())]
    return f"{said}({', '.join(below)})" if below else said


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)

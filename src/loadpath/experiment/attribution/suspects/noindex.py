"""A statement that reads a whole table to find few of its rows, by the database's own plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from loadpath.experiment.attribution.suspicion import Suspicion

TABLE_ROWS_MIN = 500
"""Below this a sequential scan is what a good planner chooses, index or not."""

KEPT_SHARE_MAX = 0.1
"""A scan that keeps more of its rows than this would hardly gain by an index."""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """A sequential scan with a filter in a plan: the planner expects `rows` to pass it."""

    table: str
    filter: str
    rows: float


def scans(plan: Any) -> list[Scan]:
    """The filtered sequential scans of what `EXPLAIN (FORMAT JSON)` returned, decoded.

    A document of another form has none.
    """
    return [
        Scan(
            table=str(node.get("Relation Name", "")),
            filter=str(node["Filter"]),
            rows=float(node.get("Plan Rows", 0)),
        )
        for node in _nodes(plan)
        if node.get("Node Type") == "Seq Scan" and "Filter" in node
    ]


def no_index(
    shape: str, dependency: str, found: Sequence[Scan], table_rows: Mapping[str, float]
) -> list[Suspicion]:
    """One suspicion per table that the statement reads whole to keep few rows of it.

    `table_rows` maps a table to its rows as the planner knows them.
    """
    return [
        Suspicion(
            kind="no_index",
            dependency=dependency,
            shape=shape,
            said=f"reads all {table_rows[scan.table]:,.0f} rows of {scan.table} "
            f"to keep about {max(1, round(scan.rows)):,}, those with {_condition(scan.filter)}",
            advice=f"An index on {scan.table} for that condition; `loadpath ask growth` tries it.",
        )
        for scan in found
        if table_rows.get(scan.table, 0) >= TABLE_ROWS_MIN
        and scan.rows <= KEPT_SHARE_MAX * table_rows[scan.table]
    ]


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, list):
        for each in plan:
            yield from _nodes(each)
    elif isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        for key in ("Plan", "Plans"):
            yield from _nodes(plan.get(key))


def _condition(text: str, limit: int = 60) -> str:
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    return inner if len(inner) <= limit else inner[: limit - 1] + "…"

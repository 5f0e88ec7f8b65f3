"""A statement that reads a whole table to find few of its rows, by the database's own plans."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from loadpath.experiment.attribution.suspicion import Suspicion

TABLE_ROWS_MIN = 100
"""Smaller tables are of kinds and settings as a rule: they need no index, and do not grow."""

SMALL_TABLE_ROWS = 500
"""Below this a good planner reads the table whole even where an index is, and it costs nothing."""

SEARCHED_ROWS_MIN = 5_000
"""A condition that no ordinary index can serve (a word in a text) is worth saying from here on."""

KEPT_SHARE_MAX = 0.1
"""A scan that keeps more of its rows than this would hardly gain by an index."""

_SCANS = frozenset(("Seq Scan", "Index Scan", "Index Only Scan"))
_COMPARED = re.compile(r" (?:=|<|>|<=|>=) ")
_NOT_ORDINARY = re.compile(r" OR |~~| ~\*? | @@ | @> | NOT NULL\b")


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """A table read whole, each row put to a filter: the planner expects `rows` to pass it."""

    table: str
    filter: str
    rows: float

    @property
    def by_value(self) -> bool:
        """Whether an ordinary index could serve the filter: a comparison of columns to values."""
        return bool(_COMPARED.search(self.filter)) and not _NOT_ORDINARY.search(self.filter)


def whole_scans(plan: Any, by_index: Any) -> list[Scan]:
    """The filtered scans of whole tables in a plan, where no index serves the filter.

    Both are what `EXPLAIN (FORMAT JSON)` returned, decoded: `by_index` of a planner that reads by a
    bitmap of an index whatever it can. On small tables the first alone would accuse the innocent: a
    planner does not look into an index for three pages. A document of another form has none.
    """
    served = {
        _place(node) for node in _nodes(by_index) if node.get("Node Type") == "Bitmap Heap Scan"
    }
    return [
        Scan(
            table=str(node.get("Relation Name", "")),
            filter=str(node["Filter"]),
            rows=float(node.get("Plan Rows", 0)),
        )
        for node in _nodes(plan)
        # An index that is walked for its order alone, without a condition, is read whole as well.
        if node.get("Node Type") in _SCANS and "Filter" in node and "Index Cond" not in node
        if _place(node) not in served
    ]


def no_index(
    shape: str, dependency: str, found: Sequence[Scan], table_rows: Mapping[str, float]
) -> list[Suspicion]:
    """One suspicion per table that the statement reads whole to keep few rows of it.

    `table_rows` maps a table to its rows as the planner knows them. Not certain is what costs
    nothing yet, and what only an index of a special kind could serve.
    """
    return [
        _suspicion(shape, dependency, scan, table_rows[scan.table])
        for scan in found
        if table_rows.get(scan.table, 0) >= (TABLE_ROWS_MIN if scan.by_value else SEARCHED_ROWS_MIN)
        and scan.rows <= KEPT_SHARE_MAX * table_rows[scan.table]
    ]


def _suspicion(shape: str, dependency: str, scan: Scan, rows: float) -> Suspicion:
    said = (
        f"reads all {rows:,.0f} rows of {scan.table} to keep about "
        f"{max(1, round(scan.rows)):,}, those with {_condition(scan.filter)}: no index serves that"
    )
    small = rows < SMALL_TABLE_ROWS
    if small:
        said += ". It costs nothing at this size, and grows with the table"
    advice = f"An index on {scan.table} for that condition; `loadpath ask growth` tries it."
    if not scan.by_value:
        advice = "An ordinary index cannot serve it: trigrams (pg_trgm) or text search can."
    return Suspicion(
        kind="no_index",
        dependency=dependency,
        shape=shape,
        said=said,
        advice=advice,
        certain=scan.by_value and not small,
    )


def _place(node: Mapping[str, Any]) -> tuple[Any, Any]:
    return node.get("Relation Name"), node.get("Alias")


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

"""How PostgreSQL ran what a service asked: plans out of its log, and what is to be read in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from systems_common.testing.databases import on_database

__all__ = ["Explained", "explained", "log_plans", "outline", "rows_read", "sequential_scans"]

_PLAN = re.compile(r"duration: [\d.]+ ms  plan:\n((?:\t.*\n)+)")
_SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
}

Plan = dict[str, Any]
"""A node of a plan, as EXPLAIN (ANALYZE, FORMAT JSON) has it."""


class Explained(msgspec.Struct, frozen=True):
    """A statement that was run, and how."""

    sql: str
    plan: Plan


def log_plans(url: str) -> None:
    """From now on every statement of new connections to that database is logged with its plan."""
    name = url.rpartition("/")[2]

    async def work(connection: Any) -> None:
        for setting, value in _SETTINGS.items():
            await connection.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")

    on_database(url, work)


def explained(log: str) -> Iterator[Explained]:
    """The statements and plans in a piece of PostgreSQL's log."""
    for match in _PLAN.finditer(log):
        found = json.loads(match[1])
        yield Explained(found["Query Text"], found["Plan"])


def sequential_scans(plan: Plan) -> list[str]:
    """The tables that a plan reads from end to end."""
    found = [plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else []
    for child in plan.get("Plans", []):
        found += sequential_scans(child)
    return found


def rows_read(plan: Plan) -> float:
    """Rows of tables that the scans of a plan looked at, passed on or not."""
    mine = 0.0
    if "Relation Name" in plan and "Scan" in plan["Node Type"]:
        removed = plan.get("Rows Removed by Filter", 0) + plan.get(
            "Rows Removed by Index Recheck", 0
        )
        mine = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    return mine + sum(map(rows_read, plan.get("Plans", [])))


def outline(plan: Plan, depth: int = 0) -> str:
    """The nodes of a plan, a line each."""
    line = (
        f"{' ' * depth}{plan['Node Type']} {plan.get('Index Name', plan.get('Relation Name', ''))}"
        f" rows {plan['Actual Rows']} × {plan['Actual Loops']},"
        f" removed {plan.get('Rows Removed by Filter', 0)}\n"
    )
    return line + "".join(outline(part, depth + 1) for part in plan.get("Plans", []))

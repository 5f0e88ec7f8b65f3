"""How PostgreSQL would run a statement, asked without running it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any

import asyncpg
import msgspec

_TIMEOUT_S = 5.0
_STATEMENT_TIMEOUT_MS = 1000
_GENERIC_PLAN_SINCE = 16

# reltuples is -1 until the table was first analyzed; the other count begins with the server.
_ROWS = """
SELECT c.relname, greatest(c.reltuples, s.n_live_tup, 0)::float8
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
"""


# What is left is a bitmap of an index, which needs one that serves a condition of the statement
# itself: not the order of its rows, nor a join. Nothing is forbidden, only made to look dear.
_BY_INDEX = """
SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off;
SET enable_nestloop = off
"""


class Plans(msgspec.Struct, frozen=True):
    """`plans` maps a statement to its decoded `EXPLAIN (FORMAT JSON)`, `unexplained` one to why it
    has none. `by_index` are the plans of a planner that reads a table by an index on what the
    statement asks for wherever there is one, however small the table. `table_rows` maps a table to
    its rows as the planner knows them."""

    plans: dict[str, Any]
    by_index: dict[str, Any]
    unexplained: dict[str, str]
    table_rows: dict[str, float]


async def explain(
    statements: Iterable[str], *, host: str, port: int, user: str, password: str, database: str
) -> Plans:
    """Ask for the generic plan of each statement, whose values may be parameters $1, $2, ….

    Nothing is run: it is EXPLAIN without ANALYZE, in a read-only transaction. Raises `OSError` or
    `asyncpg.PostgresError` when the server cannot be asked at all.
    """
    connection = await asyncpg.connect(
        host=host,
        port=port,
        user=user,
        password=password,
        database=database,
        timeout=_TIMEOUT_S,
        command_timeout=_TIMEOUT_S,
        server_settings={
            "application_name": "loadpath",
            "default_transaction_read_only": "on",
            "statement_timeout": str(_STATEMENT_TIMEOUT_MS),
        },
    )
    try:
        rows = {name: float(count) for name, count in await connection.fetch(_ROWS)}
        if connection.get_server_version().major < _GENERIC_PLAN_SINCE:
            why = f"generic plans need PostgreSQL {_GENERIC_PLAN_SINCE}"
            return Plans({}, {}, dict.fromkeys(statements, why), rows)
        plans, unexplained = await _plans(connection, statements)
        await connection.execute(_BY_INDEX)
        by_index, not_again = await _plans(connection, plans)
        return Plans(plans, by_index, {**unexplained, **not_again}, rows)
    finally:
        await connection.close(timeout=_TIMEOUT_S)


async def _plans(
    connection: asyncpg.Connection, statements: Iterable[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    plans: dict[str, Any] = {}
    unexplained: dict[str, str] = {}
    for statement in statements:
        try:
            plans[statement] = msgspec.json.decode(await _plan(connection, statement))
        except asyncpg.PostgresError as error:
            unexplained[statement] = str(error)
    return plans, unexplained


async def _plan(connection: asyncpg.Connection, statement: str) -> str:
    """The plan as JSON.

    The extended protocol, in which rows are fetched, wants a value for each parameter, and the
    planner then uses it. So the simple one it is, and a notice brings the plan.
    """
    mark = f"$p{secrets.token_hex(8)}$"
    told: list[str] = []

    def hear(_: Any, message: asyncpg.PostgresLogMessage) -> None:
        told.append(str(message.message))

    connection.add_log_listener(hear)
    try:
        await connection.execute(
            f"DO {mark} DECLARE plan text; BEGIN "
            f"EXECUTE {mark[:-1]}q$EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement}{mark[:-1]}q$ "
            f"INTO plan; RAISE NOTICE '%', plan; END {mark}"
        )
        await connection.fetchval("SELECT 1")  # listeners are called in the loop's next turns
        await asyncio.sleep(0)
    finally:
        connection.remove_log_listener(hear)
    return told[-1]

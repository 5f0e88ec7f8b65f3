"""What a database has besides its tables: which indexes there are."""

from __future__ import annotations

import asyncpg

from loadpath.statements.candidates import Existing

_INDEXES = """
SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS "table",
       pg_get_expr(x.indpred, x.indrelid) AS "where",
       array_agg(a.attname || CASE WHEN x.indoption[k - 1] & 1 = 1 THEN ' DESC' ELSE '' END
                 ORDER BY k) AS columns
FROM pg_index x
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_am m ON m.oid = i.relam AND m.amname = 'btree'
CROSS JOIN generate_series(1, x.indnkeyatts) AS k
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[k - 1]
WHERE x.indisvalid AND x.indexprs IS NULL AND n.nspname NOT IN ('pg_catalog', 'information_schema')
GROUP BY x.indexrelid, n.nspname, c.relname, x.indpred, x.indrelid
"""


async def existing(connection: asyncpg.Connection) -> list[Existing]:
    """The btree indexes over plain columns."""
    rows = await connection.fetch(_INDEXES)
    return [
        Existing(
            table=row["table"],
            columns=tuple(row["columns"]),
            # PostgreSQL puts a condition into parentheses.
            where=(row["where"] or "").removeprefix("(").removesuffix(")"),
        )
        for row in rows
    ]

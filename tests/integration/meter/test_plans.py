"""Plans as a real PostgreSQL makes them, asked for without running anything."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from loadpath.experiment.attribution.suspects.noindex import no_index, scans
from loadpath.meter.plans import Plans, explain
from tests.integration.meter.test_postgres_activity import connection, postgres

BY_OWNER = "SELECT * FROM big WHERE owner = $1 ORDER BY owner LIMIT $2"
BY_ID = "SELECT * FROM big WHERE id = $1"
SMALL = "SELECT * FROM small WHERE owner = $1"
WRITE = "DELETE FROM big WHERE owner = $1"
BROKEN = "SELECT * FROM nothing WHERE id = $1"


async def asked() -> tuple[Plans, int]:
    async with postgres() as dependencies:
        where: dict[str, Any] = connection(dependencies)
        client = await asyncpg.connect(**where)
        await client.execute(
            """
            CREATE TABLE big AS SELECT n AS id, n % 1000 AS owner FROM generate_series(1, 20000) n;
            CREATE UNIQUE INDEX ON big (id);
            CREATE TABLE small AS SELECT n AS id, n AS owner FROM generate_series(1, 50) n;
            ANALYZE;
            """
        )
        plans = await explain([BY_OWNER, BY_ID, SMALL, WRITE, BROKEN], **where)
        left = await client.fetchval("SELECT count(*) FROM big")
        await client.close()
        return plans, left


def test_only_the_statement_without_an_index_is_accused_and_nothing_is_run() -> None:
    found, left = asyncio.run(asked())
    assert left == 20000
    assert found.unexplained.keys() == {BROKEN}
    assert "nothing" in found.unexplained[BROKEN]
    accused = {
        statement: no_index(statement, "database", scans(plan), found.table_rows)
        for statement, plan in found.plans.items()
    }
    assert {statement for statement, suspicions in accused.items() if suspicions} == {
        BY_OWNER,
        WRITE,
    }
    (said,) = [suspicion.said for suspicion in accused[BY_OWNER]]
    assert said.startswith("reads all 20,000 rows of big to keep about")
    assert "owner = $1" in said

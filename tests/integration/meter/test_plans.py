"""Plans as a real PostgreSQL makes them, asked for without running anything."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from loadpath.experiment.attribution import Suspicion
from loadpath.experiment.attribution.suspects.noindex import no_index, whole_scans
from loadpath.meter.plans import Plans, explain
from tests.integration.meter.test_postgres_activity import connection, postgres

TABLES = """
CREATE TABLE big AS SELECT n AS id, n % 1000 AS owner, n % 2 AS side, 'word ' || n AS title
    FROM generate_series(1, 20000) n;
CREATE UNIQUE INDEX ON big (id);
CREATE TABLE page AS SELECT n AS id, n % 40 AS owner, n % 40 AS parent, 'word ' || n AS title
    FROM generate_series(1, 400) n;
CREATE UNIQUE INDEX ON page (id);
CREATE INDEX ON page (parent);
CREATE TABLE kind AS SELECT n AS id, 'kind ' || n AS name FROM generate_series(1, 50) n;
ANALYZE;
"""

BY_OWNER = "SELECT * FROM big WHERE owner = $1 ORDER BY owner LIMIT $2"
WRITE = "DELETE FROM big WHERE owner = $1"
IN_ORDER = "SELECT * FROM big WHERE owner = $1 ORDER BY id LIMIT 100"
WORD = "SELECT id FROM big WHERE title ILIKE $1 LIMIT 20"
PAGE_BY_OWNER = "SELECT * FROM page WHERE owner = $1"
PAGE_IN_ORDER = "SELECT * FROM page WHERE owner = $1 ORDER BY id LIMIT 100"
ACCUSED = {
    BY_OWNER: ("big", True),
    WRITE: ("big", True),
    IN_ORDER: ("big", True),
    WORD: ("big", False),
    PAGE_BY_OWNER: ("page", False),
    PAGE_IN_ORDER: ("page", False),
}
"""Statement → the table that it reads whole, and whether that is certain."""

CLEAN = {
    "by its key": "SELECT * FROM big WHERE id = $1",
    "most of a table": "SELECT count(*) FROM big WHERE side = $1",
    "a table of kinds": "SELECT * FROM kind WHERE name = $1",
    "an index that a small table does not need": "SELECT * FROM page WHERE parent = $1",
    "the same in the order of another": "SELECT * FROM page WHERE parent = $1 ORDER BY id LIMIT 9",
    "and in a join": "SELECT p.*, k.name FROM page p JOIN kind k ON k.id = p.owner "
    "WHERE p.parent = $1",
    "many keys at once": "SELECT * FROM page WHERE parent = ANY($1)",
    "a word in a small table": "SELECT id FROM page WHERE title ILIKE $1",
    "all of it": "SELECT * FROM big ORDER BY id LIMIT $1",
}
BROKEN = "SELECT * FROM nothing WHERE id = $1"


async def asked() -> tuple[Plans, int]:
    async with postgres() as dependencies:
        where: dict[str, Any] = connection(dependencies)
        client = await asyncpg.connect(**where)
        await client.execute(TABLES)
        plans = await explain([*ACCUSED, *CLEAN.values(), BROKEN], **where)
        left = await client.fetchval("SELECT count(*) FROM big")
        await client.close()
        return plans, left


@pytest.fixture(scope="module")
def found() -> Plans:
    plans, left = asyncio.run(asked())
    assert left == 20000, "nothing is run"
    return plans


def accused(found: Plans, statement: str) -> list[Suspicion]:
    unserved = whole_scans(found.plans[statement], found.by_index[statement])
    return no_index(statement, "database", unserved, found.table_rows)


def test_what_cannot_be_planned_is_told_with_its_reason(found: Plans) -> None:
    assert found.unexplained.keys() == {BROKEN}
    assert "nothing" in found.unexplained[BROKEN]


@pytest.mark.parametrize("statement", ACCUSED)
def test_a_statement_without_an_index_is_accused(found: Plans, statement: str) -> None:
    table, certain = ACCUSED[statement]
    (suspicion,) = accused(found, statement)
    assert suspicion.certain is certain
    assert suspicion.said.startswith(f"reads all {found.table_rows[table]:,.0f} rows of {table} ")
    assert ("title" if statement == WORD else "owner = $1") in suspicion.said


@pytest.mark.parametrize("what", CLEAN)
def test_one_that_an_index_serves_or_need_not_is_let_be(found: Plans, what: str) -> None:
    assert accused(found, CLEAN[what]) == []

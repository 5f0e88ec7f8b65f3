"""No list reads a growing table from end to end, with 100,000 links and 200,000 visits.

SHORTENER_PLAN_LINKS is another number of links.
"""

from __future__ import annotations

import os

import asyncpg
import pytest
from shortener.link_lists import Statement
from shortener.plans import Query, add_what_is_rare, breaches, list_queries
from shortener.testing import command, new_database, on_database
from systems_common.testing import EmbeddedServer

LINKS = os.environ.get("SHORTENER_PLAN_LINKS", "100000")


@pytest.fixture(scope="module")
def large_database(postgres: EmbeddedServer) -> str:
    url = new_database(postgres.url)
    for arguments in (("migrate",), ("seed", "--links", LINKS)):
        done = command(url, *arguments, timeout_s=600, SEED_API_KEY="key")
        assert done.returncode == 0, done.stderr
    on_database(url, add_what_is_rare)
    return url


def test_no_list_reads_a_growing_table_to_its_end(large_database: str) -> None:
    async def found(connection: asyncpg.Connection) -> list[str]:
        queries = await list_queries(connection)
        assert len(queries) > 500
        return await breaches(connection, queries)

    assert on_database(large_database, found) == []


def test_a_sequential_scan_is_noticed(large_database: str) -> None:
    async def found(connection: asyncpg.Connection) -> list[str]:
        # The index of this order is gone for the length of a transaction.
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute("DROP INDEX link_by_long_url")
            statement = Statement("SELECT id FROM link ORDER BY left(long_url, 512), id", [])
            return await breaches(connection, [Query("links by address", statement)])
        finally:
            await transaction.rollback()

    assert on_database(large_database, found) == ["links by address: reads all of link"]

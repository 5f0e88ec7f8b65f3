"""No list reads a growing table from end to end, with 100,000 links and 200,000 visits.

SHORTENER_PLAN_LINKS is another number of links.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from shortener import links, redirect, slots, targets, visits
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


NOW = datetime(2026, 1, 1, tzinfo=UTC)
IDS = [10**17 + number for number in range(500)]
ONE_VISIT = (IDS[0], 1, NOW, False, None, None, None, None, None)
OF_REDIRECTS: dict[str, tuple[str, list[Any]]] = {
    "a redirect": (targets._SELECT, ["s000001", ""]),
    "its rules": (targets._SELECT_RULES, [1]),
    "what is left of its visits": (redirect._VISITS_LEFT, [1]),
    "a visit": (visits._STORE_ONE, [*ONE_VISIT]),
    "a visit in a slot": (slots._STORE, [*ONE_VISIT, 3]),
    "500 visits": (
        visits._STORE_MANY,
        [
            IDS,
            [1 + number % 300 for number in range(500)],
            [NOW] * 500,
            [False] * 500,
            *[["x"] * 500] * 5,
        ],
    ),
    "folding": (slots._FOLD, []),
    "a link by its code": (links._BY_CODE, ["s000001", ""]),
}


def test_no_statement_of_a_redirect_reads_a_growing_table_to_its_end(large_database: str) -> None:
    queries = [Query(name, Statement(*of)) for name, of in OF_REDIRECTS.items()]
    assert on_database(large_database, lambda c: breaches(c, queries)) == []


def test_what_goes_with_a_link_is_found_by_an_index(large_database: str) -> None:
    """Deletions cascade by statements of their own, which no plan shows."""
    unindexed = on_database(
        large_database,
        lambda c: c.fetch(
            """SELECT conrelid::regclass::text FROM pg_constraint AS f
               WHERE contype = 'f' AND confdeltype = 'c' AND NOT EXISTS (
                   SELECT FROM pg_index AS i
                   WHERE i.indrelid = f.conrelid AND i.indkey[0] = f.conkey[1])"""
        ),
    )
    assert unindexed == []


def test_visit_index_drops_the_index_and_makes_it_again(large_database: str) -> None:
    # Not the newest 20: of very many visits PostgreSQL would rather walk all by their ids.
    of_a_link = "SELECT count(user_agent) FROM visit WHERE link_id = $1"
    query = Query("visits", Statement(of_a_link, [12_345]))
    for wanted, found in (("off", ["visits: reads all of visit"]), ("on", [])) * 2:
        done = command(large_database, "migrate", VISIT_INDEX=wanted)
        assert done.returncode == 0, done.stderr
        assert on_database(large_database, lambda c: breaches(c, [query])) == found
    assert command(large_database, "migrate", VISIT_INDEX="perhaps").returncode == 78

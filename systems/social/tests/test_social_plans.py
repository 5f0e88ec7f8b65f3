"""Every list reads what it shows and little more, on any page, among 100,000 statuses and as many
follows (`SOCIAL_PLAN_STATUSES`)."""

from __future__ import annotations

import itertools
import json
import os
from typing import Any

import pytest
from social import conversations
from social.api.pages import OF_ACCOUNT
from social.api.search import FOUND
from social.api.timelines import PUBLIC, TAG, WITH_MEDIA
from social.fanout import followers_sql
from social.home_sql import (
    FOLLOWED,
    LISTED,
    LISTED_REPLIES,
    home_ids_sql,
    home_pages_sql,
    merged_ids_sql,
)
from social.notices import COLUMNS, SOURCE
from social.pages import paged
from social.people import LISTS
from social.statuses import pages_sql
from social.testing import migrated_database, on_database
from social.visibility import READABLE
from systems_common.testing import EmbeddedServer
from systems_common.testing.plans import outline, rows_read

STATUSES = int(os.environ.get("SOCIAL_PLAN_STATUSES", "100000"))
VIEWER = 7
MIDDLE, BEYOND = STATUSES // 2, 1 << 30


# Account n follows the twenty after it, and all follow account 5; a hundred ask to follow 7. Each
# writes 20 statuses; fifty in all say something rare. The first hundred favourite, bookmark and are
# told of the first 200 statuses; 200 share status 5. Everybody blocks five and mutes five.
def fill_sql(statuses: int) -> str:
    accounts = statuses // 20
    return f"""
INSERT INTO account (id, username) SELECT n, 'u' || n FROM generate_series(1, {accounts}) AS n;
INSERT INTO follow (id, account_id, target_id)
    SELECT n * 100 + k, n, 1 + (n + k) % {accounts}
    FROM generate_series(1, {accounts}) AS n, generate_series(0, 19) AS k;
INSERT INTO follow (id, account_id, target_id)
    SELECT {BEYOND} + n, n, 5 FROM generate_series(10, {accounts}) AS n ON CONFLICT DO NOTHING;
INSERT INTO follow_request (id, account_id, target_id)
    SELECT n, n, 7 FROM generate_series(1000, 1100) AS n;
INSERT INTO status (id, account_id, visibility, text, has_media)
    SELECT n, 1 + n % {accounts}, 0,
           CASE WHEN n % {statuses // 50} = 0 THEN 'rare' ELSE 'text' END, n % 50 = 8
    FROM generate_series(1, {statuses}) AS n;
INSERT INTO status (id, account_id, visibility, reblog_of_id)
    SELECT {BEYOND} + n, n, 0, 5 FROM generate_series(1, 200) AS n;
INSERT INTO status_tag (name, status_id)
    SELECT 'often', n FROM generate_series(1, {statuses}, 4) AS n;
INSERT INTO favourite (id, account_id, status_id)
    SELECT n * 1000 + s, n, s FROM generate_series(1, 100) AS n, generate_series(1, 200) AS s;
INSERT INTO bookmark SELECT * FROM favourite;
INSERT INTO notification (id, account_id, sender_id, kind, status_id)
    SELECT n * 1000 + s, n, 1 + (n + s) % {accounts}, 2, s
    FROM generate_series(1, 100) AS n, generate_series(1, 200) AS s;
INSERT INTO conversation (id, account_id, thread_id, participants, last_status_id, unread)
    SELECT n * 1000 + s, n, s, ARRAY[1 + (n + s) % {accounts}], s, true
    FROM generate_series(1, 100) AS n, generate_series(1, 200) AS s;
INSERT INTO list (id, account_id, title) VALUES (1, 7, 'List');
INSERT INTO list_member SELECT id, 1, 7, target_id FROM follow WHERE account_id = 7;
INSERT INTO block (id, account_id, target_id)
    SELECT n * 100 + k, n, 500 + k FROM generate_series(1, {accounts}) AS n,
    generate_series(1, 5) AS k WHERE n <> 500 + k;
INSERT INTO mute (id, account_id, target_id) SELECT id, account_id, target_id + 100 FROM block
    WHERE account_id <> target_id + 100;
INSERT INTO fanout SELECT id FROM status WHERE account_id = 5 AND id < {statuses};
"""


def statuses_sql(source: str, key: str = "s.id") -> str:
    return paged("s.id", source, key, rising=False, paging="keyset")


def of_table(table: str) -> str:
    source = f"FROM {table} AS r WHERE r.account_id = $1"
    return paged("r.id, r.status_id", source, "r.id", rising=False, paging="keyset")


# The statement, its own arguments, and where the page begins.
PEOPLE = {
    f"people: {name}": (
        paged(*LISTS[name], "r.id", rising=False, paging="keyset"),
        ({"list": 1, "followers": 5, "favourited_by": 5, "reblogged_by": 5}.get(name, VIEWER),),
        1 << 40,
    )
    for name in LISTS
}
READS: dict[str, tuple[str, tuple[Any, ...], int]] = {
    "account": (statuses_sql("FROM status AS s WHERE s.account_id = $5 AND $1 > 0"), (9,), MIDDLE),
    "account media": (
        statuses_sql(f"FROM status AS s WHERE s.account_id = $5 AND $1 > 0 {WITH_MEDIA}"),
        (9,),
        MIDDLE,
    ),
    "account for anybody": (statuses_sql(f"{OF_ACCOUNT} AND $1 > 0"), (9,), MIDDLE),
    "public media": (statuses_sql(f"{PUBLIC} {WITH_MEDIA} AND {READABLE}"), (), MIDDLE),
    "public": (statuses_sql(f"{PUBLIC} AND {READABLE}"), (), MIDDLE),
    "tag": (statuses_sql(f"{TAG} AND {READABLE}", "t.status_id"), ("often", [], []), MIDDLE),
    "favourites": (of_table("favourite"), (), 1 << 40),
    "bookmarks": (of_table("bookmark"), (), 1 << 40),
    "notifications": (
        paged(COLUMNS, SOURCE, "n.id", rising=False, paging="keyset"),
        ([0, 1, 2, 3, 4, 5], None),
        1 << 40,
    ),
    "conversations": (
        paged(
            conversations.COLUMNS,
            conversations.SOURCE,
            "c.last_status_id",
            rising=False,
            paging="keyset",
        ),
        (),
        1 << 40,
    ),
    "home": (home_ids_sql(FOLLOWED), (), MIDDLE),
    "home, merged": (merged_ids_sql(), (), 1 << 40),
    "list": (home_ids_sql(LISTED, rule=LISTED_REPLIES), (1,), MIDDLE),
    # All that has the words is read, and sorted; nothing else is.
    "search": (statuses_sql(f"{FOUND} AND {READABLE}"), ("rare", None), 1 << 40),
    **PEOPLE,
}


def filled_database(postgres: EmbeddedServer, statuses: int) -> str:
    url = postgres.url.rpartition("/")[0] + "/" + migrated_database(postgres.url)

    async def fill(connection: Any) -> None:
        # Foreign keys hold by how it is made; looking at each takes longer than all the rest.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(fill_sql(statuses))
        await connection.execute("VACUUM ANALYZE")

    on_database(url, fill)
    return url


@pytest.fixture(scope="module")
def filled(postgres: EmbeddedServer) -> str:
    return filled_database(postgres, STATUSES)


@pytest.fixture(scope="module")
def filled_a_little(postgres: EmbeddedServer) -> str:
    return filled_database(postgres, 20_000)


@pytest.mark.parametrize("name", READS)
def test_a_page_reads_little_more_than_it_shows(filled: str, name: str) -> None:
    sql, arguments, upper = READS[name]

    async def explain(connection: Any) -> Any:
        return await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", VIEWER, upper, -1, 20, *arguments
        )

    plan = json.loads(on_database(filled, explain))[0]["Plan"]
    assert plan["Actual Rows"] > 0
    # A home reads a few of each of the 21 whose statuses stand there, twice; others 20 rows, with
    # a look-up or two for each.
    most = 21 * 30 if name in ("home", "list") else 200
    assert rows_read(plan) <= most, outline(plan)


@pytest.mark.parametrize("upper", [10_000, 1 << 40])
def test_pages_of_homes_are_looked_up_by_their_ids(filled_a_little: str, upper: int) -> None:
    """Also where there are so few statuses that reading them in their order looks cheap.

    On the first pages all are shares of one status.
    """
    sql = pages_sql(home_pages_sql(), counters="stored")
    viewers = [VIEWER, VIEWER + 1]

    async def run(connection: Any) -> tuple[int, Any]:
        homes = [
            [row[0] for row in await connection.fetch(home_ids_sql(FOLLOWED), one, upper, -1, 20)]
            for one in viewers
        ]
        await connection.execute(
            f"""PREPARE pages (bigint[], bigint[], bigint[], bigint[], bigint[], integer[],
                               integer[]) AS {sql}"""
        )
        for _ in range(10):
            await connection.execute(execute([VIEWER], upper, [homes[0][:1]]))
        planned = await connection.fetchval(
            "SELECT custom_plans FROM pg_prepared_statements WHERE name = 'pages'"
        )
        return planned, await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {execute(viewers, upper, homes)}"
        )

    planned, explained = on_database(filled_a_little, run)
    # PostgreSQL tries five times whether a plan for just these is worth it.
    assert planned == 5
    plan = json.loads(explained)[0]["Plan"]
    assert plan["Actual Rows"] == (40 if upper == 10_000 else 42)
    assert rows_read(plan) <= 400, outline(plan)


def execute(viewers: list[int], upper: int, homes: list[list[int]]) -> str:
    ends = list(itertools.accumulate(map(len, homes)))
    arrays = (
        viewers,
        [upper] * len(homes),
        [ids[-1] - 1 for ids in homes],
        [20] * len(homes),
        list(itertools.chain(*homes)),
        [1, *(end + 1 for end in ends[:-1])],
        ends,
    )
    return f"EXECUTE pages ({', '.join(f'ARRAY{one}' for one in arrays)})"


def test_the_last_follower_is_read_as_fast_as_the_first(filled: str) -> None:
    async def explain(connection: Any) -> Any:
        mine = [row[0] for row in await connection.fetch("SELECT status_id FROM fanout ORDER BY 1")]
        last = await connection.fetchval("SELECT max(id) - 3 FROM follow WHERE target_id = 5")
        return await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {followers_sql(hybrid=True)}", mine, mine[-1], last
        )

    plan = json.loads(on_database(filled, explain))[0]["Plan"]
    assert plan["Actual Rows"] == 3
    assert rows_read(plan) <= 100, outline(plan)

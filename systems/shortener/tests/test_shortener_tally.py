"""Counters and the tally never drift: whatever is done to links, a recount agrees."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shortener.code_sources import RandomCodes
from shortener.links import (
    Author,
    LinkDraft,
    LinkEdit,
    create_link,
    delete_link,
    delete_visits_of,
    edit_link,
)
from shortener.orphans import delete_orphans
from shortener.tags import delete_tags, rename_tag
from shortener.testing import command, new_database
from shortener.visit_lists import overview
from shortener.visits import Visit, store_one, store_visits
from systems_common.database import Database
from systems_common.ids import IdGenerator
from systems_common.problems import ProblemError
from systems_common.testing import EmbeddedServer

TAGS = ("red", "green", "blue")
CODES = ("one", "two", "three", "four")
DOMAINS = ("", "other.example")
STEPS = (
    "create",
    "visit",
    "visits",
    "retag",
    "delete",
    "delete visits",
    "rename tag",
    "delete tag",
    "orphans",
    "delete orphans",
)
WRITERS = 4

_DRIFT = """
SELECT 'counter', c.link_id, c.total, c.bots FROM link_counter AS c
WHERE (c.total, c.bots) <> (
    SELECT count(*), count(*) FILTER (WHERE bot) FROM visit WHERE visit.link_id = c.link_id)
UNION ALL
SELECT 'scopes', c.link_id, 0, 0 FROM link_counter AS c WHERE c.scopes[1] <> (
    SELECT domain.id FROM domain JOIN link ON link.domain = domain.name WHERE link.id = c.link_id)
UNION ALL
SELECT 'tags', c.link_id, 0, 0 FROM link_counter AS c
WHERE ARRAY(SELECT id FROM tag WHERE id = ANY (c.scopes) ORDER BY id)
    <> ARRAY(SELECT tag_id FROM link_tag WHERE link_tag.link_id = c.link_id ORDER BY tag_id)
UNION ALL
SELECT 'tally', scope, total, bots FROM (
    SELECT scope, sum(links)::bigint AS links, sum(total)::bigint AS total,
           sum(bots)::bigint AS bots
    FROM (SELECT scope, links, total, bots FROM tally
          UNION ALL SELECT scope, -links, -total, -bots FROM recounted_tally()) AS both_sides
    WHERE scope <= 10 OR scope IN (SELECT id FROM tag UNION ALL SELECT id FROM domain)
    GROUP BY scope
) AS differences WHERE (links, total, bots) <> (0, 0, 0)"""


@pytest.fixture(scope="module")
def database_url(postgres: EmbeddedServer) -> str:
    url = new_database(postgres.url)
    done = command(url, "migrate")
    assert done.returncode == 0, done.stderr
    return url


class Writer:
    """Does random things to links, one after the other."""

    def __init__(self, database: Database, ids: IdGenerator, seed: int) -> None:
        self.database = database
        self.ids = ids
        self.chance = random.Random(seed)

    async def step(self, name: str) -> None:
        """One of STEPS; what is not there, or taken, is left alone."""
        work: Callable[[], Awaitable[Any]] = getattr(self, name.replace(" ", "_"))
        try:
            await work()
        except ProblemError as problem:
            assert problem.status in (400, 404, 409), problem

    def _tags(self) -> tuple[str, ...]:
        return tuple(tag for tag in TAGS if self.chance.random() < 0.5)

    async def _link_id(self) -> int:
        found: int | None = await self.database.fetchval(
            "SELECT id FROM link WHERE code = $1 AND domain = $2", *self._place()
        )
        # A link that is gone: its visits are to be left out.
        return 10**9 if found is None else found

    def _place(self) -> tuple[str, str]:
        return self.chance.choice(CODES), self.chance.choice(DOMAINS)

    def _visit(self, link_id: int) -> Visit:
        return Visit(self.ids.next(), link_id, self.chance.random() < 0.3, None, None, None)

    async def create(self) -> None:
        code, domain = self._place()
        draft = LinkDraft(
            long_url="https://example.com/", slug=code, domain=domain, tags=self._tags()
        )
        await create_link(self.database, RandomCodes(), draft, Author(1))

    async def visit(self) -> None:
        await store_one(self.database, self._visit(await self._link_id()))

    async def visits(self) -> None:
        visits = [self._visit(await self._link_id()) for _ in range(5)]
        await store_visits(self.database, visits)
        # Delivered once more.
        await store_visits(self.database, visits[:3])

    async def retag(self) -> None:
        await edit_link(self.database, *self._place(), LinkEdit({}, self._tags()))

    async def delete(self) -> None:
        await delete_link(self.database, *self._place(), visits_max=None)

    async def delete_visits(self) -> None:
        await delete_visits_of(self.database, await self._link_id())

    async def rename_tag(self) -> None:
        await rename_tag(self.database, self.chance.choice(TAGS), self.chance.choice(TAGS))

    async def delete_tag(self) -> None:
        await delete_tags(self.database, [self.chance.choice(TAGS)])

    async def orphans(self) -> None:
        await self.database.fetch(
            """INSERT INTO orphan_visit (id, type, visited_at, bot, visited_url)
               SELECT unnest($1::bigint[]), $2, now(), $3, ''""",
            [self.ids.next() for _ in range(3)],
            self.chance.choice(("base_url", "invalid_short_url", "regular_404")),
            self.chance.random() < 0.5,
        )

    async def delete_orphans(self) -> None:
        await delete_orphans(self.database)


async def run(url: str, plans: list[list[str]], seed: int) -> None:
    connection = await asyncpg.connect(url)
    database = await Database.open(url, WRITERS, name="tally")
    try:
        await connection.execute("DELETE FROM link; DELETE FROM tag; DELETE FROM orphan_visit")
        await connection.execute(
            "INSERT INTO api_key (id, digest, name) VALUES (1, '', 'me') ON CONFLICT DO NOTHING"
        )
        number = await connection.fetchval("SELECT nextval('worker_number')")
        ids = IdGenerator(number)

        async def write(index: int, plan: list[str]) -> None:
            writer = Writer(database, ids, seed + index)
            for name in plan:
                await writer.step(name)

        await asyncio.gather(*(write(index, plan) for index, plan in enumerate(plans)))
        assert await connection.fetch(_DRIFT) == []
        sums = await overview(database)
        visits = await connection.fetchrow(
            "SELECT count(*), count(*) FILTER (WHERE bot) FROM visit"
        )
        assert (sums.total, sums.bots) == tuple(visits)
        orphans = await connection.fetchval("SELECT count(*) FROM orphan_visit")
        assert sums.orphan_total == orphans
    finally:
        await database.close()
        await connection.close()


@given(
    st.lists(
        st.lists(st.sampled_from(STEPS), min_size=1, max_size=25),
        min_size=WRITERS,
        max_size=WRITERS,
    ),
    st.integers(0, 2**32),
)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_writers_at_the_same_time_leave_no_drift(
    database_url: str, plans: list[list[str]], seed: int
) -> None:
    asyncio.run(run(database_url, plans, seed))


def test_many_writers_on_few_links_leave_no_drift(database_url: str) -> None:
    chance = random.Random(7)
    plans = [["create"] * 3 + chance.choices(STEPS, k=120) for _ in range(WRITERS)]
    asyncio.run(run(database_url, plans, 7))

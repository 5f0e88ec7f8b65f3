"""A clone grown on a real PostgreSQL: every constraint kept, distributions as they were."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from loadpath.deploy import RunningDependency
from loadpath.errors import UnsafeTargetError, WouldNotRunError
from loadpath.events import AnyEvent, GrowthProgress, discard
from loadpath.experiment.growth.catalog import read_schema
from loadpath.experiment.growth.clone import PREFIX, check_room, cloned, connect, drop_leftovers
from loadpath.experiment.growth.grower import GrowthRefusedError, grow, prepare
from loadpath.growing.families import families
from loadpath.growing.plan import Grown, Plan, Refusal
from loadpath.spec import Growth
from loadpath.spec.growth import Reference
from tests.integration.experiment.growth.conftest import VERIFIED, Server

EVERYTHING = (Path(__file__).parent / "everything.sql").read_text("utf-8")
PGBENCH = """
CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int REFERENCES pgbench_branches,
    tbalance int, filler char(84));
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int REFERENCES pgbench_branches,
    abalance int, filler char(84));
CREATE TABLE pgbench_history (tid int REFERENCES pgbench_tellers,
    bid int REFERENCES pgbench_branches, aid int REFERENCES pgbench_accounts, delta int,
    mtime timestamp, filler char(22));
INSERT INTO pgbench_branches SELECT n, 0 FROM generate_series(1, 3) n;
INSERT INTO pgbench_tellers SELECT n, n % 3 + 1, 0 FROM generate_series(1, 30) n;
INSERT INTO pgbench_accounts SELECT n, n % 3 + 1, 0 FROM generate_series(1, 3000) n;
INSERT INTO pgbench_history SELECT n % 30 + 1, n % 3 + 1, n % 3000 + 1, n, now()
FROM generate_series(1, 500) n;
"""

SHAPES = {
    "posts of each author": 'SELECT count(p.id) FROM "User" u LEFT JOIN post p ON p.author = u.id '
    "GROUP BY u.id",
    "lengths of bodies, and NULLs": "SELECT length(body) FROM post",
    "lengths of bios, and NULLs": "SELECT length(bio) FROM profile",
    "followers": "SELECT count(*) FROM follow GROUP BY followed",
    "moods": 'SELECT mood::text FROM "User"',
    "countries, and NULLs": 'SELECT country FROM "User"',
    "answers to each post": "SELECT count(a.id) FROM post p LEFT JOIN post a ON a.reply_to = p.id "
    "GROUP BY p.id",
    "lines of each order": "SELECT count(*) FROM order_line GROUP BY account, number",
    "how long after it was made a post was edited": "SELECT edited_at - created_at FROM post",
    "how long bookings last": "SELECT upper(during) - lower(during) FROM booking",
}
"""Queries whose answers, as a distribution, more users do not alter."""


@pytest.fixture(scope="module")
def everything(server: Server) -> RunningDependency:
    return server.database(EVERYTHING)


def shapes(server: Server, running: RunningDependency) -> dict[str, Counter[object]]:
    return {
        name: Counter(row[0] for row in server.fetch(running, sql)) for name, sql in SHAPES.items()
    }


async def clone_and_grow(
    running: RunningDependency, axis: str, factor: int, emit: object = discard
) -> Grown:
    """Grow a clone and have PostgreSQL look at it."""
    connection = await connect(running)
    schema = await read_schema(connection)
    made = await prepare(connection, schema, families(schema), axis, factor)  # type: ignore[arg-type]
    await connection.close()
    assert isinstance(made, Plan), str(made)
    async with cloned(running, needed_bytes=made.needed_bytes) as clone:
        result = await grow(clone, made, emit, schema=schema)  # type: ignore[arg-type]
        connection = await connect(clone)
        await connection.execute(VERIFIED)
        await connection.close()
    return result


def test_more_users_of_everything_there_can_be(
    server: Server, everything: RunningDependency
) -> None:
    events: list[AnyEvent] = []
    grown = server.run(clone_and_grow(everything, "users", 16, events.append))
    before = server.schema(everything)
    assert grown.rows == {
        table.name: table.rows * 16
        for table in before.tables
        if table.name not in ("country", "room")
    }
    copied = [e for e in events if isinstance(e, GrowthProgress) and e.step == "copying"]
    assert {e.table: e.rows for e in copied} == grown.rows
    assert any("louder" in note for note in grown.notes)


def test_more_users_have_what_users_have(server: Server) -> None:
    running = server.database(EVERYTHING)
    before = shapes(server, running)
    assert isinstance(server.grown(running, "users", 4), Grown)
    after = shapes(server, running)
    for name, counts in before.items():
        assert after[name] == Counter({each: 4 * n for each, n in counts.items()}), name


def test_more_history_reaches_back_and_leaves_users_as_they_are(server: Server) -> None:
    running = server.database(EVERYTHING)
    per_author = "SELECT author, count(*) AS n, max(created_at) AS at FROM post GROUP BY author"
    before = {row["author"]: row for row in server.fetch(running, per_author)}
    edits = "SELECT edited_at - created_at FROM post WHERE edited_at IS NOT NULL"
    gaps = {row[0] for row in server.fetch(running, edits)}
    first = server.fetch(running, "SELECT min(created_at) FROM post")[0][0]
    grown = server.grown(running, "history", 4)
    server.verify(running)
    assert isinstance(grown, Grown)
    assert "User" not in grown.rows and "profile" not in grown.rows and "follow" not in grown.rows
    after = {row["author"]: row for row in server.fetch(running, per_author)}
    assert {a: row["n"] for a, row in after.items()} == {a: 4 * r["n"] for a, r in before.items()}
    assert {a: row["at"] for a, row in after.items()} == {a: r["at"] for a, r in before.items()}
    assert {row[0] for row in server.fetch(running, edits)} == gaps
    assert server.fetch(running, "SELECT min(created_at) FROM post")[0][0] < first
    times = server.fetch(running, "SELECT count(*), count(DISTINCT at) FROM visit")[0]
    assert times[0] == times[1] == 800


def test_what_comes_next_fits_and_views_are_fresh(server: Server) -> None:
    running = server.database(EVERYTHING)
    server.grown(running, "users", 3)
    server.fetch(
        running,
        'INSERT INTO "User" (email, handle, token, mood, created_at) '
        "VALUES ('new@mail.org', 'new', 'new', 'good', now())",
    )
    server.fetch(running, "INSERT INTO booking (room_id, user_id, during) VALUES (1, 1, 'empty')")
    posts = server.fetch(running, "SELECT sum(posts) FROM posts_of")[0][0]
    assert posts == server.fetch(running, "SELECT count(*) FROM post")[0][0]
    triggers = "SELECT tgname, tgenabled::text AS how FROM pg_trigger WHERE NOT tgisinternal"
    assert {r["tgname"]: r["how"] for r in server.fetch(running, triggers)} == {
        "loud": "O",
        "louder": "A",
    }


def test_pgbench_grows_from_its_branches(server: Server) -> None:
    running = server.database(PGBENCH)
    grown = server.grown(running, "users", 16, Growth(root=("pgbench_branches",)))
    server.verify(running)
    assert isinstance(grown, Grown)
    assert grown.rows["pgbench_accounts"] == 48_000
    shares = server.fetch(running, "SELECT count(*) FROM pgbench_accounts GROUP BY bid")
    assert [row[0] for row in shares] == [1000] * 48


def test_a_reference_without_a_foreign_key_is_kept_when_it_is_said(server: Server) -> None:
    tables = """
    CREATE TABLE users (id serial PRIMARY KEY);
    CREATE TABLE link (code varchar(12) PRIMARY KEY, owner int NOT NULL REFERENCES users);
    CREATE TABLE visit (code varchar(12) NOT NULL, at timestamptz NOT NULL);
    INSERT INTO users SELECT FROM generate_series(1, 3);
    INSERT INTO link SELECT 'code' || n, n % 3 + 1 FROM generate_series(1, 9) n;
    INSERT INTO visit SELECT 'code' || n % 9 + 1, now() FROM generate_series(1, 90) n;
    """
    running = server.database(tables)
    said = Growth(references=(Reference("visit", ("code",), "link", ("code",)),))
    assert isinstance(server.grown(running, "users", 4, said), Grown)
    each = server.fetch(
        running, "SELECT count(*) FROM link LEFT JOIN visit USING (code) GROUP BY code"
    )
    assert [row[0] for row in each] == [10] * 36


REFUSED = {
    "a key of no more values": (
        "CREATE TABLE users (id smallint PRIMARY KEY); INSERT INTO users VALUES (1), (20000);",
        ("users", "users_pkey (id): no further values of id (smallint) fit"),
    ),
    "a unique expression that nobody understands": (
        "CREATE TABLE users (id int PRIMARY KEY, at date NOT NULL);"
        "CREATE UNIQUE INDEX one_a_month ON users (date_trunc('month', at::timestamp));"
        "INSERT INTO users VALUES (1, '2025-01-01');",
        ("users", "one_a_month (date_trunc('month'::text, at::timestamp without time zone))"),
    ),
    "a check that copies break": (
        "CREATE TABLE users (id int PRIMARY KEY CHECK (id < 50));"
        "INSERT INTO users SELECT generate_series(1, 40);",
        ("users", "users_id_check: (id < 50)"),
    ),
    "one row only": (
        "CREATE TABLE users (id int PRIMARY KEY, leader boolean);"
        "CREATE UNIQUE INDEX one_leader ON users (leader) WHERE leader;"
        "INSERT INTO users VALUES (1, true), (2, null);",
        ("users", "one_leader (leader): leader (boolean) has no other values"),
    ),
    "no partition for them": (
        "CREATE TABLE users (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (100);"
        "INSERT INTO users SELECT generate_series(1, 90);",
        ("users", "no partition takes the copies: it is partitioned by id"),
    ),
    "rows that exclude each other": (
        "CREATE TABLE users (id int PRIMARY KEY, place box, EXCLUDE USING gist (place WITH &&));"
        "INSERT INTO users VALUES (1, '(0,0),(1,1)');",
        ("users", "users_place_excl"),
    ),
    "NULLs that are not distinct": (
        "CREATE TABLE users (id int PRIMARY KEY, code int UNIQUE NULLS NOT DISTINCT);"
        "INSERT INTO users VALUES (1, NULL), (2, 5);",
        ("users", "code has NULLs, which are not distinct in it"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_grown_is_refused_by_name(server: Server, name: str) -> None:
    sql, (table, why) = REFUSED[name]
    running = server.database(
        sql + "CREATE TABLE note (of int REFERENCES users); ANALYZE;"
        if "smallint" not in sql
        else sql + "CREATE TABLE note (of smallint REFERENCES users); ANALYZE;"
    )
    refused = server.grown(running, "users", 16)
    assert isinstance(refused, Refusal)
    assert refused.table == table
    assert why in refused.why


def test_a_short_code_is_made_anew_in_its_own_alphabet(server: Server) -> None:
    running = server.database(
        """
        CREATE TABLE users (code char(7) PRIMARY KEY CHECK (code ~ '^[0-9A-Za-z]{7}$'));
        CREATE TABLE note (of char(7) REFERENCES users);
        INSERT INTO users SELECT left(md5(n::text), 7) FROM generate_series(1, 500) n;
        INSERT INTO note SELECT code FROM users;
        """
    )
    assert isinstance(server.grown(running, "users", 16), Grown)
    server.verify(running)


def test_ids_that_hold_a_time_stay_near_what_they_copy(server: Server) -> None:
    running = server.database(
        """
        CREATE TABLE users (id bigint PRIMARY KEY, at timestamptz NOT NULL);
        CREATE TABLE note (of bigint REFERENCES users);
        INSERT INTO users SELECT (1700000000000 + n * 1000) << 22, to_timestamp(1700000000 + n)
        FROM generate_series(1, 500) n;
        """
    )
    assert isinstance(server.grown(running, "users", 4), Grown)
    off = "SELECT max(abs((id >> 22) / 1000.0 - extract(epoch FROM at))) FROM users"
    assert server.fetch(running, off)[0][0] < 1


def test_an_index_that_was_not_valid_is_not_held_against_the_copies(server: Server) -> None:
    """What a failed CREATE UNIQUE INDEX CONCURRENTLY leaves holds for new rows alone."""
    running = server.database(
        """
        CREATE TABLE users (id int PRIMARY KEY, name text);
        CREATE TABLE note (of int REFERENCES users);
        INSERT INTO users SELECT n, 'same' FROM generate_series(1, 4000) n;
        CREATE INDEX twice ON users (name);
        UPDATE pg_index SET indisunique = true, indisvalid = false
        WHERE indexrelid = 'twice'::regclass;
        """
    )
    assert isinstance(server.grown(running, "users", 2), Grown)


def test_a_copy_that_breaks_what_could_not_be_foreseen_is_refused_by_name(server: Server) -> None:
    """A way with words beyond the columns of one row: only the index finds it."""
    running = server.database(
        """
        CREATE TABLE users (id int PRIMARY KEY);
        CREATE TABLE note (id int PRIMARY KEY, of int REFERENCES users, word text);
        CREATE UNIQUE INDEX same_word ON note (lower(word));
        INSERT INTO users VALUES (1);
        INSERT INTO note VALUES (1, 1, 'A'), (2, 1, 'a-01');
        """
    )
    # The mark -01 is free as far as the letters go, and taken once they are folded.
    with pytest.raises(GrowthRefusedError, match="same_word"):
        server.grown(running, "users", 2)


def test_a_clone_is_dropped_and_leftovers_too(server: Server) -> None:
    running = server.database("CREATE TABLE users (id int PRIMARY KEY)")
    left = f"{PREFIX}left"
    server.fetch(msgspec.structs.replace(running, name="postgres"), f"CREATE DATABASE {left}")
    listed = "SELECT datname::text FROM pg_database WHERE starts_with(datname, 'loadpath_')"

    async def two_clones() -> tuple[list[str], tuple[str, ...]]:
        async with cloned(running) as one, cloned(running) as other:
            # Neither takes the other, which is in use, for a leftover.
            dropped = await drop_leftovers(running)
            connection = await connect(other)
            names = [row[0] for row in await connection.fetch(listed)]
            await connection.close()
            assert {one.name, other.name} == set(names)
            return names, dropped

    names, dropped = server.run(two_clones())
    assert len(names) == 2 and dropped == ()
    assert server.fetch(running, listed) == []


def test_interrupted_in_the_middle_it_leaves_nothing(server: Server) -> None:
    running = server.database(PGBENCH)
    database = "SELECT count(*) FROM pg_database WHERE starts_with(datname, 'loadpath_')"

    async def interrupted() -> None:
        began = asyncio.Event()

        def watch(event: AnyEvent) -> None:
            if isinstance(event, GrowthProgress) and event.step == "copying":
                began.set()

        task = asyncio.create_task(clone_and_grow(running, "users", 16, watch))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    server.run(interrupted())
    assert server.fetch(running, database)[0][0] == 0


def test_a_database_somebody_uses_is_not_cloned(server: Server) -> None:
    running = server.database("CREATE TABLE users (id int PRIMARY KEY)")

    async def used() -> None:
        connection = await connect(running)
        try:
            async with cloned(running):
                pass
        finally:
            await connection.close()

    with pytest.raises(WouldNotRunError, match="loadpath is connected to it"):
        server.run(used())


def test_a_server_of_the_users_gets_no_clone_unless_allowed(server: Server) -> None:
    running = server.database("CREATE TABLE users (id int PRIMARY KEY)")
    theirs = msgspec.structs.replace(running, embedded=False)

    async def clone(allow_writes: bool) -> str:
        async with cloned(theirs, allow_writes=allow_writes) as made:
            return made.name

    with pytest.raises(UnsafeTargetError, match="is your own, given by URL") as caught:
        server.run(clone(False))
    assert "--allow-writes" in (caught.value.advice or "")
    assert server.run(clone(True)).startswith(PREFIX)

    async def grow_itself() -> None:
        connection = await connect(running)
        schema = await read_schema(connection)
        await connection.close()
        plan = Plan(
            axis="users",
            factor=2,
            tables=(),
            trials=(),
            before=(),
            jobs=(),
            after=(),
            verifications=(),
            needed_bytes=0,
        )
        await grow(theirs, plan, discard, schema=schema)

    with pytest.raises(ValueError, match="is no clone"):
        server.run(grow_itself())


def test_a_disk_without_room_is_refused_before_anything_is_copied(server: Server) -> None:
    running = server.database(EVERYTHING)

    async def too_much() -> None:
        async with cloned(running, needed_bytes=10**18):
            raise AssertionError("cloned")

    with pytest.raises(WouldNotRunError, match=r"needs 1,000,000 TB .* are free"):
        server.run(too_much())

    async def just_enough() -> None:
        connection = await connect(running)
        await check_room(connection, running, 1000, lambda folder: 1000)
        await connection.close()

    server.run(just_enough())

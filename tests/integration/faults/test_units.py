"""Faults of one statement, command, message or request: what the client sees, and the truth."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import nats.errors
import nats.js.errors
import psycopg
import pytest
import redis.exceptions

from .conftest import World, hit

INSERT = "INSERT INTO link (code, url) VALUES ($1, 'x')"
GONE = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError)


async def count(world: World, code: str) -> int:
    found: int = await world.truth("SELECT count(*) FROM link WHERE code = $1", code)
    return found


async def insert_asyncpg(world: World, client: Any, code: str) -> None:
    await client.execute(INSERT, code)


async def insert_simple(world: World, client: Any, code: str) -> None:
    await client.execute(f"INSERT INTO link (code, url) VALUES ('{code}', 'x')")


async def insert_in_transaction(world: World, client: Any, code: str) -> None:
    async with client.transaction():
        await client.execute("SELECT 1")
        await client.execute(INSERT, code)
        await client.fetch("SELECT code FROM link WHERE code = $1", code)


WAYS = {
    "prepared": insert_asyncpg,
    "simple": insert_simple,
    "transaction": insert_in_transaction,
}


@pytest.mark.parametrize("new", [False, True], ids=["open", "new"])
@pytest.mark.parametrize("way", WAYS)
def test_dropping_the_request_or_the_acknowledgement_looks_alike_and_is_opposite(
    world: World, way: str, new: bool
) -> None:
    async def test() -> None:
        errors = {}
        dropped = "COMMIT" if way == "transaction" else "INSERT INTO link"
        for what, truth in (
            (f"drop request of {dropped}", 0),
            ("drop ack after commit of INSERT INTO link", 1),
        ):
            code = f"{way}-{new}-{truth}"
            client = await world.postgres()
            await client.execute(INSERT, f"{code}-before")
            async with world.fault(what) as injection:
                if new:
                    await client.close()
                    client = await world.postgres()
                with pytest.raises(GONE) as raised:
                    await WAYS[way](world, client, code)
                errors[what] = (type(raised.value), str(raised.value))
                assert (await hit(injection)).count == 1
                await asyncio.sleep(0.05)
                assert await count(world, code) == truth
            client = await world.postgres()
            await client.execute(INSERT, f"{code}-after")
            await client.close()
        assert len(set(errors.values())) == 1

    world.run(test())


def test_a_rolled_back_statement_has_no_acknowledgement_to_drop(world: World) -> None:
    async def test() -> None:
        client = await world.postgres()
        async with world.fault("drop ack of INSERT INTO link") as injection:
            transaction = client.transaction()
            await transaction.start()
            await client.execute(INSERT, "rolled back")
            await transaction.rollback()
            assert await client.fetchval("SELECT 7") == 7
            assert (await injection.hits()).count == 0
            with pytest.raises(GONE):
                await client.execute(INSERT, "committed")
            assert (await hit(injection)).count == 1
        assert await count(world, "rolled back") == 0
        assert await count(world, "committed") == 1

    world.run(test())


def test_the_match_is_of_whole_words_and_the_nth_alone(world: World) -> None:
    async def test() -> None:
        client = await world.postgres()
        async with world.fault("error 40001 on insert into link, only 2nd") as injection:
            await client.execute("INSERT INTO link_visit VALUES ('x')")
            await client.execute(INSERT, "nth-1")
            with pytest.raises(asyncpg.SerializationError):
                await client.execute(INSERT, "nth-2")
            await client.execute(INSERT, "nth-3")
            hits = await hit(injection)
            assert (hits.count, "1 of 3" in hits.proof) == (1, True)
        assert [await count(world, f"nth-{n}") for n in (1, 2, 3)] == [1, 0, 1]
        await client.close()

    world.run(test())


@pytest.mark.parametrize("simple", [False, True])
def test_an_error_of_postgres_leaves_both_ends_in_the_same_state(
    world: World, simple: bool
) -> None:
    async def test() -> None:
        client = await world.postgres()
        code = f"error-{simple}"
        way = WAYS["simple" if simple else "prepared"]
        async with world.fault("error 40001 on INSERT INTO link, first 2") as injection:
            with pytest.raises(asyncpg.SerializationError, match="could not serialize"):
                await way(world, client, code)
            assert await client.fetchval("SELECT 7") == 7
            transaction = client.transaction()
            await transaction.start()
            await client.execute("INSERT INTO link_visit VALUES ('in failed')")
            with pytest.raises(asyncpg.SerializationError):
                await way(world, client, code)
            with pytest.raises(asyncpg.InFailedSQLTransactionError):
                await client.fetchval("SELECT 7")
            await transaction.rollback()
            await way(world, client, code)
            assert (await hit(injection)).count == 2
        assert await count(world, code) == 1
        assert await world.truth("SELECT count(*) FROM link_visit WHERE code = 'in failed'") == 0
        await client.close()

    world.run(test())


def test_errors_that_end_the_session_do(world: World) -> None:
    async def test() -> None:
        client = await world.postgres()
        async with world.fault("error 57P01 on SELECT, first 1"):
            with pytest.raises(GONE, match="terminating connection due to administrator"):
                await client.fetchval("SELECT 1")
            with pytest.raises(GONE):
                await client.fetchval("SELECT 1")
        client = await world.postgres()
        async with world.fault("database error 53300") as injection:
            assert await client.fetchval("SELECT 1") == 1
            with pytest.raises(asyncpg.TooManyConnectionsError):
                await world.postgres()
            assert (await hit(injection)).count == 1
        await (await world.postgres()).close()
        await client.close()

    world.run(test())


def test_psycopg_sees_the_same_also_where_it_pipelines(world: World) -> None:
    async def test() -> None:
        async with world.fault("error 40001 on INSERT INTO link, only 2nd") as injection:

            def pipelined() -> None:
                with psycopg.connect(world.conninfo(), autocommit=True) as connection:
                    connection.execute(INSERT.replace("$1", "%s"), ["psycopg-1"])
                    with (
                        pytest.raises(psycopg.errors.SerializationFailure),
                        connection.pipeline() as pipeline,
                    ):
                        connection.execute("SELECT 1")
                        connection.execute(INSERT.replace("$1", "%s"), ["psycopg-2"])
                        connection.execute("SELECT 2")
                        pipeline.sync()
                    row = connection.execute("SELECT 7").fetchone()
                    assert row is not None and row[0] == 7

            await asyncio.to_thread(pipelined)
            assert (await hit(injection)).count == 1
        assert await count(world, "psycopg-1") == 1
        assert await count(world, "psycopg-2") == 0

        def refused_ack() -> None:
            with (
                pytest.raises(psycopg.OperationalError),
                psycopg.connect(world.conninfo()) as connection,
            ):
                connection.execute(INSERT.replace("$1", "%s"), ["psycopg-3"], prepare=True)
                connection.commit()

        async with world.fault("drop ack of INSERT INTO link") as injection:
            await asyncio.to_thread(refused_ack)
            await hit(injection)
        assert await count(world, "psycopg-3") == 1

    world.run(test())


def test_rows_are_copied_in_while_statements_are_watched(world: World) -> None:
    async def test() -> None:
        client = await world.postgres()
        async with world.fault("drop ack of COPY, only 2nd") as injection:
            rows = [(f"copy-{n}", "x") for n in range(1000)]
            await client.copy_records_to_table("link", records=rows[:500])
            assert await client.fetchval("SELECT 7") == 7
            with pytest.raises(GONE):
                await client.copy_records_to_table("link", records=rows[500:])
            assert (await hit(injection)).count == 1
        assert await world.truth("SELECT count(*) FROM link WHERE code LIKE 'copy-%'") == 1000

    world.run(test())


def test_a_statement_is_late_and_others_are_not(world: World) -> None:
    async def test() -> None:
        client = await world.postgres()
        async with world.fault("delay 100ms of SELECT url FROM link") as injection:
            for query, least_s in (("SELECT url FROM link LIMIT 1", 0.099), ("SELECT 1", 0)):
                began_s = time.monotonic()
                await client.fetchval(query)
                assert least_s <= time.monotonic() - began_s < least_s + 0.09
            assert (await injection.hits()).count >= 1
        await client.close()

    world.run(test())


def test_redis_requests_and_acknowledgements_are_dropped(world: World) -> None:
    async def test() -> None:
        past = world.redis()
        for what, truth in (("drop request", None), ("drop ack", b"1")):
            client = world.redis()
            await client.get("link:before")
            async with world.fault(f"{what} of SET link:*, first 1") as injection:
                await client.set("other", "1")
                with pytest.raises(redis.exceptions.ConnectionError):
                    await client.set(f"link:{what}", "1")
                assert (await hit(injection)).count == 1
            assert await past.get(f"link:{what}") == truth
            await client.aclose()
        async with world.fault("drop ack of SET link:*") as injection:
            client = world.redis()
            with pytest.raises(redis.exceptions.ConnectionError):
                async with client.pipeline(transaction=True) as pipeline:
                    await pipeline.set("link:multi", "1").get("x").execute()
            assert (await hit(injection)).count == 1
        assert await past.get("link:multi") == b"1"
        await past.aclose()

    world.run(test())


def test_redis_errors_are_those_of_the_server(world: World) -> None:
    async def test() -> None:
        client = world.redis()
        await client.set("key", "value")
        async with world.fault("cache error OOM") as injection:
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                await client.set("key", "other")
            assert await client.get("key") == b"value"
            with pytest.raises(redis.exceptions.ResponseError):
                async with client.pipeline(transaction=True) as pipeline:
                    await pipeline.delete("key").set("key", "x").execute()
            async with client.pipeline(transaction=False) as pipeline:
                replies = (
                    await pipeline.get("key")
                    .set("key", "x")
                    .get("key")
                    .execute(raise_on_error=False)
                )
            assert replies[0] == replies[2] == b"value"
            assert isinstance(replies[1], redis.exceptions.OutOfMemoryError)
            assert (await hit(injection)).count == 3
        async with world.fault("cache error READONLY"):
            with pytest.raises(redis.exceptions.ReadOnlyError):
                await client.delete("key")
        async with world.fault("error LOADING on GET key"):
            with pytest.raises(redis.exceptions.BusyLoadingError):
                await client.get("key")
        assert await client.get("key") == b"value"
        await client.aclose()

    world.run(test())


def test_redis_commands_come_twice_or_late(world: World) -> None:
    async def test() -> None:
        client = world.redis()
        await client.set("count", 0)
        async with world.fault("cache duplicate of INCRBY count, first 1") as injection:
            assert await client.incr("count") == 1
            assert await client.get("count") == b"2"
            assert await client.incr("count") == 3
            assert (await hit(injection)).count == 1
        async with world.fault("delay 80ms of GET count") as injection:
            began_s = time.monotonic()
            assert await client.get("count") == b"3"
            assert time.monotonic() - began_s >= 0.079
            await hit(injection)
        await client.aclose()

    world.run(test())


def test_a_connection_that_cannot_be_read_is_counted_and_left_alone(world: World) -> None:
    async def test() -> None:
        client = world.redis()
        listener = client.pubsub()
        await listener.subscribe("news")
        assert (await listener.get_message(timeout=5))["type"] == "subscribe"
        async with world.fault("cache error OOM") as injection:
            other = world.redis()
            again = other.pubsub()
            await again.subscribe("news")
            assert (await again.get_message(timeout=5))["type"] == "subscribe"
            hits = await injection.hits()
            assert hits.count == 0
            assert list(hits.uncovered) == ["SUBSCRIBE: what follows answers no command"]
            publisher = world.redis()
            assert await publisher.publish("news", "hello") == 2
            assert (await again.get_message(timeout=5))["data"] == b"hello"
        for each in (listener, again, client, other, publisher):
            await each.aclose()

    world.run(test())


def test_nats_messages_are_dropped_doubled_and_refused(world: World) -> None:
    async def test() -> None:
        errors: list[Exception] = []

        async def told(error: Exception) -> None:
            errors.append(error)

        client = await world.nats(error_cb=told)
        stream = client.jetstream(timeout=0.4)
        await stream.add_stream(name="visits", subjects=["visits.*"])

        async def stored() -> int:
            return int((await stream.stream_info("visits")).state.messages)

        for what, more in (("drop request", 0), ("drop ack", 1)):
            before = await stored()
            async with world.fault(f"queue {what} of PUB visits.*") as injection:
                with pytest.raises(nats.errors.TimeoutError):
                    await stream.publish("visits.a", b"x")
                assert (await hit(injection)).count == 1
            assert await stored() == before + more
        before = await stored()
        async with world.fault("queue duplicate of PUB visits.*") as injection:
            await stream.publish("visits.a", b"x")
            await hit(injection)
        assert await stored() == before + 2
        async with world.fault("queue error -ERR on visits.*") as injection:
            with pytest.raises(nats.errors.TimeoutError):
                await stream.publish("visits.a", b"x")
            await hit(injection)
            assert any("permissions violation" in str(error).lower() for error in errors)
        async with world.fault("queue delay 80ms of visits.a") as injection:
            began_s = time.monotonic()
            await stream.publish("visits.a", b"x")
            assert time.monotonic() - began_s >= 0.079
            await hit(injection)
        assert await stored() == before + 3
        await client.close()

    world.run(test())


def test_http_requests_are_dropped_delayed_doubled_and_answered(world: World) -> None:
    async def test() -> None:
        assert b"200" in await world.get("/health")
        for what in ("drop request", "drop ack"):
            async with world.fault(f"service {what} of GET /links/{{}}") as injection:
                assert await world.get("/links/7") == b""
                assert b"200" in await world.get("/links")
                assert (await hit(injection)).count == 1
        for status in ("429", "503"):
            async with world.fault(f"service error {status} on GET /links/{{}}") as injection:
                assert status.encode() in await world.get("/links/7?x=1")
                await hit(injection)
        async with world.fault("service duplicate of GET /") as injection:
            assert b"200" in await world.get("/")
            await hit(injection)
        async with world.fault("service delay 80ms of GET /") as injection:
            began_s = time.monotonic()
            assert b"200" in await world.get("/")
            assert time.monotonic() - began_s >= 0.079
            await hit(injection)

    world.run(test())

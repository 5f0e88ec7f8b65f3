"""Migrations against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import asyncpg
import pytest
from systems_common.database import connect
from systems_common.migrations import MigrationError, migrate, read_migrations
from systems_common.testing import EmbeddedServer

_numbers = itertools.count()


@pytest.fixture
def database_url(postgres: EmbeddedServer) -> str:
    name = f"migrations_{next(_numbers)}"

    async def create() -> None:
        connection = await connect(postgres.url, name="test")
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return postgres.url.rpartition("/")[0] + f"/{name}"


def write(folder: Path, **files: str) -> Path:
    for name, sql in files.items():
        (folder / f"{name[1:]}.sql").write_text(sql)
    return folder


def apply(url: str, folder: Path) -> list[int]:
    async def run() -> list[int]:
        connection = await connect(url, name="test")
        try:
            return [done.number for done in await migrate(connection, read_migrations(folder))]
        finally:
            await connection.close()

    return asyncio.run(run())


def tables(url: str) -> set[str]:
    async def run() -> set[str]:
        connection = await connect(url, name="test")
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        await connection.close()
        return {row["tablename"] for row in rows}

    return asyncio.run(run())


def test_each_file_is_applied_once_in_order(database_url: str, tmp_path: Path) -> None:
    write(
        tmp_path, _0002_more="ALTER TABLE a ADD m int", _0001_first="CREATE TABLE a (n int); SELECT"
    )
    assert apply(database_url, tmp_path) == [1, 2]
    write(tmp_path, _0003_last="CREATE TABLE b (n int)")
    assert apply(database_url, tmp_path) == [3]
    assert apply(database_url, tmp_path) == []
    assert {"a", "b"} <= tables(database_url)


def test_a_file_that_fails_leaves_those_before_it(database_url: str, tmp_path: Path) -> None:
    write(tmp_path, _0001_good="CREATE TABLE good (n int)")
    write(tmp_path, _0002_bad="CREATE TABLE half (n int); SELECT nothing_like_it")
    with pytest.raises(MigrationError, match=r"0002_bad\.sql: .*nothing_like_it"):
        apply(database_url, tmp_path)
    assert tables(database_url) == {"schema_migration", "good"}
    write(tmp_path, _0002_bad="CREATE TABLE mended (n int)")
    assert apply(database_url, tmp_path) == [2]


def test_an_applied_file_must_not_change(database_url: str, tmp_path: Path) -> None:
    apply(database_url, write(tmp_path, _0001_a="CREATE TABLE a (n int)"))
    write(tmp_path, _0001_a="CREATE TABLE a (n bigint)")
    with pytest.raises(MigrationError, match=r"0001_a\.sql was changed after it was applied"):
        apply(database_url, tmp_path)


def test_older_files_refuse_a_newer_database(database_url: str, tmp_path: Path) -> None:
    apply(database_url, write(tmp_path, _0001_a="SELECT 1", _0002_b="SELECT 2"))
    (tmp_path / "0002_b.sql").unlink()
    with pytest.raises(MigrationError, match=r"0002_b.*newer version"):
        apply(database_url, tmp_path)


def test_many_at_the_same_time_apply_each_file_once(database_url: str, tmp_path: Path) -> None:
    folder = write(
        tmp_path, _0001_a="CREATE TABLE a (n int); SELECT pg_sleep(0.1)", _0002_b="SELECT 1"
    )

    async def one() -> int:
        connection = await asyncpg.connect(database_url)
        applied = await migrate(connection, read_migrations(folder))
        await connection.close()
        return len(applied)

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(one() for _ in range(6)))

    assert sorted(asyncio.run(all_of_them())) == [0, 0, 0, 0, 0, 2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("_0002_gap", "expected migration 0001 next, found 0002_gap.sql"),
        ("_1_short", "expected a name such as"),
    ],
)
def test_bad_numbers_are_refused(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path, **{name: "SELECT 1"})
    with pytest.raises(MigrationError, match=message):
        read_migrations(tmp_path)

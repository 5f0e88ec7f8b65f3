"""Migrations: numbered .sql files, each applied once, in order, in a transaction.

Any number of processes may start it at the same time: an advisory lock lets one work and the
others find the work done.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources.abc import Traversable
from typing import Any

import msgspec

__all__ = ["Migration", "MigrationError", "migrate", "read_migrations"]

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x6D69_6772_6174_65  # "migrate" in ASCII

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    digest text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


class MigrationError(Exception):
    """The files and what the database has do not fit together, or a file failed."""


class Migration(msgspec.Struct, frozen=True):
    """One file. `digest` is of its text, so that a file changed after its use is noticed."""

    number: int
    name: str
    sql: str
    digest: str


def read_migrations(folder: Traversable) -> list[Migration]:
    """The migrations of a folder in order. Raises `MigrationError` for a bad or missing number."""
    found = []
    for file in folder.iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{file.name}: expected a name such as 0001_first_tables.sql")
        sql = file.read_text(encoding="utf-8")
        digest = hashlib.sha256(sql.encode()).hexdigest()
        found.append(Migration(int(match[1]), match[2], sql, digest))
    found.sort(key=lambda migration: migration.number)
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise MigrationError(
                f"expected migration {expected:04d} next, found {migration.number:04d}"
                f"_{migration.name}.sql: numbers start at 0001 and have no gap"
            )
    return found


async def migrate(connection: Any, migrations: list[Migration]) -> list[Migration]:
    """Apply what the database lacks over one asyncpg connection; returns what was applied.

    Raises `MigrationError` when an applied file was changed since, when the database is ahead of
    these files, or when a file fails (its transaction is rolled back, those before it stay).
    """
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(_TABLE)
        rows = await connection.fetch(
            "SELECT number, name, digest FROM schema_migration ORDER BY number"
        )
        known = {migration.number: migration for migration in migrations}
        for row in rows:
            migration = known.get(row["number"])
            if migration is None:
                raise MigrationError(
                    f"the database has migration {row['number']:04d}_{row['name']}, which these "
                    "files do not: it was made by a newer version"
                )
            if migration.digest != row["digest"]:
                raise MigrationError(
                    f"{migration.number:04d}_{migration.name}.sql was changed after it was "
                    "applied; put it back and write a new file"
                )
        done = {row["number"] for row in rows}
        applied = [migration for migration in migrations if migration.number not in done]
        for migration in applied:
            await _apply(connection, migration)
        return applied
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _apply(connection: Any, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migration (number, name, digest) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.digest,
            )
    except Exception as error:
        raise MigrationError(f"{migration.number:04d}_{migration.name}.sql: {error}") from error

"""Candidate indexes built for real on a grown clone, one at a time, and everything run again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from loadpath.experiment.growth.measuring import Where, measure
from loadpath.growing.schema import Schema
from loadpath.statements.candidates import Candidate, Existing, candidates, referring
from loadpath.statements.course import Course, course
from loadpath.statements.exponent import LOG_MAX
from loadpath.statements.findings import PAGES_MIN, Judged, judged
from loadpath.statements.reading import read
from loadpath.statements.record import IndexRecord, Size, StatementRecord
from loadpath.tap.statements import KeptStatement

EACH_MAX: Final = 4
"""Candidates tried for one statement: the likeliest."""

BUILD_TIMEOUT_S: Final = 300.0


class Trial(msgspec.Struct, frozen=True):
    """A candidate, the statement it is for, and the size at which it shall be tried. `parents` are
    the tables that the candidate's refers to: who deletes there looks through it."""

    candidate: Candidate
    number: int
    size: Size
    parents: tuple[str, ...] = ()


def trials(
    records: Sequence[StatementRecord],
    existing: Sequence[Existing],
    schema: Schema,
    *,
    limit: int,
) -> list[Trial]:
    """What to try, for what works most first. Pure."""
    found: dict[Candidate, Trial] = {}
    keys = [(key.table, key.columns, key.parent) for key in schema.foreign_keys]
    for each in sorted(judged(records), key=lambda j: -_work(j, records)):
        grown = _tried_on(each, records)
        if grown is None or grown.last.buffers < PAGES_MIN / 2:
            continue
        statement = read(each.shape)
        tried = candidates(statement, existing)
        for parent in statement.deleted:
            tried += referring(parent, keys, existing)
        for candidate in tried[:EACH_MAX]:
            size = Size(axis=grown.axis, times=grown.last.times)
            parents = tuple(parent for table, _, parent in keys if table == candidate.table)
            found.setdefault(candidate, Trial(candidate, each.number, size, parents))
    return list(found.values())[:limit]


def _tried_on(each: Judged, records: Sequence[StatementRecord]) -> Course | None:
    """The course on whose largest data an index for a statement is tried; None: it does not grow.

    With more history where it grows by that too: a key then has more rows, as with the years, which
    shows what an order within a key is worth.
    """
    found = [course(records[each.number], "history"), each.course]
    return next((c for c in found if c and c.pages and c.pages.value > LOG_MAX), None)


def _work(each: Judged, records: Sequence[StatementRecord]) -> float:
    if each.course is None:
        return 0.0
    return each.course.last.buffers * max(records[each.number].calls_per_s, 0.001)


async def attempt(
    trial: Trial,
    where: Where,
    database: str,
    statements: Sequence[KeptStatement],
    records: Sequence[StatementRecord],
) -> IndexRecord:
    """Build one index in `database`, run every statement that touches its table, drop it again."""
    candidate = trial.candidate
    record = IndexRecord(
        ddl=candidate.ddl(),
        name=candidate.name,
        table=candidate.table,
        shape=records[trial.number].shape,
        size=trial.size,
    )
    touching = [n for n, each in enumerate(statements) if _touches(each.shape, trial)]
    connection = await asyncpg.connect(
        host=where.host,
        port=where.port,
        user=where.user,
        password=where.password,
        database=database,
        command_timeout=BUILD_TIMEOUT_S,
        server_settings={"application_name": "loadpath"},
    )
    try:
        began_s = time.perf_counter()
        try:
            await connection.execute(candidate.ddl(concurrently=False))
        except (asyncpg.PostgresError, TimeoutError) as error:
            return msgspec.structs.replace(record, problem=f"it cannot be built: {error}")
        build_s = time.perf_counter() - began_s
        quoted = candidate.quoted_name
        size_bytes = await connection.fetchval("SELECT pg_relation_size($1::regclass)", quoted)
        try:
            measured = await measure(where, database, [statements[n] for n in touching], trial.size)
        finally:
            await connection.execute(f"DROP INDEX {quoted}")
    finally:
        await connection.close(timeout=5)
    return msgspec.structs.replace(
        record,
        bytes=size_bytes,
        build_s=build_s,
        statements=dict(zip(touching, measured, strict=True)),
    )


def _touches(shape: str, trial: Trial) -> bool:
    statement = read(shape)
    looked_through = set(statement.deleted) & set(trial.parents)
    return not statement.verb or trial.candidate.table in statement.tables or bool(looked_through)

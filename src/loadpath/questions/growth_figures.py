"""What growth does, from what was recorded: statements, their operations, indexes, limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from loadpath.experiment.attribution import LoadPath
from loadpath.questions.growth_driven import Alone, Driven, Misses, misses
from loadpath.spec import Workload
from loadpath.statements.caches import CacheFinding, bytes_a_user, cache_findings
from loadpath.statements.course import Course, worst
from loadpath.statements.exponent import LOG_MAX
from loadpath.statements.findings import ROWS_MIN, Finding, Judged, judged, times_words
from loadpath.statements.reading import read
from loadpath.statements.record import (
    CacheRecord,
    DatabaseRecord,
    Foretold,
    GrowthRecord,
    KeyRecord,
)
from loadpath.statements.verdict import IndexVerdict, verdicts

IN_TRANSACTION: Final = 0.5
"""Of its calls within transactions, from which a statement counts as a part of one."""

HELD_TIMES: Final = 2.0
HELD_MIN_S: Final = 0.001
SOON_S: Final = 10 * 365.25 * 86400.0
"""Keys that last longer than this are nothing to say."""


class StatementGrowth(msgspec.Struct, frozen=True, kw_only=True):
    """A statement, the operations that make it, and what growth does to it."""

    dependency: str
    shape: str
    operations: tuple[str, ...]
    calls_per_s: float
    course: Course | None
    findings: tuple[Finding, ...]
    indexes: tuple[str, ...] = ()
    problem: str = ""


class KeyEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A key that counts up, and in how many seconds it runs out at today's rate of inserts."""

    key: KeyRecord
    inserts_per_s: float
    ends_in_s: float


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An operation's transaction, and how long its statements hold it at both ends."""

    operation: str
    times: int
    axis: str
    before_s: float
    after_s: float


class DatabaseGrowth(msgspec.Struct, frozen=True, kw_only=True):
    """One database: what it was grown to, and what that did. `only_grow` are tables that rows were
    written to and never deleted from."""

    dependency: str
    version: str
    problem: str
    sizes: tuple[str, ...]
    told: tuple[str, ...]
    statements: tuple[StatementGrowth, ...]
    indexes: tuple[IndexVerdict, ...]
    only_grow: tuple[str, ...]
    keys: tuple[KeyEnd, ...]
    held: tuple[Held, ...]


class CacheGrowth(msgspec.Struct, frozen=True, kw_only=True):
    """One Valkey or Redis: what lies in it, and what is wrong."""

    record: CacheRecord
    findings: tuple[CacheFinding, ...]
    bytes_a_user: float | None


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of an answer on growth: `foretold` by the model, `driven` as measured."""

    databases: tuple[DatabaseGrowth, ...]
    caches: tuple[CacheGrowth, ...] = ()
    misses: tuple[Misses, ...] = ()
    foretold: tuple[Foretold, ...] = ()
    not_foretold: str = ""
    driven: tuple[Driven, ...] = ()
    alone: tuple[Alone, ...] = ()


def growth_of(
    record: GrowthRecord,
    paths: Sequence[LoadPath],
    *,
    workload: Workload | None = None,
    measured: Sequence[Driven] = (),
    alone: Sequence[Alone] = (),
) -> Growth:
    """Judge what was recorded; `paths` say which operation makes which statement."""
    return Growth(
        databases=tuple(_database(each, paths) for each in record.databases),
        caches=tuple(
            CacheGrowth(
                record=each,
                findings=tuple(cache_findings(each)),
                bytes_a_user=bytes_a_user(each),
            )
            for each in record.caches
        ),
        misses=() if workload is None else misses(record.foretold, workload),
        foretold=record.foretold,
        not_foretold=record.not_foretold,
        driven=tuple(measured),
        alone=tuple(alone),
    )


def _database(record: DatabaseRecord, paths: Sequence[LoadPath]) -> DatabaseGrowth:
    tried = verdicts(record.indexes, record.statements, record.bytes)
    each_judged = judged(record.statements)
    repeated = _repeated(record, paths)
    statements = tuple(
        _statement(record, each, paths, tried, repeated.get(each.shape)) for each in each_judged
    )
    return DatabaseGrowth(
        dependency=record.dependency,
        version=record.version,
        problem=record.problem,
        sizes=tuple(f"{size.times} × {size.axis}" for size in record.sizes),
        told=record.told,
        statements=statements,
        indexes=tuple(tried),
        only_grow=_only_grow(record),
        keys=tuple(_keys(record)),
        held=tuple(_held(record, each_judged, paths)),
    )


def _statement(
    record: DatabaseRecord,
    each: Judged,
    paths: Sequence[LoadPath],
    tried: Sequence[IndexVerdict],
    repeated: Finding | None,
) -> StatementGrowth:
    helping = [
        index.record.name
        for index in tried
        if index.recommended and any(change.number == each.number for change in index.helped)
    ]
    return StatementGrowth(
        dependency=record.dependency,
        shape=each.shape,
        operations=_operations(record.dependency, each.shape, paths),
        calls_per_s=record.statements[each.number].calls_per_s,
        course=each.course,
        findings=(*each.findings, *((repeated,) if repeated else ())),
        indexes=tuple(helping),
        problem=each.problem,
    )


def _operations(dependency: str, shape: str, paths: Sequence[LoadPath]) -> tuple[str, ...]:
    return tuple(
        path.operation
        for path in paths
        if any(call.dependency == dependency and call.shape == shape for call in path.calls)
    )


def _repeated(record: DatabaseRecord, paths: Sequence[LoadPath]) -> dict[str, Finding]:
    """Statements made once for each row of another one whose rows grow, by shape."""
    found = {}
    growing = {each.shape: c for each in record.statements if (c := _rows_grow(each.shape, record))}
    for path in paths:
        shapes = [c.shape for c in path.calls if c.dependency == record.dependency]
        for suspicion in path.suspicions:
            if suspicion.kind != "n_plus_one" or suspicion.shape not in shapes:
                continue
            before = shapes[: shapes.index(suspicion.shape)]
            parent = next((growing[shape] for shape in before if shape in growing), None)
            if parent is not None:
                rows = f"{parent.first.rows:,.0f} → {parent.last.rows:,.0f}"
                found[suspicion.shape] = Finding(
                    kind="n_plus_one",
                    said=f"{rows} calls a request at {times_words(parent)}: one for each row of a "
                    "list that grows",
                    advice="Fetch them together, and bound the list.",
                )
    return found


def _rows_grow(shape: str, record: DatabaseRecord) -> Course | None:
    """The course of a statement that returns ever more rows."""
    statement = next(each for each in record.statements if each.shape == shape)
    found = worst(statement)
    if read(shape).verb != "SELECT" or found is None or found.rows is None:
        return None
    return found if found.rows.value > LOG_MAX and found.last.rows >= ROWS_MIN / 2 else None


def _only_grow(record: DatabaseRecord) -> tuple[str, ...]:
    """Tables that rows were inserted into and that no statement deletes from, by itself or by what
    goes with the rows that it deletes."""
    inserted: dict[str, None] = {}
    deleted: set[str] = set()
    for each in record.statements:
        statement = read(each.shape)
        inserted |= dict.fromkeys(statement.inserted)
        deleted |= set(statement.deleted)
    while more := {child for parent, child in record.cascades if parent in deleted} - deleted:
        deleted |= more
    return tuple(table for table in inserted if table not in deleted)


def _keys(record: DatabaseRecord) -> list[KeyEnd]:
    """Keys that run out within ten years, the first first."""
    rates: dict[str, float] = {}
    for each in record.statements:
        statement = read(each.shape)
        if statement.verb == "INSERT" and statement.written:
            table = statement.written[0]
            today = next((at for at in each.at if at.size is None), None)
            rows = [run.rows for run in today.runs if run is not None] if today else []
            mean = sum(rows) / len(rows) if rows else 1.0
            rates[table] = rates.get(table, 0.0) + each.calls_per_s * mean
    found = []
    for key in record.keys:
        rate = rates.get(key.table, 0.0)
        if rate > 0:
            ends_in_s = max(0, key.highest - key.last) / rate
            if ends_in_s < SOON_S:
                found.append(KeyEnd(key=key, inserts_per_s=rate, ends_in_s=ends_in_s))
    return sorted(found, key=lambda each: each.ends_in_s)


def _held(
    record: DatabaseRecord, each_judged: Sequence[Judged], paths: Sequence[LoadPath]
) -> list[Held]:
    """Operations whose transaction is held longer, because of a statement in it that grows."""
    inside: Mapping[str, Judged] = {
        each.shape: each
        for each in each_judged
        if record.statements[each.number].in_transaction >= IN_TRANSACTION and each.course
    }
    found = []
    for path in paths:
        mine = [
            (call.calls, inside[call.shape])
            for call in path.calls
            if call.dependency == record.dependency and call.shape in inside
        ]
        grown = [each for _, each in mine if each.findings]
        if not grown or grown[0].course is None:
            continue
        course = grown[0].course
        before = sum(n * each.course.first.time_s for n, each in mine if each.course)
        after = sum(n * each.course.last.time_s for n, each in mine if each.course)
        if after >= HELD_MIN_S and after >= HELD_TIMES * before:
            found.append(
                Held(
                    operation=path.operation,
                    times=course.last.times,
                    axis=course.axis,
                    before_s=before,
                    after_s=after,
                )
            )
    return found
